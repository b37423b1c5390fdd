// SPDX-License-Identifier: GPL-2.0-or-later

import FoundationEssentials

/// `bundle.json`, the first member of a bundle: what the bundle is and what is in it.
///
/// Counters are decimal strings, as in all JSON documents of this project. docs/bundle.md describes the fields.
public struct BundleManifest: Codable, Hashable, Sendable {
    /// The schema's name.
    public static let schemaName = "tt-analyze bundle"
    /// The version that is written and read.
    public static let currentVersion = 1
    /// The name of the manifest in the bundle.
    public static let memberName = "bundle.json"

    /// The schema's name.
    public var schema = BundleManifest.schemaName
    /// The schema's version.
    public var version = BundleManifest.currentVersion
    /// The tool that wrote the bundle, with its version.
    public var tool = ""
    /// The verdict's stable name.
    public var verdict = ""
    /// The verdict and its place in one sentence, made from the complete logs.
    public var summary = ""
    /// What running both sides again has shown, in one sentence; nil if they were not run again.
    public var zoom: String?
    /// Whether the contents of events and the console were left out.
    public var isRedacted = false
    /// The recording's part of the bundle.
    public var original = Run()
    /// The replay's part.
    public var replay = Run()
    /// The pieces of symbol files.
    public var symbolFiles: [SymbolFile] = []
    /// The source files, by the names that lines have.
    public var sources: [Source] = []
    /// What is not in the bundle, each with the reason.
    public var missing: [Missing] = []
    /// What the receiver must know before passing the bundle on.
    public var warnings: [String] = []
    /// The members after this one, in the order of the archive.
    public var members: [Member] = []

    /// One of the two runs.
    public struct Run: Codable, Hashable, Sendable {
        /// The directory of the run in the bundle.
        public var directory = ""
        /// The first clock of the slice.
        public var from = "0"
        /// The clock after the last one of the slice.
        public var to = "0"
        /// Whether the slice is the whole log.
        public var isWhole = false
        /// The log's recorder.
        public var recorder = ""
        /// The recording's UUID; nil if the log names none.
        public var recordingUUID: String?
        /// Where the pieces of symbol files are loaded in this run, in order of precedence.
        public var symbols: [Placement] = []

        /// Makes an empty description.
        public init() {}
    }

    /// Where a piece of a symbol file is loaded.
    public struct Placement: Codable, Hashable, Sendable {
        /// The member of the piece.
        public var member: String
        /// What was added to the file's addresses, a signed decimal number.
        public var slide: String
        /// The first address of the run that the file answers for, decimal.
        public var from: String
        /// The address after the last one.
        public var to: String

        /// Makes a placement.
        public init(member: String, slide: Int64, range: Range<UInt64>) {
            self.member = member
            self.slide = String(slide)
            from = String(range.lowerBound)
            to = String(range.upperBound)
        }
    }

    /// A piece of a symbol file.
    public struct SymbolFile: Codable, Hashable, Sendable {
        /// The member of the piece.
        public var member: String
        /// The name of the whole file, without its directory.
        public var name: String
        /// The GNU build ID, hexadecimal; empty if the file has none.
        public var buildID: String

        /// Makes a description.
        public init(member: String, name: String, buildID: String) {
            self.member = member
            self.name = name
            self.buildID = buildID
        }
    }

    /// A source file.
    public struct Source: Codable, Hashable, Sendable {
        /// The member.
        public var member: String
        /// The name that lines of reports have for it.
        public var path: String

        /// Makes a description.
        public init(member: String, path: String) {
            self.member = member
            self.path = path
        }
    }

    /// Something that the bundle lacks.
    public struct Missing: Codable, Hashable, Sendable {
        /// What it is.
        public var what: String
        /// Why it is not there, or how to get it.
        public var why: String

        /// Makes a description.
        public init(_ what: String, _ why: String) {
            self.what = what
            self.why = why
        }
    }

    /// A member of the archive.
    public struct Member: Codable, Hashable, Sendable {
        /// The name.
        public var name: String
        /// Bytes.
        public var size: UInt64
        /// 64 hexadecimal digits, as `sha256sum` prints them.
        public var sha256: String

        /// Makes a description.
        public init(name: String, size: UInt64, sha256: String) {
            self.name = name
            self.size = size
            self.sha256 = sha256
        }

        private enum CodingKeys: String, CodingKey { case name, size, sha256 }

