// SPDX-License-Identifier: GPL-2.0-or-later

import Glibc

/// Why a bundle could not be written or read.
public struct BundleError: Error, Hashable, Sendable, CustomStringConvertible {
    /// What happened, with the evidence.
    public enum Kind: Hashable, Sendable {
        /// A system call failed; `doing` continues "cannot …".
        case system(doing: String, code: Int32)
        /// The file does not begin as a bundle does.
        case notABundle(firstBytes: [UInt8])
        /// The compressed data is damaged; libzstd's words.
        case damagedCompression(String)
        /// The bundle ends before its last member is complete.
        case truncated
        /// Data follows after the end of the bundle.
        case trailingData
        /// The entry is no regular file: what it is.
        case notAFile(what: String)
        /// The name leads out of the bundle, is absolute, or has characters that no member has.
        case badName
        /// Two members have this name.
        case duplicateName
        /// One member is a file where another one needs a directory.
        case nameIsDirectory
        /// The entry's header is not that of the member which the manifest lists there.
        case otherMember(expected: String)
        /// The entry's header differs from what the manifest and the format determine.
        case badHeader
        /// The content is not the one that the manifest describes.
        case wrongDigest(expected: String, found: String)
        /// More members, bytes or compression than a bundle may have. `what` names the count.
        case limit(what: String, found: UInt64, limit: UInt64)
        /// `bundle.json` cannot be used.
        case manifest(String)
    }

    /// The bundle.
    public var file: String
    /// The member that the error is about; nil if it is about the bundle as a whole.
    public var member: String?
    /// Bytes from the beginning of the uncompressed archive; nil if there is no place.
    public var offset: UInt64?
    /// What happened.
    public var kind: Kind

    /// Makes an error.
    public init(file: String, member: String? = nil, offset: UInt64? = nil, kind: Kind) {
        self.file = file
        self.member = member
        self.offset = offset
        self.kind = kind
    }

    /// One sentence. Names from the bundle are unchanged in it: escape it for a terminal.
    public var description: String {
        var place = file
        if let member { place += ", member \(member)" }
        if let offset { place += ", at offset \(offset) of the archive" }
        return "\(place): \(BundleError.text(kind))"
    }

    private static func text(_ kind: Kind) -> String {
        switch kind {
        case .system(let doing, let code): "cannot \(doing): \(String(cString: strerror(code)))"
        case .notABundle(let bytes):
            "is no bundle: it begins with \(bytes.map { String($0, radix: 16) }.joined(separator: " ")), "
                + "not with a zstd frame"
        case .damagedCompression(let message): "the compressed data is damaged: \(message)"
        case .truncated: "the bundle is truncated"
        case .trailingData: "data follows after the end of the bundle"
        case .notAFile(let what): "is \(what); a bundle has regular files only"
        case .badName:
            "the name is refused: it is absolute, leads out of the bundle, or has other characters than names have"
        case .duplicateName: "two members have this name"
        case .nameIsDirectory: "another member needs a directory of this name"
        case .otherMember(let expected): "the manifest lists \(expected) here"
        case .badHeader: "the header is not the one that the manifest determines"
        case .wrongDigest(let expected, let found): "the content has SHA-256 \(found), the manifest says \(expected)"
        case .limit(let what, let found, let limit): "\(what): \(found), at most \(limit) are read"
        case .manifest(let problem): "the manifest cannot be used: \(problem)"
        }
    }
}
