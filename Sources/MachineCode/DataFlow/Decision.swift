// SPDX-License-Identifier: GPL-2.0-or-later

import LogFormat

/// The instruction that decides where control goes, and where the data came from by which it decides.
public struct Decision: Hashable, Sendable {
    /// An instruction that made a part of the data.
    public struct Step: Hashable, Sendable {
        /// The instruction's address in the run.
        public var address: UInt64
        /// Mnemonic and operands, in the GNU tools' syntax.
        public var text: String
        /// The registers of interest that it sets, by name (``RegisterUse/Register/name``).
        public var sets: [String]
        /// The memory that it reads. Loads end the search: where the memory got its contents is not followed.
        public var loads: [MemoryOperand]
        /// Whether its result comes from outside the guest (a port, a clock, …). That ends the search as well.
        public var isInput: Bool
        /// How often it ran in a row with nothing of interest between: the turns of a loop.
        public var count: Int
    }

    /// The deciding instruction; `sets` is empty.
    public var instruction: Step
    /// The instructions that made its data, the latest first.
    public var steps: [Step]
    /// Registers whose values are older than the code that was followed, by name.
    public var registers: [String]
    /// The first instruction that was followed.
    public var since: UInt64
    /// How many instructions were followed.
    public var followed: Int
}

/// Follows data backwards through code that ran.
///
///     let finder = try DecisionFinder(code: code)
///     // The code that ran before a conditional jump at 0x1010: from the target of one branch to the next branch.
///     let decision = finder.find([0x1000...0x1010, 0x2000...0x2008])
public final class DecisionFinder {
    private let code: CodeMap
    private let reader: Disassembler
    private let writer: Disassembler

    /// The number of instructions that are followed.
    private static let reach = 4096
    /// The number of different steps.
    private static let stepLimit = 32

    /// - Throws: `DisassemblerError` when the installed capstone cannot do x86.
    public init(code: CodeMap) throws(DisassemblerError) {
        self.code = code
        reader = try Disassembler(syntax: .intel)
        writer = try Disassembler(syntax: .att)
    }

    private struct Executed {
        var instruction: Instruction
        var loads: [MemoryOperand]
        /// Whether its result comes from outside.
        var isInput: Bool
        /// Registers whose values the results depend on. The stack pointer counts as an address.
        var reads: Set<RegisterUse.Register> = []
        /// Registers that are replaced as a whole.
        var writes: Set<RegisterUse.Register> = []
        /// Registers that keep a part of their value, or keep it under a condition.
        var changes: Set<RegisterUse.Register> = []
        var text: String

        init(_ instruction: Instruction, _ effects: InstructionEffects, _ loads: [MemoryOperand], text: String) {
            self.instruction = instruction
            self.loads = loads
            self.text = text
            isInput = effects.input != nil
            if !isInput { reads = Set(effects.reads.map(\.register)).subtracting([.rsp]) }
            // Of the flags, string instructions read the direction.
            if effects.advances.contains(.rsi) { reads.remove(.flags) }
            let isConditional = text.hasPrefix("cmov")
            for write in effects.writes {
                // 32 bits are the whole register, or all that the code uses.
                if write.bytes & 0x0f == 0x0f, !isConditional {
                    writes.insert(write.register)
                } else {
                    changes.insert(write.register)
                }
            }
        }
    }

    /// Finds what the last instruction of the first stretch decides by.
    ///
    /// - Parameters:
    ///   - stretches: Code that ran without a branch inside, the latest first: the addresses of the first and the last
    ///     instruction. Each ended with the branch to the stretch before it in the list.
    ///   - class: The class of the deciding instruction, if known. A file with another instruction there is not the code
    ///     that ran.
    /// - Returns: nil if there is no code at the deciding instruction, or if it decides nothing. The search ends early
    ///   where the code cannot be read.
    public func find(_ stretches: [ClosedRange<UInt64>], class wanted: BranchClass? = nil) -> Decision? {
        guard let first = stretches.first else { return nil }
        let start = instructions(first) ?? instructions(first.upperBound...first.upperBound)
        guard let start, let last = start.last, wanted == nil || last.instruction.branchClass == wanted else {
            return nil
        }
        var search = Search(deciding: last)
        search.follow(start.dropLast())
        if start.count == 1, first.lowerBound != first.upperBound { return search.decision }
        for stretch in stretches.dropFirst() where !search.isDone {
            guard let executed = instructions(stretch) else { break }
            search.follow(executed[...])
        }
        return search.decision
    }

    /// The instructions of a stretch, in order; nil if they cannot be read or do not end at its last one.
    private func instructions(_ stretch: ClosedRange<UInt64>) -> [Executed]? {
        guard stretch.upperBound - stretch.lowerBound <= 15 * UInt64(DecisionFinder.reach) else { return nil }
        var found: [Executed] = []
        var address = stretch.lowerBound
        while address <= stretch.upperBound, found.count < DecisionFinder.reach {
            let mode = code.mode(at: address) ?? .bits64
            let decoded = code.withBytes(at: address) { bytes -> Executed? in
                guard let (instruction, effects) = reader.effects(of: bytes, at: address, mode: mode),
                    writer.decode(bytes, at: address, mode: mode) != nil
                else { return nil }
                return Executed(instruction, effects, reader.loads(of: instruction), text: writer.text)
            }
            guard let executed = decoded ?? nil else { return nil }
            found.append(executed)
            if address == stretch.upperBound { return found }
            address = executed.instruction.fallThrough
        }
        return nil
    }

    /// The state of a search backwards.
    private struct Search {
        private(set) var decision: Decision
        private var open: Set<RegisterUse.Register>

        init(deciding last: Executed) {
            open = last.reads
            // An indirect branch chooses its memory by the address.
            for load in last.loads where load.text != "(%rsp)" { open.formUnion(load.registers) }
            decision = Decision(
                instruction: Search.step(last, sets: []), steps: [], registers: [], since: last.instruction.address,
                followed: 1)
            decision.registers = Search.names(open)
        }

        private static func names(_ registers: Set<RegisterUse.Register>) -> [String] {
            registers.sorted { $0.rawValue < $1.rawValue }.map(\.name)
        }

        var isDone: Bool {
            open.isEmpty || decision.followed >= DecisionFinder.reach
                || decision.steps.count >= DecisionFinder.stepLimit
        }

        static func step(_ executed: Executed, sets: [String]) -> Decision.Step {
            Decision.Step(
                address: executed.instruction.address, text: executed.text, sets: sets, loads: executed.loads,
                isInput: executed.isInput, count: 1)
        }

        mutating func follow(_ executed: ArraySlice<Executed>) {
            for one in executed.reversed() where !isDone {
                decision.followed += 1
                decision.since = one.instruction.address
                let set = open.intersection(one.writes.union(one.changes))
                guard !set.isEmpty else { continue }
                add(Search.step(one, sets: Search.names(set)))
                open.subtract(one.writes)
                open.formUnion(one.reads)
            }
            decision.registers = Search.names(open)
        }

        private mutating func add(_ step: Decision.Step) {
            if let last = decision.steps.last, last.address == step.address {
                decision.steps[decision.steps.count - 1].count += 1
                decision.steps[decision.steps.count - 1].sets += step.sets.filter { !last.sets.contains($0) }
            } else {
                decision.steps.append(step)
            }
        }
    }
}