        /// Reads a member.
        public init(from decoder: any Decoder) throws {
            let container = try decoder.container(keyedBy: CodingKeys.self)
            name = try container.decode(String.self, forKey: .name)
            let text = try container.decode(String.self, forKey: .size)
            guard let number = UInt64(text), number <= BundleLimits.memberSize else {
                throw DecodingError.dataCorruptedError(
                    forKey: .size, in: container, debugDescription: "no size of a member")
            }
            size = number
            sha256 = try container.decode(String.self, forKey: .sha256)
        }

        /// Writes a member.
        public func encode(to encoder: any Encoder) throws {
            var container = encoder.container(keyedBy: CodingKeys.self)
            try container.encode(name, forKey: .name)
            try container.encode(String(size), forKey: .size)
            try container.encode(sha256, forKey: .sha256)
        }
    }

    /// Makes an empty manifest.
    public init() {}

    // MARK: - JSON

    /// The document, with a newline at the end.
    public func json() throws -> [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        return Array(try encoder.encode(self)) + [UInt8(ascii: "\n")]
    }

    /// Reads a document.
    init(json: [UInt8], file: String) throws(BundleError) {
        do {
            self = try JSONDecoder().decode(BundleManifest.self, from: Data(json))
        } catch {
            throw BundleError(
                file: file, member: BundleManifest.memberName, kind: .manifest(BundleManifest.text(error)))
        }
    }

    private static func text(_ error: any Error) -> String {
        func place(_ context: DecodingError.Context, _ last: (any CodingKey)? = nil) -> String {
            (context.codingPath + (last.map { [$0] } ?? [])).map(\.stringValue).joined(separator: ".")
        }
        return switch error as? DecodingError {
        case .keyNotFound(let key, let context): "\(place(context, key)) is missing"
        case .typeMismatch(_, let context), .valueNotFound(_, let context): "\(place(context)) is of another type"
        case .dataCorrupted(let context) where !context.codingPath.isEmpty: "\(place(context)) is malformed"
        default: "it is no JSON document"
        }
    }

    /// Checks everything that a reader relies on.
    func check(file: String, limits: BundleLimits) throws(BundleError) {
        func fail(_ kind: BundleError.Kind, _ member: String? = BundleManifest.memberName) -> BundleError {
            BundleError(file: file, member: member, kind: kind)
        }
        guard schema == BundleManifest.schemaName else {
            throw fail(.manifest("its schema is not \(BundleManifest.schemaName)"))
        }
        guard version == BundleManifest.currentVersion else {
            throw fail(.manifest("its version is \(version); version \(BundleManifest.currentVersion) is known"))
        }
        guard members.count <= limits.members else {
            throw fail(.limit(what: "members", found: UInt64(members.count), limit: UInt64(limits.members)))
        }
        var names: Set<String> = [BundleManifest.memberName]
        var directories: Set<String> = []
        var total: UInt64 = 0
        for member in members {
            guard MemberName.isValid(member.name) else { throw fail(.badName, member.name) }
            guard names.insert(member.name).inserted else { throw fail(.duplicateName, member.name) }
            let parts = member.name.split(separator: "/")
            for count in 1..<parts.count { directories.insert(parts[..<count].joined(separator: "/")) }
            guard member.sha256.utf8.count == 64 else { throw fail(.manifest("no SHA-256 of \(member.name)")) }
            let (sum, overflow) = total.addingReportingOverflow(member.size)
            guard !overflow, sum <= limits.bytes else {
                throw fail(.limit(what: "bytes of all members", found: overflow ? .max : sum, limit: limits.bytes))
            }
            total = sum
        }
        if let name = names.first(where: directories.contains) { throw fail(.nameIsDirectory, name) }
        let named =
            [original, replay].flatMap { $0.symbols.map(\.member) } + symbolFiles.map(\.member) + sources.map(\.member)
        if let name = named.first(where: { !names.contains($0) }) {
            throw fail(.manifest("it refers to \(name), which is no member"))
        }
        for placement in original.symbols + replay.symbols {
            guard Int64(placement.slide) != nil, let from = UInt64(placement.from), let to = UInt64(placement.to),
                from < to
            else { throw fail(.manifest("no addresses of \(placement.member)")) }
        }
        for run in [original, replay] where !(run.directory.isEmpty || names.contains("\(run.directory)/ttd.log")) {
            throw fail(.manifest("it refers to the run \(run.directory), which has no log"))
        }
    }
}
