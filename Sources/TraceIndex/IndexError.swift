// SPDX-License-Identifier: GPL-2.0-or-later

import Glibc

/// Why an index could not be made or used.
public struct IndexError: Error, Sendable, Hashable, CustomStringConvertible {
    /// What happened, with the evidence.
    public enum Kind: Sendable, Hashable {
        /// The file could not be created.
        case cannotCreate(errno: Int32)
        /// The file could not be read.
        case cannotRead(errno: Int32)
        /// Writing to the file failed.
        case cannotWrite(errno: Int32)
        /// The file exists and is no index of this program; it is not overwritten.
        case notOurs
        /// Neither the log's directory nor a cache directory can be written.
        case nowhereToWrite
        /// A log that was not closed cannot be copied into an index.
        case unclosedLog
        /// A view needs a file that the run does not have, or one that cannot be used.
        case missing(String)
    }

    /// The file that the error is about: an index, or the log that it is made from.
    public var file: String
    /// What happened.
    public var kind: Kind

    /// Makes an error about a file.
    public init(file: String, kind: Kind) {
        self.file = file
        self.kind = kind
    }

    /// One sentence: the file, and what happened.
    public var description: String {
        func words(_ code: Int32) -> String { String(cString: strerror(code)) }
        return switch kind {
        case .cannotCreate(let code): "\(file): cannot be created: \(words(code))"
        case .cannotRead(let code): "\(file): cannot be read: \(words(code))"
        case .cannotWrite(let code): "\(file): cannot be written: \(words(code))"
        case .notOurs: "\(file): exists already and is no index of this program; it is not overwritten"
        case .nowhereToWrite:
            "\(file): neither its folder nor a cache directory can be written; set XDG_CACHE_HOME, or name a file"
        case .unclosedLog: "\(file): was not closed, and cannot be copied into an index"
        case .missing(let what): "\(file): \(what)"
        }
    }
}
