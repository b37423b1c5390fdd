// SPDX-License-Identifier: GPL-2.0-or-later

/// Tells a replay that stands still from one that makes progress.
///
/// An engine whose replay has left the recording can wait for ever for an instruction count that never comes, while its
/// monitor answers and reports a running guest. A replay counts as hung when neither its instruction count, nor its place
/// in the input log, nor its own log has moved for `patience` seconds and over at least three looks. The place moves in a
/// guest that idles: its timer ticks come from the input log. The log grows in a guest that computes without a pause, for
/// which QEMU's count can stay the same.
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

    /// Starts anew: what was seen so far does not count.
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
