// SPDX-License-Identifier: GPL-2.0-or-later

/// The kinds of damage of a part of a log, with the evidence.
public enum DamageKind: Sendable, Hashable {
    /// A structure's CRC32C is not that of its bytes.
    case checksum(structure: Structure, expected: UInt32, found: UInt32)
    /// A field of an intact structure holds an invalid value.
    case field(structure: Structure, name: String, found: UInt64)
    /// A structure that should be here is not.
    case missing(structure: Structure)
    /// A structure ends after the end of the file; in bytes.
    case truncated(structure: Structure, expected: UInt64, present: UInt64)
    /// Bytes in which no chunk was found.
    case unreadable
    /// XXH3-64 of a chunk's stored bytes is not the hash in its header.
    case bodyHash(expected: UInt64, found: UInt64)
    /// The body cannot be decompressed to the size in its header.
    case decompression(rawSize: Int)
    /// A body's columns do not fit its header or each other.
    case columns(column: Int, expected: UInt64, found: UInt64)
    /// The digest of a body's columns is not the digest in the header.
    case digest(DigestClass, expected: UInt64, found: UInt64)
    /// A chunk's chain value does not follow from the chunk before.
    case chain(expected: UInt64, found: UInt64)
    /// Records are missing, or there twice: a chunk's first ordinal does not follow from the chunk before.
    case ordinal(expected: UInt64, found: UInt64)
    /// A chunk's clock does not follow from the chunk before, or is outside its cell.
    case clock(expected: UInt64, found: UInt64)
    /// Two chunks claim the same cell and part.
    case duplicate(other: UInt64)
    /// A field of a chunk's header differs from the directory.
    case directory(name: String, expected: UInt64, found: UInt64)
    /// The body was left out by the recorder. This is no defect; the records cannot be shown.
    case elided
    /// The log was not closed and its open file does not exist: records that were not sealed may be missing.
    case openFileMissing
    /// A record of a kind that this reader does not know, or other content that it skips.
    case unknownContent(name: String, found: UInt64)
    /// A line of a text file that cannot be read, with its number from 1 and what is wrong with it.
    case line(number: UInt64, problem: String)
    /// Reading failed with this errno.
    case input(errno: Int32)

    /// A part of the layout.
    public enum Structure: String, Sendable, Hashable {
        /// The log's first 4 KiB.
        case fileHeader = "file header"
        /// The 192 bytes before a chunk's body.
        case chunkHeader = "chunk header"
        /// A chunk's columns as stored.
        case body = "chunk body"
        /// The list of chunks at the end of a closed log.
        case directory = "directory"
        /// The last 64 bytes of a closed log.
        case trailer = "trailer"
        /// The beginning of the open file (`.open`).
        case openHeader = "open file's header"
        /// The description of one slot in the open file.
        case slotDescriptor = "slot descriptor"
        /// The records of one slot in the open file.
        case slot = "slot"
        /// A record of a foreign format.
        case record = "record"
        /// The entry that ends a file of a foreign format.
        case endEntry = "end entry"
    }
}

extension DamageKind: CustomStringConvertible {
    /// One clause: what was expected and what was found.
    public var description: String {
        func hex(_ value: UInt64) -> String { "0x" + hexadecimal(value) }
        return switch self {
        case .checksum(let structure, let expected, let found):
            "\(structure.rawValue) damaged: CRC32C of its bytes is \(hex(UInt64(expected))), stored is \(hex(UInt64(found)))"
        case .field(let structure, let name, let found): "\(structure.rawValue): \(name) cannot be \(hex(found))"
        case .missing(let structure): "no \(structure.rawValue) here"
        case .truncated(let structure, let expected, let present):
            "\(structure.rawValue) cut short: \(expected) bytes expected, \(present) present"
        case .unreadable: "no chunk found in these bytes"
        case .bodyHash(let expected, let found):
            "chunk body damaged: hash \(hex(expected)) expected, \(hex(found)) found"
        case .decompression(let rawSize): "chunk body cannot be decompressed to \(rawSize) bytes"
        case .columns(let column, let expected, let found):
            "chunk body malformed: column \(column) should be \(expected), is \(found)"
        case .digest(let digestClass, let expected, let found):
            "\(digestClass.name) digest: header has \(hex(expected)), columns have \(hex(found))"
        case .chain(let expected, let found): "chain: \(hex(expected)) expected, \(hex(found)) found"
        case .ordinal(let expected, let found): "ordinal \(expected) expected, \(found) found"
        case .clock(let expected, let found): "clock \(expected) expected, \(found) found"
        case .duplicate(let other): "the chunk at offset \(other) claims the same cell and part"
        case .directory(let name, let expected, let found):
            "chunk header differs from the directory: \(name) should be \(hex(expected)), is \(hex(found))"
        case .elided: "body left out by the recorder"
        case .openFileMissing:
            "the log was not closed and its open file is missing: up to two unsealed chunks of each stream may be lost"
        case .unknownContent(let name, let found): "unknown \(name) \(found), skipped"
        case .line(let number, let problem): "line \(number): \(problem)"
        case .input(let code): "cannot be read: \(errorText(code))"
        }
    }
}

/// A damaged or absent part of a log that the reader skipped.
public struct Damage: Sendable, Hashable, CustomStringConvertible {
    /// The damaged file.
    public var file: String
    /// Where the part begins in that file.
    public var offset: UInt64
    /// Bytes concerned; 0 where that is unknown.
    public var length: UInt64
    /// The kind of damage.
    public var what: DamageKind
    /// Records lost by it; nil where that is unknown.
    public var lostRecords: UInt64?

    /// Makes a description of a damaged part.
    public init(file: String, offset: UInt64, length: UInt64, what: DamageKind, lostRecords: UInt64? = nil) {
        self.file = file
        self.offset = offset
        self.length = length
        self.what = what
        self.lostRecords = lostRecords
    }

    /// One sentence: file, offset, size, problem, loss.
    public var description: String {
        var text = "\(file): offset \(offset)"
        if length > 0 { text += ", \(length) bytes" }
        text += ": \(what)"
        if let lostRecords, lostRecords > 0 { text += "; \(lostRecords) records lost" }
        return text
    }
}
