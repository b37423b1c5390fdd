// SPDX-License-Identifier: GPL-2.0-or-later

import LogFormat

/// The events of one vCPU in order, with joined causes among them.
///
/// A recorder that does not see interrupts and exceptions (QEMU's plugin interface before version 5) logs discontinuities.
/// The join with the run's input log gives their causes (``LogFormat/ReplayJoin/events``). A cause takes the place of its
/// discontinuity. A cause at an instruction that is no discontinuity, such as `int n`, is added.
public struct EventsWithCauses: ~Copyable {
    private var cursor: EventCursor
    private var causes: ArraySlice<Event>
    private let keepsDiscontinuities: Bool
    private var head: Event?
    private var hasHead = false

    /// - Parameters:
    ///   - cursor: The events of the log, from `from` up to `to`.
    ///   - causes: Joined events by clock.
    ///   - keepsDiscontinuities: Whether an explained discontinuity follows its cause.
    public init(
        _ cursor: consuming EventCursor, causes: [Event], from: UInt64, to: UInt64, keepsDiscontinuities: Bool
    ) {
        self.cursor = cursor
        self.causes = causes.drop { $0.clock < from }.prefix { $0.clock < to || to == .max }
        self.keepsDiscontinuities = keepsDiscontinuities
    }

    /// The chunks that could not be read so far.
    public var skipped: [Damage] { cursor.skipped }

    /// The next event; `nil` at the end.
    public mutating func next() -> Event? {
        if !hasHead {
            head = cursor.next()
            hasHead = true
        }
        guard let cause = causes.first else { return takeHead() }
        guard let head else { return causes.removeFirst() }
        if head.clock != cause.clock { return head.clock < cause.clock ? takeHead() : causes.removeFirst() }
        let isExplained = head.kind == .discontinuity && head.ip == cause.ip
        // What the instruction that was left has accessed comes before.
        guard isExplained || head.icount > cause.icount else { return takeHead() }
        if isExplained, !keepsDiscontinuities { hasHead = false }
        return causes.removeFirst()
    }

    private mutating func takeHead() -> Event? {
        hasHead = head == nil
        return head
    }
}
