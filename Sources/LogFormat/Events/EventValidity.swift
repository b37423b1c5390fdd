// SPDX-License-Identifier: GPL-2.0-or-later

import CTTLog

/// The fields of an event that are valid (`TTLOG_VALID_*`).
public struct EventValidity: OptionSet, Hashable, Sendable {
    /// The bits (`TTLOG_VALID_*`).
    public var rawValue: UInt16

    /// The set of those bits.
    public init(rawValue: UInt16) {
        self.rawValue = rawValue
    }

    /// The instruction's address is known.
    public static let ip = EventValidity(rawValue: UInt16(TTLOG_VALID_IP))
    /// The instruction count is known.
    public static let icount = EventValidity(rawValue: UInt16(TTLOG_VALID_ICOUNT))
    /// `aux` holds rcx.
    public static let rcx = EventValidity(rawValue: UInt16(TTLOG_VALID_RCX))
    /// `aux` holds a hash of the registers.
    public static let registers = EventValidity(rawValue: UInt16(TTLOG_VALID_REGISTERS))
    /// The payload begins with an address word.
    public static let address = EventValidity(rawValue: UInt16(TTLOG_VALID_ADDRESS))
    /// Value words follow in the payload.
    public static let value = EventValidity(rawValue: UInt16(TTLOG_VALID_VALUE))
    /// The time stamp counter (never compared) is known.
    public static let tsc = EventValidity(rawValue: UInt16(TTLOG_VALID_TSC))
}
