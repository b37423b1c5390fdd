// SPDX-License-Identifier: GPL-2.0-or-later

extension Event {
    /// The record without its contents. Kind, position and the kind's own number (a vector, a size) stay; the payload, the
    /// register words and the time stamp do not.
    public var redacted: Event {
        var event = self
        event.payload = []
        event.privatePayload = []
        event.aux = 0
        event.tsc = 0
        event.validity.subtract([.address, .value, .rcx, .registers, .tsc])
        return event
    }
}
