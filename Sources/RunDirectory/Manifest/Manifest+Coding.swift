// SPDX-License-Identifier: GPL-2.0-or-later

import FoundationEssentials

extension Manifest {
    /// A manifest is some kB long; one with 10,000 files has 2 MB.
    package static let sizeLimit = 16 << 20

    /// Reads the manifest of a run. Links in the path's directories are followed, the file itself must be regular.
    ///
    /// - Throws: ``RunError`` that names the file, for anything that is no manifest of a known version.
    public static func read(_ path: String) throws(RunError) -> Manifest {
        let (directory, name) = Files.split(path)
        return try parse(
            OpenDirectory(directory).contents(of: name, what: "manifest", limit: sizeLimit), path: path)
    }

    /// Reads the manifest in an open directory.
    package static func read(in directory: OpenDirectory) throws(RunError) -> Manifest {
        try parse(
            directory.contents(of: fileName, what: "manifest", limit: sizeLimit),
            path: "\(directory.path)/\(fileName)")
    }

    /// - Parameter path: for errors.
    static func parse(_ bytes: [UInt8], path: String) throws(RunError) -> Manifest {
        guard let document = try? JSONDecoder().decode(JSONValue.self, from: Data(bytes)),
            document["schema"]?.string == schemaName
        else {
            throw .manifest(path: path, problem: "not a manifest of a run (no \"schema\": \"\(schemaName)\")")
        }
        let version = document["schemaVersion"]?.integer
        do {
            switch version {
            case 1: return try version1(document)
            case 2: return try document.decoded()
            default: break
            }
        } catch {
            throw .manifest(path: path, problem: "damaged manifest: \(explanation(of: error))")
        }
        let found = version.map { "version \($0)" } ?? "no version"
        throw .manifest(path: path, problem: "\(found) of a manifest; versions 1 and \(currentVersion) are known")
    }

    /// Which member is missing or wrong.
    private static func explanation(of error: any Error) -> String {
        guard let error = error as? DecodingError else { return "\(error)" }
        func place(_ context: DecodingError.Context, _ last: (any CodingKey)? = nil) -> String {
            let keys = context.codingPath + (last.map { [$0] } ?? [])
            return keys.isEmpty ? "the document" : keys.map(\.stringValue).joined(separator: ".")
        }
        switch error {
        case .keyNotFound(let key, let context): return "\(place(context, key)) is missing"
        case .typeMismatch(_, let context), .valueNotFound(_, let context):
            return "\(place(context)) is of another type"
        case .dataCorrupted(let context): return "\(place(context)): \(context.debugDescription)"
        @unknown default: return "not readable"
        }
    }

    /// The file's contents, with a newline at the end.
    ///
    /// - Parameter path: for errors.
    package func json(path: String) throws(RunError) -> [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        guard let text = try? encoder.encode(self) else {
            throw .manifest(path: path, problem: "cannot be written as JSON")
        }
        return Array(text) + [UInt8(ascii: "\n")]
    }
}

extension Manifest: Codable {
    private enum CodingKeys: String, CodingKey {
        case schema, schemaVersion, kind, recordingUUID, name, created, tool, engine, files, forced, outcome
    }

    /// Reads version 2.
    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        kind = try container.decode(RunKind.self, forKey: .kind)
        recordingUUID = try container.decode(String.self, forKey: .recordingUUID)
        name = try container.decodeIfPresent(String.self, forKey: .name)
        created = try container.decode(String.self, forKey: .created)
        tool = try container.decode(String.self, forKey: .tool)
        engine = try container.decode(EngineRecord.self, forKey: .engine)
        files = try container.decode([GuestFile].self, forKey: .files)
        forced = try container.decodeIfPresent([ManifestDifference].self, forKey: .forced)
        outcome = try container.decodeIfPresent(RunOutcome.self, forKey: .outcome)
    }

    /// Writes version 2.
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(Manifest.schemaName, forKey: .schema)
        try container.encode(Manifest.currentVersion, forKey: .schemaVersion)
        try container.encode(kind, forKey: .kind)
        try container.encode(recordingUUID, forKey: .recordingUUID)
        try container.encodeIfPresent(name, forKey: .name)
        try container.encode(created, forKey: .created)
        try container.encode(tool, forKey: .tool)
        try container.encode(engine, forKey: .engine)
        try container.encode(files, forKey: .files)
        try container.encodeIfPresent(forced, forKey: .forced)
        try container.encodeIfPresent(outcome, forKey: .outcome)
    }
}
