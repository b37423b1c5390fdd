// SPDX-License-Identifier: GPL-2.0-or-later

import FoundationEssentials

/// `manifest.json`: the settings and files of a run, so that a replay can be the same and others can check it.
///
/// It is written before the engine starts and completed after the run has ended. A manifest without an outcome belongs
/// to a run that has not ended or whose tool was killed.
///
/// Version 2 (this one) names an engine; settings that only that engine understands are in ``EngineRecord/details``.
/// Version 1 is read too: its engine is QEMU. The manifest may come from a stranger: see docs/security.md for what a
/// replay takes from it.
public struct Manifest: Sendable, Equatable {
    /// Whether a run made the input log or followed it.
    public enum RunKind: String, Codable, Sendable {
        /// The run made the input log.
        case recording
        /// The run followed the input log.
        case replay
    }

    /// The kind of the run.
    public var kind: RunKind
    /// 32 hexadecimal digits. A replay repeats its recording's.
    public var recordingUUID: String
    /// A replay's name.
    public var name: String?
    /// UTC, ISO 8601.
    public var created: String
    /// The tool and its version.
    public var tool: String
    /// The engine that ran the guest.
    public var engine: EngineRecord
    /// The files that determined the guest's run, as they were when it began.
    public var files: [GuestFile]
    /// The differences that a replay was allowed to have.
    public var forced: [ManifestDifference]?
    /// How the run ended; nil before that.
    public var outcome: RunOutcome?

    /// A manifest of a run that begins.
    public init(
        kind: RunKind, recordingUUID: String, name: String? = nil, created: String, tool: String, engine: EngineRecord,
        files: [GuestFile], forced: [ManifestDifference]? = nil
    ) {
        self.kind = kind
        self.recordingUUID = recordingUUID
        self.name = name
        self.created = created
        self.tool = tool
        self.engine = engine
        self.files = files
        self.forced = forced
    }

    /// The value of `schema` in the file; it distinguishes the file from other JSON files.
    public static let schemaName = "tt-analyze manifest"
    /// The version that is written.
    public static let currentVersion = 2
    /// The file's name in a run's directory.
    public static let fileName = "manifest.json"

    /// The kernel that the guest booted; its symbols name the guest's addresses.
    public var kernel: FileIdentity? { files.first { $0.role == GuestFile.kernelRole }?.identity }
}

/// The engine of a run, and its own settings.
public struct EngineRecord: Codable, Sendable, Equatable {
    /// `qemu`.
    public var name: String
    /// As the engine prints it.
    public var version: String
    /// The parts that only this engine understands: settings, command line, recorder.
    public var details: JSONValue

    /// The record of an engine.
    public init(name: String, version: String, details: JSONValue) {
        self.name = name
        self.version = version
        self.details = details
    }
}
