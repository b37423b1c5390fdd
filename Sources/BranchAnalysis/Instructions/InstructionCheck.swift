// SPDX-License-Identifier: GPL-2.0-or-later

import LogFormat
import MachineCode
import Symbolize

/// Checks a log against the files whose code ran: every stretch between two branches must decode to its end, the number
/// of its instructions must be the number that began, and the instruction that a branch left must have the class in the
/// branch's label.
///
///     let check = try InstructionCheck.run(log, code)
///     print(check.equal, check.repeated, check.contradictions)
///
/// The rules of counting (docs/log-format.md): a branch's icount is the number of instructions that began before the
/// one at its target. An instruction that an exception left has begun too: it counts in the stretch that it ends. If it
/// begins again, it also counts in the stretch that it begins. Each iteration of a repeated string instruction counts.
public struct InstructionCheck: Sendable {
    /// A stretch that the files contradict.
    public struct Contradiction: Sendable, Hashable {
        /// The vCPU that ran the stretch.
        public var vcpu: UInt16
        /// The branch that ended the stretch.
        public var branch: Branch
        /// The stretch as the files' code decodes.
        public var stretch: Stretch
        /// The number of instructions that began, from the log; `nil` in a log without counts.
        public var begun: UInt64?
        /// The kind of contradiction.
        public var reason: Reason
    }

    /// The kind of contradiction.
    public enum Reason: Sendable, Hashable {
        /// The stretch does not decode to its end.
        case decoding(Stretch.Outcome)
        /// Another number of instructions began.
        case count
        /// The label's class is not that of the instruction.
        case label
        /// According to the label the branch went to the instruction's static target, but that is another address.
        case target
    }

    /// The largest number of places that are kept.
    public static let placeLimit = 1 << 16

    /// Stretches: branches in the log that could be read.
    public internal(set) var stretches: UInt64 = 0
    /// Stretches that begin in code of the files, and whose beginning is known.
    public internal(set) var checked: UInt64 = 0
    /// Stretches that decode, with the number of instructions that began.
    public internal(set) var equal: UInt64 = 0
    /// Decoded, and the number of instructions is not known, because the log has no counts.
    public internal(set) var uncounted: UInt64 = 0
    /// Decoded, more began than there are: the stretch has a repeated string instruction.
    public internal(set) var repeated: UInt64 = 0
    /// Iterations of these after the first.
    public internal(set) var iterations: UInt64 = 0
    /// Stretches that the file's code contradicts, but in which the kernel patches its code according to its own tables
    /// (``CodeMap/findPatchSites(_:)``): the rest decodes, and the number of instructions is possible.
    public internal(set) var patched: UInt64 = 0
    /// How many of these have the right number of instructions with one at each patched place, such as the nop or jump
    /// of a static key, the beginning of a traced function, or a return.
    public internal(set) var patchedExactly: UInt64 = 0
    /// The recorder did not see which instruction was left, nor whether it began.
    public internal(set) var unseen: UInt64 = 0
    /// Begin where no file has code.
    public internal(set) var outside: UInt64 = 0
    /// Instructions that began in these.
    public internal(set) var outsideInstructions: UInt64 = 0
    /// Stretches without a known beginning: the first of a vCPU, the first after a gap.
    public internal(set) var withoutBeginning: UInt64 = 0
    /// How many of the checked ones an interrupt, an exception or a fault ended.
    public internal(set) var discontinued: UInt64 = 0
    /// How many of the checked ones begin with an instruction that an interrupt, exception or fault had left: it began
    /// again.
    public internal(set) var restarted: UInt64 = 0
    /// Instructions that began in the checked stretches.
    public internal(set) var instructions: UInt64 = 0
    /// The number of checked stretches by the mode in which they ran.
    public internal(set) var modes: [CodeMode: UInt64] = [:]
    /// Contradictions by reason.
    public internal(set) var contradicted: [Reason: UInt64] = [:]
    /// The distinct instructions at which a stretch contradicts, at most ``placeLimit``.
    public internal(set) var places: Set<UInt64> = []
    /// The first of them, each at another instruction.
    public internal(set) var contradictions: [Contradiction] = []
    /// Parts of the log that could not be read.
    public internal(set) var damage: [Damage] = []

    /// All contradictions.
    public var unexplained: UInt64 { contradicted.values.reduce(0, &+) }

    /// Checks the whole log.
    ///
    /// - Parameters:
    ///   - keeping: the number of contradictions that are kept with their positions.
    ///   - progress: receives the number of branches checked so far, from time to time.
    public static func run(
        _ log: LogFile, _ code: CodeMap, keeping: Int = 10, progress: (UInt64) -> Void = { _ in }
    ) throws(DisassemblerError) -> InstructionCheck {
        let disassembler = try Disassembler()
        var result = InstructionCheck()
        for vcpu in log.vcpus {
            var part = InstructionCheckPass(log, vcpu, code, disassembler, keeping: keeping)
            var branches = log.branches(vcpu: vcpu)
            while branches.nextBatch({ batch, range in
                part.feed(batch, range)
                progress(result.stretches &+ part.result.stretches)
            }) {}
            result.add(part.result)
            result.damage += branches.skipped
        }
        result.contradictions = Array(result.contradictions.prefix(keeping))
        return result
    }

    private mutating func add(_ other: InstructionCheck) {
        stretches &+= other.stretches
        checked &+= other.checked
        equal &+= other.equal
        uncounted &+= other.uncounted
        repeated &+= other.repeated
        iterations &+= other.iterations
        patched &+= other.patched
        patchedExactly &+= other.patchedExactly
        unseen &+= other.unseen
        outside &+= other.outside
        outsideInstructions &+= other.outsideInstructions
        withoutBeginning &+= other.withoutBeginning
        discontinued &+= other.discontinued
        restarted &+= other.restarted
        instructions &+= other.instructions
        modes.merge(other.modes, uniquingKeysWith: &+)
        contradicted.merge(other.contradicted, uniquingKeysWith: &+)
        places.formUnion(other.places)
        contradictions += other.contradictions
    }
}

extension InstructionCheck.Reason {
    /// The reason's name in machine-readable output.
    public var name: String {
        switch self {
        case .decoding(let outcome): outcome.name
        case .count: "count"
        case .label: "label"
        case .target: "target"
        }
    }
}
