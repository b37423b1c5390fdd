// SPDX-License-Identifier: GPL-2.0-or-later

import Formatting
import Zoom

extension DivergenceDocument {
    /// What running both sides again has shown.
    public struct ZoomItem: Codable, Hashable, Sendable {
        /// How far the explanation reaches.
        public var outcome: ZoomResult.Outcome
        /// What limits the explanation; nil if nothing does.
        public var reason: String?
        /// Where the first different value came from; nil if that is unknown.
        public var origin: ZoomResult.Origin?
        /// The same in one sentence without a final period.
        public var originText: String?
        /// From the first different value to the instruction after which the paths differ.
        public var chain: [LinkItem]
        /// The side that was run, if the other could not be.
        public var onlySide: ZoomResult.Side?
        /// Where the paths part; nil if the window does not show it.
        public var branch: PartingItem?
        /// The registers of the one side that was run, before the chain's last instruction.
        public var registers: [RegisterItem]?
        /// The task that ran at the end of the chain; nil if that is unknown.
        public var running: TasksItem?
        /// The first instruction of the window, as QEMU counts them; nil without a window.
        public var windowFrom: Counter?
        /// The instruction after the window's last.
        public var windowTo: Counter?
        /// Instructions of the window that both sides executed.
        public var commonInstructions: Counter
        /// 8-byte words of memory that differ at the window's start.
        public var startWords: Counter
        /// Words and registers that differ at the window's start: the first ones.
        public var startItems: [StateItem]
        /// What was done, and what it cost.
        public var steps: [StepItem]
        /// Host seconds of all steps; nil if they were left out.
        public var seconds: Double?
        /// What the runs' files made known.
        public var warnings: [String]
    }

    /// The last instruction that both sides execute in common, and where each goes after it.
    public struct PartingItem: Codable, Hashable, Sendable {
        /// The instruction's address.
        public var ip: HexWord
        /// The symbol at `ip`.
        public var symbol: String?
        /// The source position at `ip`.
        public var source: String?
        /// The original's next instruction.
        public var original: HexWord
        /// The symbol there.
        public var originalSymbol: String?
        /// The replay's next instruction.
        public var replay: HexWord
        /// The symbol there.
        public var replaySymbol: String?
        /// Branches before it in the original's log; nil if that is unknown.
        public var brctr: Counter?
        /// Instructions begun before it, as the original's log counts them; nil if that is unknown.
        public var icount: Counter?
    }

    /// A register and its value.
    public struct RegisterItem: Codable, Hashable, Sendable {
        /// QEMU's name.
        public var name: String
        /// Hexadecimal digits.
        public var value: String
    }

    /// The tasks that ran on both sides.
    public struct TasksItem: Codable, Hashable, Sendable {
        /// The original's.
        public var original: TaskItem?
        /// The replay's.
        public var replay: TaskItem?
    }

    /// A task of a Linux guest. The texts are the guest's.
    public struct TaskItem: Codable, Hashable, Sendable {
        /// `comm`.
        public var name: String
        /// `pid`: the thread's number.
        public var pid: Int
        /// `tgid`: the process's number.
        public var tgid: Int
        /// The path of its program in the program's file system; nil for a task of the kernel.
        public var program: String?

        init(_ task: ZoomResult.Task) {
            (name, pid, tgid, program) = (task.name, Int(task.process), Int(task.group), task.program)
        }
    }

    /// An instruction of a chain.
    public struct LinkItem: Codable, Hashable, Sendable {
        /// What the instruction does for the chain.
        public var role: ZoomResult.Link.Role
        /// Instructions begun before it; nil if that is unknown.
        public var icount: Counter?
        /// Instructions of the window before it.
        public var index: Counter
        /// Instructions before it in QEMU's count, where its monitor stops (`replay-break`): fewer by the faults between the
        /// window's start and it.
        public var place: Counter?
        /// The instruction's address.
        public var ip: HexWord
        /// The symbol at `ip`.
        public var symbol: String?
        /// The linkage name of `symbol`, if that is demangled.
        public var linkageName: String?
        /// The source position at `ip`.
        public var source: String?
        /// The instruction as text.
        public var instruction: String
        /// The register that carries the difference on.
        public var register: String?
        /// The address of the memory that it reads or writes.
        public var address: HexWord?
        /// The symbol at `address`.
        public var addressSymbol: String?
        /// The physical address of that memory.
        public var physical: HexWord?
        /// Bytes of that memory.
        public var size: Int?
        /// The original's value.
        public var original: HexWord?
        /// The replay's value.
        public var replay: HexWord?

