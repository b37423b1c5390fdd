// SPDX-License-Identifier: GPL-2.0-or-later

import LogFormat

/// Whose code runs at a point, as the last context event before it shows.
public struct RunningCode: Sendable, Hashable {
    /// The page table: CR3 on x86.
    public var addressSpace: UInt64
    /// The stack pointer when that page table or that stack became current; nil if the event does not have it.
    public var stackPointer: UInt64?
    /// Where that was.
    public var since: RunPosition

    /// Makes a description of running code.
    public init(addressSpace: UInt64, stackPointer: UInt64?, since: RunPosition) {
        self.addressSpace = addressSpace
        self.stackPointer = stackPointer
        self.since = since
    }

    /// The context that an event describes; nil for an event that describes none.
    init?(_ event: Event) {
        let words = event.values
        guard event.kind == .context, let space = words.first else { return nil }
        self.init(
            addressSpace: space, stackPointer: words.dropFirst().first,
            since: RunPosition(
                clock: event.clock, icount: event.validity.contains(.icount) ? event.icount : nil,
                ip: event.validity.contains(.ip) ? event.ip : nil))
    }
}
