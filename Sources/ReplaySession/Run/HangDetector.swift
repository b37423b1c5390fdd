// SPDX-License-Identifier: GPL-2.0-or-later

/// Distinguishes a replay that makes no progress from one that does.
///
/// An engine whose replay has left the recording can wait endlessly for an instruction count that never comes, while
/// its monitor answers and reports a running guest. A replay counts as hung if its instruction count, its place in the
/// input log and its own log have all stayed the same for `patience` seconds and over at least three observations. In
/// an idle guest the place moves: its timer ticks come from the input log. In a guest that computes without a pause the
/// log grows, although QEMU's count can stay the same.
struct HangDetector {
    /// Seconds.
    let patience: Double
    private var last: Sighting?
    private var since: Double = 0
    private var looks = 0

    struct Sighting: Equatable {
        var icount: UInt64
        /// Bytes of the input log that were read.
        var inputOffset: UInt64
        /// Bytes of the log that were written.
        var logSize: UInt64 = 0
    }

    init(patience: Double) { self.patience = patience }

    /// Forgets the observations so far.
    mutating func forget() { last = nil }

    /// - Parameter now: monotonic seconds.
    /// - Returns: whether it hangs.
    mutating func observe(_ sighting: Sighting, now: Double) -> Bool {
        if sighting != last {
            last = sighting
            since = now
            looks = 0
        }
        looks += 1
        return looks >= 3 && now - since >= patience
    }
}
