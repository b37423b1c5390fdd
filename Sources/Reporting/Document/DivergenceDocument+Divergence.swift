// SPDX-License-Identifier: GPL-2.0-or-later

import Alignment

extension DivergenceDocument {
    /// The first place at which the runs of a vCPU differ, and the records around it.
    public struct DivergenceItem: Codable, Hashable, Sendable {
        /// Where the original is.
        public var original: Position
        /// Where the replay is.
        public var replay: Position
        /// The last place of the guest's that both runs have, if the logs have no branches, and the records that differ no address
        /// with a source line: where the guest was before somebody else wrote, before the interrupt, or before the hypercall.
        public var guestAt: Position?
        /// Whether the difference is known to the record. nil if a log ended early.
        public var isExact: Bool?
        /// The fields in which the records differ.
        public var fields: [Field]
        /// How the log that ended early ended; nil for other verdicts.
        public var endReason: String?
        /// The last branches that both runs have, the latest last.
        public var lastCommonBranches: [BranchItem]
        /// The last events that both runs have, the latest last.
        public var lastCommonEvents: [EventItem]
        /// The original from the divergence on.
        public var originalNext: Next
        /// The replay from the divergence on.
        public var replayNext: Next
        /// Where the runs take the same path again; nil if they were not seen to.
        public var convergence: ConvergenceItem?
        /// Branches of each side that were searched for a common path after the divergence.
        public var branchesSearched: Counter
        /// The calls that are open at the divergence.
        public var callStack: Stack
        /// Whose code both runs executed when they diverged; nil if the logs do not show it.
        public var running: RunningItem?
        /// The last outside input before the divergence; nil if none is recorded.
        public var lastInput: EventItem?
        /// The last outside inputs before the divergence, the nearest first.
        public var lastInputs: [InputItem]
        /// How the paths relate from the divergence on; nil if the logs have no branches there.
        public var path: PathItem?
        /// Possible causes of the divergence, the best explanation first.
        public var causes: [CauseItem]
        /// The instruction that decided the first branch that differs; nil without its code.
        public var decidedBy: DecisionItem?
        /// The source lines of the function in which the runs part; nil if the sources are not known.
        public var sourceListing: SourceListing?
        /// The calls after the divergence; nil if not asked for.
        public var window: CallWindow?

        enum CodingKeys: String, CodingKey {
            case original, replay, isExact, fields, endReason, lastCommonBranches, lastCommonEvents, originalNext
            case replayNext, convergence, branchesSearched, callStack, running, lastInput, lastInputs, path, causes
            case guestAt, sourceListing, window
            case decidedBy = "decided_by"
        }
    }

    /// A place in a run.
    public struct Position: Codable, Hashable, Sendable {
        /// Transitions made.
        public var brctr: Counter
        /// The last clock at which the place can be, if it is known to a cell only.
        public var brctrLast: Counter?
        /// Instructions begun; nil if the log counts none.
        public var icount: Counter?
        /// The address of the instruction.
        public var ip: HexWord?
        /// The symbol at `ip`.
        public var symbol: String?
        /// The linkage name of `symbol`, if that is demangled.
        public var linkageName: String?
        /// The source positions at `ip`, innermost inlined function first.
        public var source: [String]?
        /// The functions into which the code at `ip` is inlined, innermost first.
        public var inlinedInto: [InlineFrame]?

        enum CodingKeys: String, CodingKey {
            case brctr, brctrLast, icount, ip, symbol, source, inlinedInto
            case linkageName = "linkage_name"
        }
    }

    /// Whose code runs at a place.
    public struct RunningItem: Codable, Hashable, Sendable {
        /// Whether it is code of the user's or of the kernel's, by the half of the addresses; nil if that is not known.
        public var mode: Mode?
        /// The page table: CR3 on x86; nil without context events.
        public var addressSpace: HexWord?
        /// The stack pointer when this address space or stack became current.
        public var stackPointer: HexWord?
        /// When that was.
        public var since: Position?
        /// The user code that runs, or that entered the kernel; nil if the log does not show it.
        public var user: Position?
        /// The file that names the user code.
        public var program: String?

        /// A half of the addresses.
        public enum Mode: String, Codable, Hashable, Sendable, CaseIterable {
            /// User code.
            case user
            /// Code of the kernel.
            case kernel
        }

        enum CodingKeys: String, CodingKey {
            case mode, since, user, program
            case addressSpace = "address_space"
            case stackPointer = "stack_pointer"
        }
    }

    /// A function into which other code is inlined.
    public struct InlineFrame: Codable, Hashable, Sendable {
        /// The function's name.
        public var function: String
        /// The linkage name of `function`, if that is demangled.
        public var linkageName: String?
        /// The file and line of the inlined call.
        public var source: String?

        enum CodingKeys: String, CodingKey {
            case function, source
            case linkageName = "linkage_name"
        }
    }

    /// A field in which two records differ.
    public struct Field: Codable, Hashable, Sendable {
        /// `to`, `icount`, `vector`, `value[0]`, …
        public var name: String
        /// The original's value; nil if its record lacks the field.
        public var original: String?
        /// The replay's value; nil if its record lacks the field.
        public var replay: String?
        /// The symbol at the original's value, for an address.
        public var originalSymbol: String?
        /// The linkage name of `originalSymbol`, if that is demangled.
        public var originalLinkageName: String?
        /// The symbol at the replay's value, for an address.
        public var replaySymbol: String?
        /// The linkage name of `replaySymbol`, if that is demangled.
        public var replayLinkageName: String?

