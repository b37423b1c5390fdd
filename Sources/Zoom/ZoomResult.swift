// SPDX-License-Identifier: GPL-2.0-or-later

import MachineCode

/// What running a window of both sides again has shown.
public struct ZoomResult: Sendable {
    /// How far the explanation reaches.
    public enum Outcome: String, Sendable, CaseIterable, Codable {
        /// The chain begins with the first different value.
        case explained
        /// The chain begins with a value that differed before, for a reason that was not found.
        case partial
        /// No chain was found.
        case unexplained
        /// A side could not be run.
        case notRun = "not-run"
        /// The user interrupted the tool before a chain was found.
        case interrupted
        /// The time that was allowed was up before a chain was found.
        case budget
    }

    /// Where the first different value came from.
    public enum Origin: String, Sendable, CaseIterable, Codable {
        /// An instruction read it from outside: a port, a clock, a random number.
        case input
        /// A device wrote it to memory.
        case device
        /// It was different before the first instruction: in a file of the guest.
        case file
        /// The instructions themselves differ.
        case code
        /// An interrupt or exception came on one side only.
        case event
        /// Memory differed at the window's start.
        case memory
        /// A register differed at the window's start.
        case register
    }

    /// One step of the chain: an instruction that both sides executed.
    public struct Link: Sendable {
        /// What the instruction does for the chain.
        public enum Role: String, Sendable, CaseIterable, Codable {
            /// It brings in a value from outside.
            case input
            /// It reads the different value from memory.
            case load
            /// It writes the different value to memory.
            case store
            /// It computes a register from others.
            case compute
            /// The two sides go different ways after it.
            case decide
        }

        /// What it does.
        public var role: Role
        /// Instructions of the window before it.
        public var index: Int
        /// Instructions begun before it, as the logs count them; nil if that is unknown.
        public var icount: UInt64?
        /// Instructions before it in QEMU's count, where its monitor stops (`replay-break`): fewer by the faults between the
        /// window's start and it.
        public var place: UInt64?
        /// The instruction's address.
        public var ip: UInt64
        /// The instruction as text, in AT&T's syntax.
        public var instruction: String
        /// The register that carries the difference on, by its name.
        public var register: String?
        /// The memory that it reads or writes.
        public var memory: Memory?
        /// The value of the original; nil if it is unknown.
        public var original: UInt64?
        /// The value of the replay; nil if it is unknown.
        public var replay: UInt64?
    }

    /// A side.
    public enum Side: String, Sendable, CaseIterable, Codable {
        /// The recording, or the good run.
        case original
        /// The run that is compared with it.
        case replay
    }

    /// The last instruction that both sides execute in common, and where each goes after it.
    public struct Parting: Sendable, Hashable {
        /// The instruction's address.
        public var ip: UInt64
        /// The original's next instruction.
        public var original: UInt64
        /// The replay's next instruction.
        public var replay: UInt64
        /// Instructions begun before it, as the original's log counts them; nil if that is unknown.
        public var icount: UInt64?
        /// Branches before it in the original's log; nil if that is unknown.
        public var clock: UInt64?
    }

    /// A register and its value as QEMU writes it.
    public struct RegisterItem: Sendable, Hashable {
        /// QEMU's name.
        public var name: String
        /// Hexadecimal digits.
        public var value: String
    }

    /// The registers of ``registers``.
    static let shownRegisters: Set = [
        "RAX", "RBX", "RCX", "RDX", "RSI", "RDI", "RBP", "RSP", "R8", "R9", "R10", "R11", "R12", "R13", "R14", "R15",
        "RIP", "RFL", "CR2", "CR3",
    ]

    /// A place in memory.
    public struct Memory: Sendable, Hashable {
        /// The address that the instruction used.
        public var virtual: UInt64
        /// The guest's physical address.
        public var physical: UInt64
        /// Bytes.
        public var size: Int
    }

    /// A word or register that differs at the window's start.
    public struct StateItem: Sendable {
        /// The register's name; nil for memory.
        public var register: String?
        /// The physical address; nil for a register.
        public var physical: UInt64?
        /// The original's value, as text.
        public var original: String
        /// The replay's value, as text.
        public var replay: String
    }

    /// A task of a Linux guest. The texts are the guest's.
    public struct Task: Sendable, Hashable {
        /// `comm`.
        public var name: String
        /// `pid`: the thread's number.
        public var process: Int32
        /// `tgid`: the number that programs see as the process's.
        public var group: Int32
        /// The path of its program in the program's file system; nil for a task of the kernel.
        public var program: String?
    }

    /// What was done, and what it cost.
    public struct Step: Sendable {
        /// In words.
        public var text: String
        /// Host seconds.
        public var seconds: Double
    }

    /// How far the explanation reaches.
    public var outcome = Outcome.unexplained
    /// One sentence about what limits the explanation; nil if nothing does.
    public var reason: String?
    /// Where the first different value came from; nil if that is unknown.
    public var origin: Origin?
    /// One sentence about the origin, without names of functions.
    public var originText: String?
    /// The steps in their order.
    public var steps: [Step] = []
    /// Host seconds of all steps.
    public var seconds: Double { steps.reduce(0) { $0 + $1.seconds } }
    /// The window, in instructions as QEMU counts them.
    public var window: Range<UInt64>?
    /// Instructions of the window that both sides executed.
    public var commonInstructions = 0
    /// Words and registers that differ at the window's start: the first ones.
    public var startItems: [StateItem] = []
    /// Memory words that differ at the window's start.
    public var startWords = 0
    /// From the first different value to the instruction after which the paths differ.
    public var chain: [Link] = []
    /// The task that ran on each side at the end of the chain; nil if that is unknown.
    public var running: (original: Task?, replay: Task?)
    /// Where the paths part; nil if the window does not show it.
    public var parting: Parting?
    /// The side that was run, if the other could not be.
    public var onlySide: Side?
    /// The registers of that side before the chain's last instruction.
    public var registers: [RegisterItem] = []
    /// What the sides' runs had to say about their files.
    public var warnings: [String] = []

    /// Whether a difference of the two sides was found.
    public var showsDifference: Bool { onlySide == nil && !chain.isEmpty }

    /// An empty result.
    public init() {}
}
