// SPDX-License-Identifier: GPL-2.0-or-later

import LogFormat

/// Compares good runs with bad runs: where do they part, and is there one element at which all of them part?
///
///     let family = try RunFamily(good: good, bad: bad)
///     print(family.critical?.original ?? "no critical event")
public struct RunFamily: Sendable {
    /// How one run relates to the reference.
    public struct Member: Sendable {
        /// The log's path.
        public var path: String
        /// Whether the run is a good one.
        public var isGood: Bool
        /// The verdict against the reference; identical for the reference itself.
        public var verdict: Verdict
        /// The divergence from the reference; nil if there is none.
        public var divergence: Divergence?
        /// The clock up to which the run agrees with the reference.
        public var agreesTo: UInt64
    }

    /// Runs that part from the reference at one place in one way.
    public struct Group: Sendable {
        /// The kind of the verdict.
        public var verdict: Verdict.Kind
        /// The place of the reference; nil for runs without a divergence.
        public var clock: UInt64?
        /// The address there.
        public var ip: UInt64?
        /// The indexes of the members.
        public var members: [Int]
    }

    /// The element at which all good runs and all bad runs part.
    public struct CriticalElement: Sendable, Hashable {
        /// The class of the verdict.
        public var verdict: Verdict.Kind
        /// The position in the good runs.
        public var good: RunPosition
        /// The position in the bad runs.
        public var bad: RunPosition
        /// The element of the good runs there; nil if they lack it.
        public var original: Element?
        /// The element of the bad runs there; nil if they lack it.
        public var replay: Element?
    }

    /// The good run that shares the longest prefix with a bad run: an index of `members`.
    public var reference: Int
    /// All runs, the good ones first, each in the order in which they were given.
    public var members: [Member]
    /// The runs by the place at which they part from the reference, in the order of the places.
    public var groups: [Group]
    /// The first element at which all good and all bad runs part; nil if there is none.
    public var critical: CriticalElement?

    /// Compares good runs with bad runs.
    ///
    /// - Parameters:
    ///   - good: logs of good runs, at least one.
    ///   - bad: logs of bad runs, at least one.
    ///   - progress: receives the number of comparisons that are done, and of all.
    /// - Throws: `LogError` if reading fails.
    public init(
        good: [LogFile], bad: [LogFile], options: AlignmentOptions = AlignmentOptions(),
        progress: (Int, Int) -> Void = { _, _ in }
    ) throws(LogError) {
        precondition(!good.isEmpty && !bad.isEmpty, "a good run and a bad run are needed")
        // One comparison for each good run finds the reference; then each other run is compared with it.
        let total = good.count + (good.count - 1) + (bad.count - 1)
        var done = 0
        var first: [AlignmentResult] = []
        for log in good {
            first.append(try align(log, bad[0], options: options))
            done += 1
            progress(done, total)
        }
        let found = good.indices.max { RunFamily.prefix(first[$0]) < RunFamily.prefix(first[$1]) } ?? 0
        reference = found
        members = []
        for (index, log) in (good + bad).enumerated() {
            let isGood = index < good.count
            var result: AlignmentResult?
            if index == good.count {
                result = first[found]
            } else if index != found {
                result = try align(good[found], log, options: options)
                done += 1
                progress(done, total)
            }
            members.append(
                Member(
                    path: log.path, isGood: isGood, verdict: result?.verdict ?? .identical,
                    divergence: result?.divergence, agreesTo: result.map(RunFamily.prefix) ?? .max))
        }
        groups = RunFamily.groups(members)
        critical = RunFamily.critical(members)
    }

    /// The clock up to which two runs agree; the largest number if they do not differ.
    private static func prefix(_ result: AlignmentResult) -> UInt64 {
        switch result.verdict.kind {
        case .identical: .max
        case .notComparable: 0
        case .controlFlow, .missingEvent, .extraEvent, .movedEvent, .payload, .state, .replayEndedEarly,
            .originalEndedEarly:
            result.divergence?.difference?.clock ?? result.divergence?.original.clock ?? 0
        }
    }

    private static func groups(_ members: [Member]) -> [Group] {
        var groups: [Group] = []
        for (index, member) in members.enumerated() {
            let clock = member.divergence.map { $0.difference?.clock ?? $0.original.clock }
            let known = groups.firstIndex { $0.verdict == member.verdict.kind && $0.clock == clock }
            if let known {
                groups[known].members.append(index)
            } else {
                groups.append(
                    Group(
                        verdict: member.verdict.kind, clock: clock, ip: member.divergence?.original.ip, members: [index]
                    ))
            }
        }
        return groups.sorted { ($0.clock ?? .max) < ($1.clock ?? .max) }
    }

    /// The element at which all good and all bad runs part: all bad runs leave the reference there in one way, and all
    /// good runs agree with the reference after it.
    private static func critical(_ members: [Member]) -> CriticalElement? {
        let bad = members.filter { !$0.isGood }
        guard let first = bad.first?.divergence, let difference = first.difference, difference.isExact,
            bad.allSatisfy({ isSame($0.divergence?.difference, difference) }),
            members.allSatisfy({ !$0.isGood || $0.agreesTo > difference.clock })
        else { return nil }
        return CriticalElement(
            verdict: first.verdict.kind, good: first.original, bad: first.replay, original: difference.original,
            replay: difference.replay)
    }

    /// Whether two runs leave the reference at one element in one way.
    private static func isSame(_ a: FirstDifference?, _ b: FirstDifference) -> Bool {
        guard let a, a.differenceClass == b.differenceClass, a.clock == b.clock, a.isExact else { return false }
        switch (a.replay, b.replay) {
        case (.branch(let x)?, .branch(let y)?): return x.from == y.from && x.to == y.to
        case (.event(let x)?, .event(let y)?):
            return x.kind == y.kind && x.ip == y.ip && x.payload == y.payload && x.clock == y.clock
        case (nil, nil): return true
        default: return false
        }
    }
}
