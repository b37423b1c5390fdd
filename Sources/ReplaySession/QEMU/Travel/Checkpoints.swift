// SPDX-License-Identifier: GPL-2.0-or-later

/// The checkpoints to which a session can go.
struct Checkpoints {
    /// Whether the session keeps new ones.
    var isKept = false
    /// Counts of QEMU at which one was kept, ascending.
    var counts: [UInt64] = []
    /// Instructions between two of them: about ``seconds`` of the run.
    var interval: UInt64 = 200_000_000
    /// Seconds of the run between two of them.
    var seconds = Checkpoints.aim
    /// How many are kept: one needs some 80 MB with a Linux guest.
    var most = 12
    /// Seconds that the last one took.
    var cost = 0.0

    /// Any place is at most so many seconds of the run after one.
    static let aim = 1.0
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

    /// Takes the speed of a stretch of the run that ends at a count, and the time that a checkpoint takes, for the next interval.
    /// Where there is no room for more, checkpoints are as far apart as those before.
    mutating func adapt(instructions: UInt64, seconds taken: Double, at icount: UInt64) {
        if taken > Checkpoints.measurable {
            let wanted = max(seconds, cost / share)
            interval = UInt64(min(max(Double(instructions) / taken * wanted, 1e6), 1e12))
        }
        interval = max(interval, icount / UInt64(max(1, most)))
    }

    /// Seconds from which on the speed of a stretch can be measured.
    private static let measurable = 0.2
}
