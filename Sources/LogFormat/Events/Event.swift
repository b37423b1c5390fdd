// SPDX-License-Identifier: GPL-2.0-or-later

import CTTLog

/// One event, access or meta record, owning its payload. For loops over millions, use ``EventBatch``.
public struct Event: Hashable, Sendable {
    /// The stream that holds the record.
    public var stream: LogStream
    /// The vCPU it happened on; ``noVCPU`` in the meta stream.
    public var vcpu: UInt16
    /// The record's kind.
    public var kind: EventKind
    /// The optional fields that are valid.
    public var validity: EventValidity
    /// A number that depends on the kind: a vector, a number of bytes, a reason.
    public var info: UInt32
    /// Transitions that the vCPU had made before the event.
    public var clock: UInt64
    /// Instructions begun before the one at `ip` (when `validity` has `.icount`).
    public var icount: UInt64
    /// Address of the instruction (if `validity` has `.ip`).
    public var ip: UInt64
    /// rcx or a hash of the registers, according to `validity`.
    public var aux: UInt64
    /// The event's place in the order of all vCPUs' events. Never compared.
    public var ticket: UInt64
    /// Time stamp counter (when `validity` has `.tsc`). Never compared.
    public var tsc: UInt64
    /// The compared payload.
    public var payload: [UInt8]
    /// The payload that is never compared.
    public var privatePayload: [UInt8]
    /// Its number in its stream and vCPU, from 0.
    public var ordinal: UInt64
    /// The event is not in the log: a join with another file found it (``ReplayJoin/events``).
    public var isJoined = false

    /// Makes a record; omitted fields are 0 or empty.
    public init(
        stream: LogStream, vcpu: UInt16 = 0, kind: EventKind, validity: EventValidity = [], info: UInt32 = 0,
        clock: UInt64 = 0, icount: UInt64 = 0, ip: UInt64 = 0, aux: UInt64 = 0, ticket: UInt64 = 0, tsc: UInt64 = 0,
        payload: [UInt8] = [], privatePayload: [UInt8] = [], ordinal: UInt64 = 0
    ) {
        self.stream = stream
        self.vcpu = vcpu
        self.kind = kind
        self.validity = validity
        self.info = info
        self.clock = clock
        self.icount = icount
        self.ip = ip
        self.aux = aux
        self.ticket = ticket
        self.tsc = tsc
        self.payload = payload
        self.privatePayload = privatePayload
        self.ordinal = ordinal
    }
}

// MARK: - Views of the payload
extension Event {
    /// The address word of the payload; nil if there is none.
    public var address: UInt64? {
        validity.contains(.address) ? Event.word(payload, 0) : nil
    }

    /// The value words of the payload, those after the address. An incomplete last word is left out.
    public var values: [UInt64] {
        guard validity.contains(.value) else { return [] }
        let first = validity.contains(.address) ? 8 : 0
        return stride(from: first, to: payload.count, by: 8).compactMap { Event.word(payload, $0) }
    }

    /// One of ``values``; nil if there is no such value. Allocates nothing.
    public func value(_ index: Int) -> UInt64? {
        guard validity.contains(.value), index >= 0, index < payload.count else { return nil }
        return Event.word(payload, (validity.contains(.address) ? 8 : 0) + index * 8)
    }

    /// The payload as text; for an attribute `KEY=VALUE`. Bytes that are not UTF-8 become U+FFFD.
    public var text: String {
        if let attribute { return "\(attribute.key)=\(attribute.value)" }
        return String(decoding: payload, as: UTF8.self)
    }

    /// Key and value of an attribute record; nil for other kinds, and if no NUL separates them.
    public var attribute: (key: String, value: String)? {
        guard kind == .attribute, let end = payload.firstIndex(of: 0) else { return nil }
        return (
            String(decoding: payload[..<end], as: UTF8.self),
            String(decoding: payload[(end + 1)...], as: UTF8.self)
        )
    }

    /// The payload bytes of little-endian words.
    public static func payload(words: [UInt64]) -> [UInt8] {
        words.flatMap { word in (0..<8).map { UInt8(truncatingIfNeeded: word >> (8 * UInt64($0))) } }
    }

    private static func word(_ bytes: [UInt8], _ offset: Int) -> UInt64? {
        guard offset >= 0, bytes.count >= 8, offset <= bytes.count - 8 else { return nil }
        return bytes.withUnsafeBytes { UInt64(littleEndian: $0.loadUnaligned(fromByteOffset: offset, as: UInt64.self)) }
    }
}

/// Why a run ended (`enum ttlog_run_end`).
public struct RunEnd: RawRepresentable, Hashable, Sendable, CustomStringConvertible {
    /// The reason's number in the log.
    public var rawValue: UInt32

    /// The reason of that number, known to this reader or not.
    public init(rawValue: UInt32) {
        self.rawValue = rawValue
    }

    /// Nothing is known about the end.
    public static let unknown = RunEnd(rawValue: 0)
    /// The guest switched itself off.
    public static let guestShutdown = RunEnd(rawValue: 1)
    /// The guest reset itself.
    public static let guestReset = RunEnd(rawValue: 2)
    /// The guest reported a panic.
    public static let guestPanic = RunEnd(rawValue: 3)
    /// The operator or the tool ended it.
    public static let hostQuit = RunEnd(rawValue: 4)
    /// The engine gave up with an error.
    public static let hostError = RunEnd(rawValue: 5)
    /// A replay reached the end of its recording's input.
    public static let inputExhausted = RunEnd(rawValue: 6)
    /// A replay made no progress and was ended.
    public static let hung = RunEnd(rawValue: 7)
    /// The recorder was killed.
    public static let killed = RunEnd(rawValue: 8)
    /// The engine found that the replay is not its recording.
    public static let diverged = RunEnd(rawValue: 9)

    static let names = EventField.Names(
        "reason",
        [
            "unknown", "guest-shutdown", "guest-reset", "guest-panic", "host-quit", "host-error", "input-exhausted",
            "hung", "killed", "diverged",
        ])

    /// The reason's name as the tools print it; `reason-N` when this reader does not know it.
    public var name: String { RunEnd.names[UInt64(rawValue)] }

    /// The reason's ``name``.
    public var description: String { name }
}
