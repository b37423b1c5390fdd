// SPDX-License-Identifier: GPL-2.0-or-later

/// Where checkpoints of a run are, and the time that the run takes from each to the next.
///
/// As text: a line `covered ICOUNT`, then a line `ICOUNT MILLISECONDS` for each checkpoint. A session writes it beside its
/// images, so that another one knows what is in them without QEMU.
struct CheckpointTimes: Equatable {
    /// A checkpoint.
    struct Entry: Equatable {
        /// QEMU's count.
        var icount: UInt64
        /// Seconds of QEMU's processor time from the checkpoint before to here.
        var seconds: Double
    }

    /// QEMU's count up to which the run was gone through.
    var covered: UInt64 = 0
    /// Ascending.
    var entries: [Entry] = []

    /// Nothing yet.
    init() {}

    /// Reads a text; nil if it is none.
    init?(text: String) {
        for line in text.split(separator: "\n") {
            let words = line.split(separator: " ")
            guard words.count == 2, let number = UInt64(words[1]) else { return nil }
            if words[0] == "covered" {
                covered = number
            } else {
                guard let icount = UInt64(words[0]), icount > entries.last?.icount ?? 0 || entries.isEmpty else {
                    return nil
                }
                entries.append(Entry(icount: icount, seconds: Double(number) / 1000))
            }
        }
    }

    /// The text.
    var text: String {
        "covered \(covered)\n"
            + entries.map { "\($0.icount) \(UInt64(min(max($0.seconds, 0), 1e9) * 1000))\n" }.joined()
    }

    /// The counts of the checkpoints, ascending.
    var counts: [UInt64] { entries.map(\.icount) }

    /// Seconds from the first checkpoint to the last one.
    var total: Double { entries.dropFirst().reduce(0) { $0 + $1.seconds } }

    /// The last checkpoint up to a count.
    func last(upTo icount: UInt64) -> UInt64? { entries.last { $0.icount <= icount }?.icount }

    /// The first checkpoint after a count.
    func first(after icount: UInt64) -> UInt64? { entries.first { $0.icount > icount }?.icount }

    /// Adds a checkpoint at which the run arrives so many seconds after the one before.
    mutating func insert(_ icount: UInt64, seconds: Double) {
        let index = entries.firstIndex { $0.icount >= icount } ?? entries.count
        guard index == entries.count || entries[index].icount != icount else { return }
        if index < entries.count { entries[index].seconds = max(0, entries[index].seconds - seconds) }
        entries.insert(Entry(icount: icount, seconds: seconds), at: index)
    }

    /// Forgets a checkpoint: the way to the next one is longer then.
    mutating func remove(_ icount: UInt64) {
        guard let index = entries.firstIndex(where: { $0.icount == icount }) else { return }
        if index + 1 < entries.count { entries[index + 1].seconds += entries[index].seconds }
        entries.remove(at: index)
    }

    /// Keeps the times of the checkpoints that there are; those without a time take `unknown` seconds.
    mutating func keep(only counts: [UInt64], unknown: Double) {
        for icount in self.counts where !counts.contains(icount) { remove(icount) }
        for icount in counts.sorted() { insert(icount, seconds: icount == 0 ? 0 : unknown) }
    }

    /// Seconds of the run up to a count; nil if it was not gone through that far. Inside an interval, the speed counts as
    /// constant.
    func seconds(at icount: UInt64) -> Double? {
        guard let last = entries.last, let first = entries.first, icount >= first.icount else { return nil }
        var sum = 0.0
        for (before, entry) in zip(entries, entries.dropFirst()) {
            if entry.icount <= icount {
                sum += entry.seconds
            } else {
                return sum + entry.seconds * Double(icount - before.icount) / Double(entry.icount - before.icount)
            }
        }
        guard icount <= covered else { return icount == last.icount ? sum : nil }
        // The end of the run, after its last checkpoint: at the speed of all before.
        return last.icount > first.icount
            ? sum + sum * Double(icount - last.icount) / Double(last.icount - first.icount) : nil
    }
}
