// SPDX-License-Identifier: GPL-2.0-or-later

/// Distinguishes an engine that is silent because the guest computes from one that is stuck.
///
/// QEMU's monitor does not answer while the guest executes up to 2^30 instructions without an event: 2 s with the plugin,
/// longer on a slow host. A log of branches grows meanwhile; a log of events does not, but the process uses processor time.
/// A QEMU that waits for itself uses none.
struct SilenceWatch {
    /// The bytes of the log and the seconds of processor time at one look.
    struct Sighting {
        var logSize: UInt64
        var processorTime: Double?
    }

    /// The share of a processor that a computing engine uses at least: other programs may need the rest.
    private static let busyShare = 0.1
    /// Seconds after which processor time alone does not count any more: 2^30 instructions take less.
    private static let longestComputation: Double = 1200

    private var last: (sighting: Sighting, at: Double)?
    private var since: Double = 0
    private var computingSince: Double = 0

    /// The engine has answered.
    mutating func end() { last = nil }

    /// Observes an engine that does not answer.
    ///
    /// - Parameter now: monotonic seconds.
    /// - Returns: the seconds for which it has neither answered nor computed.
    mutating func observe(_ sighting: Sighting, now: Double) -> Double {
        defer { last = (sighting, now) }
        guard let last else {
            (since, computingSince) = (now, now)
            return 0
        }
        if sighting.logSize != last.sighting.logSize {
            (since, computingSince) = (now, now)
        } else if let used = sighting.processorTime, let before = last.sighting.processorTime,
            used - before >= SilenceWatch.busyShare * (now - last.at),
            now - computingSince < SilenceWatch.longestComputation
        {
            since = now
        }
        return now - since
    }
}
