// SPDX-License-Identifier: GPL-2.0-or-later

import LogFormat

/// The places of a run in QEMU's count, from its input log.
///
/// QEMU's instruction count is the log's minus the faults that were restored before it. How many of the exceptions before a
/// place are such faults, only a join shows; their number bounds it.
public struct QEMUPlaces: Sendable {
    /// Positions of interrupts and exceptions, ascending.
    private let deliveries: [UInt64]
    /// Positions of exceptions, ascending.
    private let exceptions: [UInt64]
    /// Positions at which a disk's request completed, ascending.
    private let blocks: [UInt64]
    /// The position of the last entry.
    public let end: UInt64

    /// Reads a replay.bin.
    public init(_ log: QEMUReplayLog) {
        var (deliveries, exceptions, blocks): ([UInt64], [UInt64], [UInt64]) = ([], [], [])
        var events = log.events()
        while let event = events.next() {
            switch event.kind {
            case .interrupt: deliveries.append(event.icount)
            case .exception:
                deliveries.append(event.icount)
                exceptions.append(event.icount)
            case .asyncBlock: blocks.append(event.icount)
            default: break
            }
        }
        self.deliveries = deliveries
        self.exceptions = exceptions
        self.blocks = blocks
        end = log.lastIcount
    }

    /// Where QEMU's count can be for a log's count.
    public func range(ofLog icount: UInt64) -> ClosedRange<UInt64> {
        let faults = UInt64(exceptions.count { $0 <= icount })
        return icount &- min(faults, icount)...icount
    }

    /// The first place from here on at which QEMU stops in one way only.
    public func stop(at icount: UInt64) -> UInt64 {
        var place = max(icount, 1)
        while deliveries.contains(place) || deliveries.contains(place - 1) { place += 1 }
        return place
    }

    /// The window before a log's count, in QEMU's: so long that the place is in it for any number of faults.
    func window(before icount: UInt64, _ options: ZoomSession.Options) -> (begin: UInt64, end: UInt64) {
        let range = range(ofLog: icount)
        let room = UInt64(options.side.windowInstructions)
        let span = range.upperBound - range.lowerBound + options.after + 64
        let length = room > span ? room - span : 1
        return (
            stop(at: range.lowerBound > length ? range.lowerBound - length : 1),
            stop(at: range.upperBound &+ options.after)
        )
    }

    /// The last completed disk request at or before a place; nil if there is none.
    public func lastBlock(upTo icount: UInt64) -> UInt64? { blocks.last { $0 <= icount } }
}
