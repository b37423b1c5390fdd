// SPDX-License-Identifier: GPL-2.0-or-later

/// QEMU's own log of non-deterministic input, `replay.bin` (`-icount …,rr=record,rrfile=replay.bin`).
///
/// All integers are big-endian. A header of 12 bytes, {u32 version, u64 0}, is followed by entries of a code byte and a
/// payload, up to the entry `end`. QEMU writes the version when it exits in order; a killed QEMU leaves 0, and the file
/// is valid up to its last flushed byte. An `instruction` entry holds the number of instructions executed since the
/// last one; every other entry happens at their running sum.
///
///     let replay = try QEMUReplayLog(path: "run/replay.bin")
///     var events = replay.events()
///     while let event = events.next() { print(event.icount, event.kind) }
///
/// Reads the file in one pass with 256 KiB of memory. Source: QEMU 7.2, replay/.
public struct QEMUReplayLog: Sendable {
    /// The file's path.
    public let path: String
    /// The version in the header; 0 if QEMU was killed.
    public let version: UInt32
    /// Bytes in the file.
    public let fileSize: UInt64
    /// Entries of each kind.
    public let counts: [ReplayEventKind: UInt64]
    /// The position of the last readable entry, in instructions as QEMU counts them.
    public let lastIcount: UInt64
    /// Why the file cannot be read to its end; nil when it can, which a killed QEMU's file rarely is.
    public let damage: ReplayDamage?
    /// Whether the version was written and the entry `end` exists.
    public var isComplete: Bool { version != 0 && damage == nil && counts[.end] != nil }

    static let headerSize: UInt64 = 12
    let format: ReplayFormat
    let file: InputFile

    /// Opens a replay.bin and reads it once, to the end or to the first bytes that make no sense (``damage``).
    ///
    /// Throws when it cannot be read, is shorter than a header, or has a version that this reader does not know.
    public init(path: String) throws(LogError) {
        let file = try InputFile(path: path)
        let size = file.size
        guard size >= QEMUReplayLog.headerSize else {
            throw LogError(file: path, kind: .foreign("not a replay.bin: 12 bytes of header expected, it has \(size)"))
        }
        var input = ReplayInput(file: file, size: size, offset: 0)
        let version = UInt32(truncatingIfNeeded: input.integer(bytes: 4) ?? 0)
        let reserved = input.integer(bytes: 8) ?? 0
        guard reserved == 0, let format = ReplayFormat.of(version: version) else {
            let known = ReplayFormat.known.map { "0x\(hexadecimal(UInt64($0.version))) (\($0.writers))" }
            throw LogError(
                file: path, offset: 0,
                kind: .foreign(
                    "replay.bin of version 0x\(hexadecimal(UInt64(version))): this reader knows \(known.joined(separator: ", "))"
                        + "; record and read with the same QEMU, 7.2"))
        }
        self.path = path
        self.version = version
        self.file = file
        self.format = format
        fileSize = size
        var counts: [ReplayEventKind: UInt64] = [:]
        var last: UInt64 = 0
        var cursor = ReplayEventCursor(file: file, size: size, format: format)
        while let event = cursor.next() {
            counts[event.kind, default: 0] &+= 1
            last = event.icount
        }
        self.counts = counts
        lastIcount = last
        damage = cursor.damage
    }

    /// The entries from the first on.
    public func events() -> ReplayEventCursor {
        ReplayEventCursor(file: file, size: fileSize, format: format)
    }
}

/// One entry of a replay.bin.
public struct ReplayEvent: Hashable, Sendable {
    /// The entry's kind.
    public var kind: ReplayEventKind
    /// The offset of its code in the file.
    public var offset: UInt64
    /// Where its payload ends.
    public var end: UInt64
    /// Instructions executed before it, as QEMU counts them; for `instruction`, including its own.
    public var icount: UInt64
    /// The number that the payload begins with, for kinds whose payload is one: a delta, an id, nanoseconds, a result.
    public var value: UInt64

    /// The bytes of the payload in the file.
    public var payload: Range<UInt64> { min(offset &+ 1, end)..<end }
}

// MARK: - Recognition
extension QEMUReplayLog {
    /// The number of entries that must be readable in a file without a version.
    private static let sampleCount = 64

    /// Whether a file is a replay.bin.
    ///
    /// The header has a known version and eight zero bytes. The file of a killed QEMU has version 0: then its first
    /// ``sampleCount`` entries must be readable too.
    static func isReplay(_ file: InputFile) throws(LogError) -> Bool {
        let size = file.size
        var input = ReplayInput(file: file, size: size, offset: 0)
        guard let version = input.integer(bytes: 4), input.integer(bytes: 8) == 0 else { return false }
        guard let format = ReplayFormat.of(version: UInt32(truncatingIfNeeded: version)) else { return false }
        if version != 0 { return true }
        guard size > headerSize else { return false }
        var cursor = ReplayEventCursor(file: file, size: size, format: format)
        for _ in 0..<sampleCount {
            if cursor.next() != nil { continue }
            switch cursor.damage?.what {
            case nil, .truncated, .noEnd, .trailing: return true
            case .unknownCode, .unknownInputType, .input: return false
            }
        }
        return true
    }
}

/// Where reading a replay.bin stopped, and why.
public struct ReplayDamage: Hashable, Sendable, CustomStringConvertible {
    /// The problem, with the evidence.
    public enum What: Hashable, Sendable {
        /// An entry's payload ends after the end of the file; in bytes.
        case truncated(ReplayEventKind, expected: UInt64, present: UInt64)
        /// An entry's code is not in this version; the entry's length is not known.
        case unknownCode(UInt8)
        /// An input entry's type is not in this version; the entry's length is not known.
        case unknownInputType(UInt32)
        /// The file ends without the entry `end`.
        case noEnd
        /// This number of bytes follows the entry `end`.
        case trailing(UInt64)
        /// The file cannot be read.
        case input(errno: Int32)
    }

    /// The file's path.
    public var file: String
    /// Where the damage begins in the file.
    public var offset: UInt64
    /// The problem.
    public var what: What

    /// One sentence: file, offset, problem.
    public var description: String {
        let problem =
            switch what {
            case .truncated(let kind, let expected, let present):
                "entry \(kind.rawValue) cut short: \(expected) bytes expected, \(present) present"
            case .unknownCode(let code): "unknown code \(code); nothing after it can be read"
            case .unknownInputType(let type): "unknown type \(type) of an input entry; nothing after it can be read"
            case .noEnd: "the file ends without an end entry: QEMU was killed, or the file was cut short"
            case .trailing(let bytes): "\(bytes) bytes after the end entry, skipped"
            case .input(let code): "cannot be read: \(errorText(code))"
            }
        return "\(file): offset \(offset): \(problem)"
    }
}
