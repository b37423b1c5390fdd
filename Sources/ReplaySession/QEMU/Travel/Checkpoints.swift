// SPDX-License-Identifier: GPL-2.0-or-later

/// The checkpoints to which a session can go.
struct Checkpoints {
    /// Whether the session keeps new ones.
    var isKept = false
    /// Counts of QEMU at which one was kept, ascending.
    var counts: [UInt64] = []
    /// Instructions between two of them at the speed of the last stretch: about ``seconds`` of the run.
    var interval: UInt64 = 200_000_000
    /// Seconds of the run between two of them.
    var seconds = Checkpoints.aim
    /// How many are kept: one needs some 80 MB with a Linux guest.
    var most = 12
    /// Seconds that the last one took.
    var cost = 0.0
    /// Seconds that the run took since the guest was at one.
    var since = 0.0

    /// A way to any place takes about a second: this much of the run, one step more, and the checkpoint itself.
    static let aim = 0.75
    /// Keeping them takes at most this part of the run's time.
    var share = 0.25

    static func name(_ icount: UInt64) -> String { "tt\(icount)" }

    /// The count in a name; nil for another name.
    static func count(_ name: String) -> UInt64? { name.hasPrefix("tt") ? UInt64(name.dropFirst(2)) : nil }

    /// The last one up to a count.
    func last(upTo icount: UInt64) -> UInt64? { counts.last { $0 <= icount } }

    /// The one whose neighbours are nearest to each other: it is missed least. The first is never dropped.
    func leastUseful() -> UInt64? {
        guard counts.count > 2 else { return nil }
        func gap(_ index: Int) -> UInt64 { counts[index + 1] - counts[index - 1] }
        return (1..<counts.count - 1).min { gap($0) < gap($1) }.map { counts[$0] }
    }

    /// Instructions that are run before the time since the last checkpoint is looked at: a small part of ``interval``.
    var step: UInt64 { max(interval / 8, 1_000_000) }

    /// Takes the time of a stretch of the run that ends at a count.
    ///
    /// - Parameter isLast: whether the guest is where somebody wanted it: a checkpoint is nearer to the last one then.
    /// - Returns: whether to keep a checkpoint there. Where there is no room for more, checkpoints are as far apart as those
    ///   before.
    mutating func isDue(instructions: UInt64, seconds taken: Double, at icount: UInt64, isLast: Bool) -> Bool {
        let wanted = max(seconds, cost / share)
        since += taken
        if taken > Checkpoints.measurable {
            interval = UInt64(min(max(Double(instructions) / taken * wanted, 1e6), 1e12))
        }
        let gap = icount - (last(upTo: icount) ?? 0)
        return since >= (isLast ? wanted / 8 : wanted) && gap >= icount / UInt64(max(1, most))
    }

    /// Seconds from which on the speed of a stretch can be measured.
    private static let measurable = 0.02
}
