// SPDX-License-Identifier: GPL-2.0-or-later

/// Tells a replay that stands still from one that goes on.
///
/// A QEMU whose replay has parted from its recording waits for ever for an instruction count that never comes; its
/// monitor answers, its status says running. It is taken for hung when over a whole `patience` neither its instruction
/// count nor its place in the input log has moved, over at least three looks. (A guest that idles takes its timer
/// ticks from the input log, so its place there moves.)
struct HangDetector {
    /// Seconds.
    let patience: Double
    private var last: Sighting?
    private var since: Double = 0
    private var looks = 0

    struct Sighting: Equatable {
        var icount: UInt64
        /// Bytes read of the input log.
        var inputOffset: UInt64
    }

    init(patience: Double) { self.patience = patience }

    /// What was seen so far says nothing of what comes.
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
