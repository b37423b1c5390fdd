// SPDX-License-Identifier: GPL-2.0-or-later

import Formatting
import MachineCode
import ReplaySession

/// The steps of a zoom: stops, windows, chains.
struct Search {
    let zoom: ZoomSession
    let sides: SidePair
    let places: QEMUPlaces
    /// Words that differ before the first instruction.
    let initial: Set<UInt64>
    /// Names the step that progress is about.
    let name: (String) -> Void
    /// What differed at stops.
    let history = StopHistory()

    /// A window of both sides, read.
    struct Window {
        var pair: TracePair
        var table: EffectsTable
        var start: StateDifference
        /// Where it begins and ends, in QEMU's count.
        var range: Range<UInt64>
        /// The tasks that ran at its beginning.
        var tasks: (original: RunningTask?, replay: RunningTask?)
    }

    /// What differs while both sides are stopped.
    struct StateDifference {
        var words: GuestMemory.Differences
        var registers: [(name: String, here: String, there: String)]

        /// Registers that carry data.
        var dataRegisters: Set<RegisterUse.Register> {
            let names = Set(registers.map(\.name))
            return Set(
                RegisterUse.Register.allCases.filter { names.contains($0.upperName) || names.contains($0.vectorName) })
        }
    }

    /// The number of times that a chain is looked for.
    private static let rounds = 3

    // MARK: Stops and windows

    /// Runs both sides to a place. Throws if one of them does not reach it.
    func run(to place: UInt64, _ step: String) throws {
        name(step)
        try require(try zoom.timed("\(step) to instruction \(place)") { try sides.run(to: place) }, at: place)
    }

    /// Runs both sides to a place, with stops at which memory is compared: they show later when a word became different.
    func runComparing(to place: UInt64) throws {
        name("running both sides")
        let count = UInt64(zoom.options.stops)
        history.add(sides.original.icount, sides.memoryDifferences())
        for step in 1...max(1, count) {
            let stop = step == count ? place : places.stop(at: place / max(1, count) * step)
            guard stop > sides.original.icount, stop <= place else { continue }
            try require(try sides.run(to: stop), at: stop)
            history.add(stop, sides.memoryDifferences())
        }
    }

    /// Throws if a side did not reach a place.
    private func require(_ stops: (original: ReplaySide.Stop, replay: ReplaySide.Stop), at place: UInt64) throws {
        for (side, stop) in [("original", stops.original), ("replay", stops.replay)] where stop != .reached {
            throw ZoomError("the \(side) does not reach instruction \(place): \(stop.text)")
        }
    }

    /// Compares memory and registers.
    func compare() throws -> StateDifference {
        StateDifference(words: sides.memoryDifferences(), registers: try sides.registerDifferences())
    }

    /// Logs from here to a place on both sides. A side may end or hang in it.
    func logged(to end: UInt64, start: StateDifference) throws -> Window {
        let begin = sides.original.icount
        let mode = try sides.original.registers().codeBits
        let tasks = try runningTasks()
        try sides.openWindow()
        _ = try sides.run(to: end)
        try sides.closeWindow()
        let original = WindowTrace(sides.original.window)
        let table = try EffectsTable(original, mode: CodeMode(rawValue: UInt8(mode)) ?? .bits64)
        let pair = TracePair(original, WindowTrace(sides.replay.window))
        return Window(pair: pair, table: table, start: start, range: begin..<end, tasks: tasks)
    }

    // MARK: A path

    /// Explains a difference of the paths.
    ///
    /// - Parameter branches: branches of the original's log around it.
    func explainPath(_ icount: UInt64, _ branches: [ZoomSession.Landmark]) throws {
        let (begin, end) = places.window(before: icount, zoom.options)
        try zoom.timed("running both sides to instruction \(begin), compared at stops") { try runComparing(to: begin) }
        let start = try compare()
        note(start)
        try keepCheckpoint()
        let window = try zoom.timed("logging every instruction up to \(end)") { try logged(to: end, start: start) }
        zoom.result.window = window.range
        zoom.result.commonInstructions = window.pair.commonCount
        let range = places.range(ofLog: icount)
        let before = window.pair.original.instructionsBefore(
            branches, from: begin, faults: range.upperBound - range.lowerBound)
        let chainEnd = try zoom.timed("walking back") { try explain(window, before: before) }
        try followBack(chainEnd, before: window.range.lowerBound)
    }

    /// - Parameter before: instructions begun before the window, as the log counts them; nil if that is unknown.
    private func explain(_ window: Window, before: UInt64?) throws -> ChainFinder.End {
        func count(_ index: Int) -> UInt64? { before.map { $0 + UInt64(index) + 1 } }
        guard window.pair.hasPathDifference else {
            // The sides did not part: a value differs, or nothing does.
            guard let first = window.pair.firstDifferentAccess() else { return try explainRegister(window) }
            return try take(window, first, last: count(first), isAccess: true)
        }
        let last = window.pair.commonCount - 1
        guard last >= 0 else {
            zoom.result.reason = "the sides are at different places at the window's start"
            return .none
        }
        noteParting(window, icount: count(last).map { $0 - 1 })
        return try take(window, last, last: count(last), isAccess: false)
    }