        enum CodingKeys: String, CodingKey {
            case role, icount, index, place, ip, symbol, source, instruction, register, address, addressSymbol,
                physical, size
            case original, replay
            case linkageName = "linkage_name"
        }
    }

    /// A word of memory or a register that differs.
    public struct StateItem: Codable, Hashable, Sendable {
        /// The register's name; nil for memory.
        public var register: String?
        /// The physical address of the word; nil for a register.
        public var physical: HexWord?
        /// The original's value, hexadecimal.
        public var original: String
        /// The replay's value, hexadecimal.
        public var replay: String
    }

    /// A step of a zoom.
    public struct StepItem: Codable, Hashable, Sendable {
        /// What was done.
        public var text: String
        /// Host seconds; nil if they were left out.
        public var seconds: Double?
    }

    /// Adds what running both sides again has shown. If the logs show no difference and this does, the exit status
    /// becomes 1.
    mutating func add(_ result: ZoomResult, original: ReportedRun, replay: ReportedRun) {
        let (first, second) = (Names(symbolizer: original.symbolizer), Names(symbolizer: replay.symbolizer))
        let names = result.onlySide == .replay ? second : first
        zoom = ZoomItem(
            outcome: result.outcome, reason: result.reason, origin: result.origin, originText: result.originText,
            chain: result.chain.map { DivergenceDocument.item($0, names) },
            onlySide: result.onlySide,
            branch: result.parting.map { parting in
                PartingItem(
                    ip: HexWord(parting.ip), symbol: first.symbol(parting.ip), source: first.source(parting.ip),
                    original: HexWord(parting.original), originalSymbol: first.symbol(parting.original),
                    replay: HexWord(parting.replay), replaySymbol: second.symbol(parting.replay),
                    brctr: parting.clock.map(Counter.init(_:)), icount: parting.icount.map(Counter.init(_:)))
            },
            registers: result.registers.isEmpty
                ? nil : result.registers.map { RegisterItem(name: $0.name, value: $0.value) },
            running: result.running.original == nil && result.running.replay == nil
                ? nil
                : TasksItem(
                    original: result.running.original.map(TaskItem.init),
                    replay: result.running.replay.map(TaskItem.init)),
            windowFrom: result.window.map { Counter($0.lowerBound) },
            windowTo: result.window.map { Counter($0.upperBound) },
            commonInstructions: Counter(UInt64(result.commonInstructions)),
            startWords: Counter(UInt64(result.startWords)),
            startItems: result.startItems.map {
                StateItem(
                    register: $0.register, physical: $0.physical.map(HexWord.init(_:)), original: $0.original,
                    replay: $0.replay)
            },
            steps: result.steps.map { StepItem(text: $0.text, seconds: $0.seconds) },
            seconds: result.seconds, warnings: result.warnings.withoutRepetitions)
        if exitStatus == 0, result.showsDifference { exitStatus = 1 }
    }

    private static func item(_ link: ZoomResult.Link, _ names: Names) -> LinkItem {
        LinkItem(
            role: link.role, icount: link.icount.map(Counter.init(_:)), index: Counter(UInt64(link.index)),
            place: link.place.map(Counter.init(_:)),
            ip: HexWord(link.ip), symbol: names.symbol(link.ip), linkageName: names.linkageName(link.ip),
            source: names.source(link.ip), instruction: link.instruction, register: link.register,
            address: link.memory.map { HexWord($0.virtual) },
            addressSymbol: link.memory.flatMap { names.symbol($0.virtual) },
            physical: link.memory.map { HexWord($0.physical) }, size: link.memory?.size,
            original: link.original.map(HexWord.init(_:)), replay: link.replay.map(HexWord.init(_:)))
    }
}

extension [String] {
    /// Each text once, in order: both sides can have the same warning.
    fileprivate var withoutRepetitions: [String] {
        var seen: Set<String> = []
        return filter { seen.insert($0).inserted }
    }
}
