// SPDX-License-Identifier: GPL-2.0-or-later

/// The checkpoints to which a session can go, and where it keeps new ones.
///
/// They are placed by cost: a way to a place is the load of the checkpoint before it and the run from there, so a new one is due
/// when the run since the last one has taken ``seconds``. Times are QEMU's processor time: other programs on the machine do
/// not count.
struct Checkpoints {
    /// Whether the session keeps new ones.
    var isKept = false
    /// Those that there are.
    var times = CheckpointTimes()
    /// Seconds of the run between two of them.
    var seconds = Checkpoints.aim
    /// How many are kept: one needs some 80 MB with a Linux guest.
    var most = 12
    /// Seconds that the last one took.
    var cost = 0.0
    /// Seconds that the last load took.
    var loadCost = 0.1
    /// Seconds that the run took since the guest was at one.
    var since = 0.0
    /// Seconds of the run at its beginning in which none was kept.
    var skipped = 0.0
    /// Instructions in a second, in the last stretch that was long enough to measure.
    var rate = 250e6
    /// Keeping them takes at most this part of the run's time.
    var share = 0.25
    /// Whether the run goes on from each new one as from one that was loaded: what is measured is then what a way takes.
    var isMeasured = false
    /// Whether this is the session that runs ahead of another one.
    var isAhead = false
    /// Seconds that QEMU takes to start again with other images.
    var changeCost = 0.5
    /// Seconds that other images must save.
    var worthwhile = 0.3
    /// Where the session went last.
    private(set) var visits: [UInt64] = []

    /// A way to any place takes a second at most: this much of the run, a load, and a checkpoint that is kept at its end.
    static let aim = 0.4
    /// Seconds of the run between a place to which the session goes and the checkpoint that it keeps before it: steps back from
    /// there need one before.
    static let lead = 0.03
    private static let visitsKept = 32

    static func name(_ icount: UInt64) -> String { "tt\(icount)" }

    /// The count in a name; nil for another name.
    static func count(_ name: String) -> UInt64? { name.hasPrefix("tt") ? UInt64(name.dropFirst(2)) : nil }

    /// The counts of all, ascending.
    var counts: [UInt64] { times.counts }

    /// Takes the place to which the session goes.
    mutating func visit(_ icount: UInt64) {
        visits.append(icount)
        if visits.count > Checkpoints.visitsKept { visits.removeFirst() }
    }

    /// The one whose loss costs least: the way to the one after it is short without it, and the session rarely went there. The
    /// first is never dropped.
    func leastUseful() -> UInt64? {
        let list = times.entries
        guard list.count > 2 else { return nil }
        func loss(_ index: Int) -> Double {
            let range = list[index - 1].icount..<list[index + 1].icount
            return (list[index].seconds + list[index + 1].seconds) * Double(1 + visits.count(where: range.contains))
        }
        return (1..<list.count - 1).min { loss($0) < loss($1) }.map { list[$0].icount }
    }

    /// Seconds of the run after which the next one is due. Where there is no room for more, they are as far apart as those before.
    var wanted: Double { max(seconds, cost / share, (times.total - skipped) / Double(max(1, most))) }

    /// Takes a stretch of the run.
    mutating func pass(instructions: UInt64, seconds taken: Double) {
        since += taken
        if taken > Checkpoints.measurable { rate = min(max(Double(instructions) / taken, 1e5), 1e11) }
    }

    /// Whether one is due. Before a place where somebody wants to be, it may be nearer to the last one.
    func isDue(beforeVisit: Bool) -> Bool { since >= (beforeVisit ? wanted / 8 : wanted) }

    /// Seconds from which on the speed of a stretch can be measured.
    private static let measurable = 0.02
}