    /// Keeps where the paths of a window part.
    ///
    /// - Parameters:
    ///   - icount: instructions begun before the last common one, as the log counts them; nil if that is unknown.
    ///   - clock: branches before.
    func noteParting(_ window: Window, icount: UInt64? = nil, clock: UInt64? = nil) {
        let pair = window.pair
        let last = pair.commonCount - 1
        guard pair.hasPathDifference, last >= 0 else { return }
        zoom.result.parting = ZoomResult.Parting(
            ip: pair.original.addresses[last], original: pair.original.addresses[last + 1],
            replay: pair.replay.addresses[last + 1], icount: icount, clock: clock)
    }

    /// Explains a register that differs at the window's end, where neither the path nor an access differs.
    private func explainRegister(_ window: Window) throws -> ChainFinder.End {
        let state = StateDifference(words: GuestMemory.Differences(), registers: try sides.registerDifferences())
        guard let register = state.dataRegisters.min(by: { $0.rawValue < $1.rawValue }) else {
            // What differs, such as the value of an input, has no effect here: look for the first one that has.
            try explainBetween(sides.original.icount, places.end &- min(places.end, 64))
            return .none
        }
        noteTasks(window, at: window.pair.commonCount)
        let (chains, values) = try chains(in: window) { $0.chains(toRegister: register) }
        guard let chain = chains.first else { return .none }
        let maker = LinkMaker(
            pair: window.pair, table: window.table, decider: 0, begin: window.range.lowerBound, icount: nil,
            values: values)
        zoom.result.chain = chain.nodes.map(maker.link)
        OriginMaker(window: window, places: places, initial: initial).describe(chain.end, &zoom.result)
        return chain.end
    }

    /// Finds the chain to an instruction and makes the result of it.
    ///
    /// - Parameter last: instructions begun after it, as the logs count them; nil if that is unknown.
    /// - Parameter filled: words that differ because a device filled them, as far as that is known.
    /// - Returns: where the chain begins.
    @discardableResult
    func take(
        _ window: Window, _ index: Int, last: UInt64?, isAccess: Bool, filled: Set<UInt64> = []
    ) throws -> ChainFinder.End {
        noteTasks(window, at: index)
        let (chains, values) = try chains(in: window) { finder in
            isAccess ? finder.chains(toAccessOf: index) : finder.chains(to: index)
        }
        guard let chain = chains.first else { return .none }
        let maker = LinkMaker(
            pair: window.pair, table: window.table, decider: index, begin: window.range.lowerBound, icount: last,
            values: values)
        zoom.result.chain = chain.nodes.map(maker.link)
        OriginMaker(window: window, places: places, initial: initial, filled: filled).describe(chain.end, &zoom.result)
        return chain.end
    }

    /// Finds chains in a window. Each round reads registers after the instructions of the chains, so that the next round
    /// leaves out what is equal.
    func chains(
        in window: Window, _ find: (inout ChainFinder) -> [ChainFinder.Chain]
    ) throws -> (chains: [ChainFinder.Chain], values: RegisterValues) {
        var values = RegisterValues()
        var chains: [ChainFinder.Chain] = []
        for _ in 0..<Search.rounds {
            var finder = ChainFinder(
                window.pair, window.table, startRegisters: window.start.dataRegisters,
                startWords: Set(window.start.words.words), values: values)
            chains = find(&finder)
            let known = values.count
            values = try self.values(of: chains, window, known: values)
            if values.count == known || !chains.contains(where: { $0.nodes.contains(where: values.isEqual) }) { break }
        }
        return (chains, values)
    }

    /// Keeps what differs at the window's start for the report.
    func note(_ start: StateDifference) {
        zoom.result.startWords = start.words.count
        zoom.result.startItems = start.words.words.prefix(16).map { word in
            ZoomResult.StateItem(
                register: nil, physical: word, original: hexadecimal(sides.original.memory.value(at: word)),
                replay: hexadecimal(sides.replay.memory.value(at: word)))
        }
        zoom.result.startItems += start.registers.prefix(32).map {
            ZoomResult.StateItem(register: $0.name, physical: nil, original: $0.here, replay: $0.there)
        }
    }

    private func hexadecimal(_ value: UInt64?) -> String { value.map(RowText.hex) ?? "?" }
}

/// The words that differed at the stops of a run.
final class StopHistory {
    private var stops: [(place: UInt64, words: Set<UInt64>)] = []
    /// Whether all words are known.
    private var isComplete = true

    func add(_ place: UInt64, _ differences: GuestMemory.Differences) {
        stops.append((place, Set(differences.words)))
        if differences.count > differences.words.count { isComplete = false }
    }

    /// The last stretch between two stops before `last` in which one of the words became different. nil if it is unknown.
    func lastChange(of words: Set<UInt64>, before last: UInt64) -> Range<UInt64>? {
        guard isComplete else { return nil }
        var found: Range<UInt64>?
        for (before, after) in zip(stops, stops.dropFirst()) where after.place <= last {
            if before.words.isDisjoint(with: words), !after.words.isDisjoint(with: words) {
                found = before.place..<after.place
            }
        }
        return found
    }
}

extension ReplaySide.Stop {
    /// The end of a sentence.
    var text: String {
        switch self {
        case .reached: "it was reached"
        case .ended: "the run ends before"
        case .hung(let icount): "it makes no progress after instruction \(icount)"
        }
    }
}

extension RegisterUse.Register {
    /// QEMU's name of a vector register; the same as `upperName` for others.
    var vectorName: String {
        guard rawValue >= RegisterUse.Register.xmm0.rawValue, rawValue <= RegisterUse.Register.xmm15.rawValue else {
            return upperName
        }
        let number = rawValue - RegisterUse.Register.xmm0.rawValue
        return "XMM\(number < 10 ? "0" : "")\(number)"
    }
}
