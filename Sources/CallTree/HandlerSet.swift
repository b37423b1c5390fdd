// SPDX-License-Identifier: GPL-2.0-or-later

import LogFormat

/// The handlers of interrupts and exceptions, learned from the transitions that no branch explains and from events.
///
/// An interrupt after an indirect branch or a return appears as one transition from that branch to the handler. Only
/// the handler's address identifies it as an interrupt.
public struct HandlerSet: Sendable {
    private static let limit = 1024

    private var addresses: Set<UInt64> = []
    /// A bit for each address, because most branches have other targets.
    private var filter: [UInt64] = Array(repeating: 0, count: 64)

    /// No handlers are known.
    public init() {}

    @inline(__always)
    private static func bit(_ address: UInt64) -> Int {
        Int(truncatingIfNeeded: (address &* 0x9e37_79b9_7f4a_7c15) >> 52)
    }

    /// Adds a handler. Handlers beyond a fixed number are ignored.
    public mutating func insert(_ address: UInt64) {
        guard addresses.count < HandlerSet.limit, addresses.insert(address).inserted else { return }
        let bit = HandlerSet.bit(address)
        filter[bit >> 6] |= 1 << UInt64(bit & 63)
    }

    /// Whether a handler begins at an address.
    @inline(__always)
    public func contains(_ address: UInt64) -> Bool {
        let bit = HandlerSet.bit(address)
        return filter.withUnsafeBufferPointer { $0[bit >> 6] >> UInt64(bit & 63) & 1 != 0 }
            && addresses.contains(address)
    }

    /// The handlers that the events of a vCPU name. The event stream of a log is short in comparison to its branches.
    ///
    /// - Parameter clocks: reads only the chunks that have events in this range.
    public init(_ log: LogFile, vcpu: UInt16, clocks: Range<UInt64> = 0..<UInt64.max) {
        var batch = EventBatch()
        let chunks = log.chunks(.event, vcpu: vcpu).filter {
            $0.clockLast >= clocks.lowerBound && $0.clockFirst <= clocks.upperBound
        }
        for chunk in chunks where addresses.count < HandlerSet.limit {
            guard (try? log.decode(chunk, into: &batch)) != nil else { continue }
            for index in 0..<batch.count {
                let kind = batch.kind(index)
                guard kind == .interrupt || kind == .discontinuity, let address = batch[index].values.first else {
                    continue
                }
                insert(address)
            }
        }
    }
}