        enum CodingKeys: String, CodingKey {
            case name, original, replay, originalSymbol, replaySymbol
            case originalLinkageName = "original_linkage_name"
            case replayLinkageName = "replay_linkage_name"
        }
    }

    /// One side from the divergence on.
    public struct Next: Codable, Hashable, Sendable {
        /// The next branches.
        public var branches: [BranchItem]
        /// The next events.
        public var events: [EventItem]
        /// The calls that are open after the next branches and that the other side does not have, the innermost first.
        public var calls: [Stack.Frame]
    }

    /// A branch.
    public struct BranchItem: Codable, Hashable, Sendable {
        /// Transitions made before it.
        public var brctr: Counter
        /// Instructions begun after it; nil if the log counts none.
        public var icount: Counter?
        /// The instruction that was left.
        public var from: HexWord
        /// The instruction that began next.
        public var to: HexWord
        /// The branch's label: `jcc!`, `ret`, `none`, …
        public var label: String
        /// Whether no branch instruction explains the transition.
        public var isDiscontinuity: Bool
        /// The symbol at `from`.
        public var fromSymbol: String?
        /// The linkage name of `fromSymbol`, if that is demangled.
        public var fromLinkageName: String?
        /// The symbol at `to`.
        public var toSymbol: String?
        /// The linkage name of `toSymbol`, if that is demangled.
        public var toLinkageName: String?
        /// The source position of `from`.
        public var source: String?
        /// The source position of `to`.
        public var toSource: String?

        enum CodingKeys: String, CodingKey {
            case brctr, icount, from, to, label, isDiscontinuity, fromSymbol, toSymbol, source, toSource
            case fromLinkageName = "from_linkage_name"
            case toLinkageName = "to_linkage_name"
        }
    }

    /// An event or an access.
    public struct EventItem: Codable, Hashable, Sendable {
        /// Transitions made before it.
        public var brctr: Counter
        /// Instructions begun before it; nil if the log counts none.
        public var icount: Counter?
        /// The stream that the record is in: `event` or `access`.
        public var stream: String
        /// The kind's name.
        public var kind: String
        /// The address of the instruction.
        public var ip: HexWord?
        /// The symbol at `ip`.
        public var symbol: String?
        /// The linkage name of `symbol`, if that is demangled.
        public var linkageName: String?
        /// The kind's own number: a vector, a size, …
        public var info: UInt32
        /// The address word of the payload.
        public var address: HexWord?
        /// The value words of the payload.
        public var values: [HexWord]
        /// The contents in words.
        public var details: String

        enum CodingKeys: String, CodingKey {
            case brctr, icount, stream, kind, ip, symbol, info, address, values, details
            case linkageName = "linkage_name"
        }
    }

    /// Where two runs take the same path again.
    public struct ConvergenceItem: Codable, Hashable, Sendable {
        /// Branches of the original from the divergence to that place.
        public var originalBranches: Counter
        /// Branches of the replay from the divergence to that place.
        public var replayBranches: Counter
        /// Branches after that place that are equal.
        public var agreedBranches: Counter
        /// Whether the agreement reaches the end of what was searched.
        public var isOpenEnded: Bool
    }

    /// Open calls.
    public struct Stack: Codable, Hashable, Sendable {
        /// Branches from which the stack was rebuilt.
        public var branchesSeen: Counter
        /// Whether the outermost frame is known to be the beginning.
        public var isComplete: Bool
        /// The open calls, the innermost first.
        public var frames: [Frame]
        /// Calls of the firmware and the boot code below a kernel's stack, which `frames` leaves out; nil if none.
        public var firmwareFrames: Int?

        /// An open call.
        public struct Frame: Codable, Hashable, Sendable {
            /// How the frame was entered.
            public var entry: Entry
            /// The instruction that called, or that was interrupted.
            public var callSite: HexWord
            /// The symbol at `callSite`.
            public var callSiteSymbol: String?
            /// The linkage name of `callSiteSymbol`, if that is demangled.
            public var callSiteLinkageName: String?
            /// The source position of `callSite`.
            public var source: String?
            /// The address that was called.
            public var target: HexWord
            /// The symbol at `target`.
            public var targetSymbol: String?
            /// The linkage name of `targetSymbol`, if that is demangled.
            public var targetLinkageName: String?
            /// The clock of the call.
            public var brctr: Counter

            enum CodingKeys: String, CodingKey {
                case entry, callSite, callSiteSymbol, source, target, targetSymbol, brctr
                case callSiteLinkageName = "call_site_linkage_name"
                case targetLinkageName = "target_linkage_name"
            }
        }

        /// How a frame was entered.
        public enum Entry: String, Codable, Hashable, Sendable, CaseIterable {
            /// By a call.
            case call
            /// By an interrupt, an exception or a fault.
            case interruption
            /// By a system call or a software interrupt.
            case systemCall = "system-call"
            /// By a return from the kernel to a place that no open call explains: a new task or a signal handler.
            case start
        }
    }
}
