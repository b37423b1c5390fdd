// SPDX-License-Identifier: GPL-2.0-or-later

import CTTLog
import Glibc

/// Why a log could not be opened, read or written. The description names the file, the offset, what was expected and
/// what was found.
public struct LogError: Error, CustomStringConvertible, Sendable, Hashable {
    /// What happened, with the evidence.
    public enum Kind: Sendable, Hashable {
        /// The file could not be opened.
        case cannotOpen(errno: Int32)
        /// Reading from the file failed.
        case cannotRead(errno: Int32)
        /// The path names a directory without a log, a device, a pipe or a socket.
        case notARegularFile
        /// The file could not be created or given its name.
        case cannotCreate(errno: Int32)
        /// The file to write exists, and the caller did not allow to replace it.
        case exists
        /// The format of the input is known; it does not hold the content that the caller needs.
        case lacks(format: InputFormat, needed: LogContent, has: LogContent)
        /// The file does not begin with a log's magic number. `found`: its first eight bytes.
        case notALog(found: UInt64)
        /// The file is shorter than a log's header; its size in bytes.
        case tooShort(UInt64)
        /// A version of the log format that this reader does not support.
        case unsupportedVersion(UInt32)
        /// The file header's size in bytes, if this reader does not know it.
        case unsupportedHeaderSize(UInt32)
        /// The recorder left out the chunk's body (mode digest).
        case elidedBody
        /// The chunk is of another stream than the call reads.
        case wrongStream(LogStream)
        /// The part of the log that was read is damaged.
        case damaged(DamageKind)
        /// The writer's own sentence and errno.
        case writer(errno: Int32, message: String)
        /// What is wrong with a file of a foreign format: a clause, and what to do.
        case foreign(String)
        /// The request is not valid for this log.
        case invalidRequest(String)
    }

    /// The file that the error is about.
    public var file: String
    /// Bytes from the beginning of the file; nil if the error is about the file as a whole.
    public var offset: UInt64?
    /// What happened.
    public var kind: Kind

    /// Makes an error about a file, or a place in it.
    public init(file: String, offset: UInt64? = nil, kind: Kind) {
        self.file = file
        self.offset = offset
        self.kind = kind
    }

    /// One sentence: file, offset, what was expected, what was found.
    public var description: String {
        let place = offset.map { "\(file): offset \($0)" } ?? file
        return switch kind {
        case .cannotOpen(let code): "\(place): cannot be opened: \(errorText(code))"
        case .cannotRead(let code): "\(place): cannot be read: \(errorText(code))"
        case .notARegularFile: "\(place): not a regular file; give a log, or a run directory that holds ttd.log"
        case .cannotCreate(let code): "\(place): cannot be created: \(errorText(code))"
        case .exists: "\(place): exists already"
        case .lacks(let format, let needed, let has):
            "\(place): holds no \(needed.subtracting(has).words): it is of format \(format.name) and holds \(has.words)"
        case .notALog(let found):
            "\(place): not a trace log: it should begin with 0x\(hexadecimal(TTLOG_FILE_MAGIC)), it begins with "
                + "0x\(hexadecimal(found)); give a ttd.log"
        case .tooShort(let size):
            "\(place): not a trace log: \(TTLOG_FILE_HEADER_SIZE) bytes of header expected, the file has \(size)"
        case .unsupportedVersion(let version):
            "\(place): log version \(version); this program reads version \(TTLOG_VERSION): use a newer one"
        case .unsupportedHeaderSize(let size):
            "\(place): header of \(size) bytes; this program reads headers of \(TTLOG_FILE_HEADER_SIZE): use a newer one"
        case .elidedBody:
            "\(place): this chunk's body was left out (mode digest); record again with mode branches or with a window"
        case .wrongStream(let stream): "\(place): a chunk of the \(stream.name) stream cannot be read as another stream"
        case .damaged(let what): "\(place): \(what); see tt-analyze verify for the whole file"
        case .writer(_, let message): message
        case .foreign(let what), .invalidRequest(let what): "\(place): \(what)"
        }
    }

    /// The damage of the part of the file that the error is about.
    var damageKind: DamageKind {
        switch kind {
        case .damaged(let what): what
        case .elidedBody: .elided
        case .cannotRead(let code), .cannotOpen(let code), .writer(let code, _): .input(errno: code)
        default: .unreadable
        }
    }

    /// The error as damage of that chunk, for readers that skip it.
    package func damage(of chunk: Chunk) -> Damage {
        Damage(
            file: file, offset: chunk.offset, length: chunk.isOpenSlot ? 0 : chunk.extent, what: damageKind,
            lostRecords: UInt64(truncatingIfNeeded: chunk.count))
    }
}

/// The C library's sentence for an errno.
func errorText(_ code: Int32) -> String {
    guard let text = strerror(code) else { return "error \(code)" }
    return String(cString: text)
}
