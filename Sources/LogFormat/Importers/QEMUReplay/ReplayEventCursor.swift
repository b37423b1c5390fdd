// SPDX-License-Identifier: GPL-2.0-or-later

/// The entries of a replay.bin in order. Made by ``QEMUReplayLog/events()``.
public struct ReplayEventCursor: ~Copyable {
    /// Why ``next()`` stopped before the entry `end`; nil while there are more entries, and after `end`.
    public private(set) var damage: ReplayDamage?

    private let format: ReplayFormat
    private var input: ReplayInput
    private var icount: UInt64 = 0
    private var ended = false

    init(file: InputFile, size: UInt64, format: ReplayFormat) {
        self.format = format
        input = ReplayInput(file: file, size: size, offset: QEMUReplayLog.headerSize)
    }

    /// The next entry; nil at the end, and at the first bytes that make no sense.
    public mutating func next() -> ReplayEvent? {
        guard !ended else { return nil }
        let offset = input.offset
        guard let code = input.integer(bytes: 1) else { return stop(at: offset, .noEnd) }
        guard let kind = format.kind(code: UInt8(truncatingIfNeeded: code)) else {
            return stop(at: offset, .unknownCode(UInt8(truncatingIfNeeded: code)))
        }
        var value: UInt64 = 0
        switch format.payload(of: kind) {
        case .fixed(let count):
            guard input.skip(UInt64(count)) else { return stop(at: offset, kind, short: UInt64(count)) }
        case .value(let count):
            guard let number = input.integer(bytes: count) else { return stop(at: offset, kind, short: UInt64(count)) }
            value = number
        case .array(let prefix):
            guard input.skip(UInt64(prefix)), let count = input.integer(bytes: 4) else {
                return stop(at: offset, kind, short: UInt64(prefix) + 4)
            }
            guard input.skip(count) else { return stop(at: offset, kind, short: count) }
        case .input:
            guard let type = input.integer(bytes: 4) else { return stop(at: offset, kind, short: 4) }
            guard let count = inputPayload(type: UInt32(truncatingIfNeeded: type)) else {
                return stop(at: offset, .unknownInputType(UInt32(truncatingIfNeeded: type)))
            }
            guard input.skip(count) else { return stop(at: offset, kind, short: count) }
        case .audioIn:
            guard let pairs = input.integer(bytes: 8), input.skip(8) else { return stop(at: offset, kind, short: 16) }
            let bytes = pairs.multipliedReportingOverflow(by: 16)
            guard !bytes.overflow, input.skip(bytes.partialValue) else {
                return stop(at: offset, kind, short: bytes.overflow ? .max : bytes.partialValue)
            }
        }
        if kind == .instruction { icount &+= value }
        if kind == .end {
            ended = true
            if input.bytesLeft > 0 {
                damage = ReplayDamage(
                    file: input.file.path, offset: input.offset, what: .trailing(input.bytesLeft))
            }
        }
        return ReplayEvent(kind: kind, offset: offset, end: input.offset, icount: icount, value: value)
    }

    /// The number of bytes after an input entry's type; nil for an unknown type. For a key it depends on the key's own
    /// type, which comes next.
    private mutating func inputPayload(type: UInt32) -> UInt64? {
        switch type {
        case 0:
            guard let keyType = input.integer(bytes: 4) else { return 4 }
            return keyType == 0 ? 9 : keyType == 1 ? 5 : 0
        case 1: return 5
        case 2, 3: return 12
        case 4: return 32
        default: return nil
        }
    }

    private mutating func stop(at offset: UInt64, _ kind: ReplayEventKind, short expected: UInt64) -> ReplayEvent? {
        stop(at: offset, .truncated(kind, expected: expected, present: input.bytesLeft))
    }

    private mutating func stop(at offset: UInt64, _ what: ReplayDamage.What) -> ReplayEvent? {
        ended = true
        let cause = input.failure == 0 ? what : .input(errno: input.failure)
        damage = ReplayDamage(file: input.file.path, offset: offset, what: cause)
        return nil
    }
}
