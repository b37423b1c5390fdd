// SPDX-License-Identifier: GPL-2.0-or-later

import FoundationEssentials

/// `manifest.json`: what a run was made of, so that a replay can be the same and a stranger can check it.
///
/// It is written before QEMU starts and completed after the run has ended: a manifest without an outcome belongs to a
/// run that is going on or whose tool was killed.
public struct Manifest: Codable, Sendable, Equatable {
    public enum RunKind: String, Codable, Sendable {
        case recording, replay
    }

    /// Always ``schemaName``; tells the file from other JSON files.
    public var schema = Manifest.schemaName
    public var schemaVersion = Manifest.currentVersion
    public var kind: RunKind
    /// 32 hexadecimal digits. A replay repeats its recording's.
    public var recordingUUID: String
    /// A replay's name.
    public var name: String?
    /// UTC, ISO 8601.
    public var created: String
    /// The tool and its version.
    public var tool: String
    public var qemu: QEMUIdentity
    /// nil for a run without a log.
    public var plugin: PluginConfiguration?
    public var guest: GuestConfiguration
    /// QEMU's whole command line. It names the monitor by a descriptor (3): leave `-chardev` and `-mon` out to run it
    /// by hand.
    public var arguments: [String]
    /// What a replay was allowed to change by --force.
    public var forced: [ManifestDifference]?
    /// `replay.bin` as the recording left it.
    public var inputLog: FileIdentity?
    public var outcome: RunOutcome?
    /// The level of QEMU's plugin interface that the plugin found (1 in QEMU 7.2, 4 in 10.0), from the log's header; nil
    /// before the run has ended and for a run without a log.
    public var pluginAPI: Int?

    public static let schemaName = "tt-analyze manifest"
    public static let currentVersion = 1
    public static let fileName = "manifest.json"

    /// - Throws: a message that names the file for anything that is no manifest of a version we know.
    public static func read(_ path: String) throws(SessionError) -> Manifest {
        let bytes = try Files.contents(path)
        struct Head: Decodable {
            var schema: String?
            var schemaVersion: Int?
        }
        guard let head = try? JSONDecoder().decode(Head.self, from: Data(bytes)), head.schema == schemaName else {
            throw .manifest(path: path, problem: "not a manifest of tt-record (no \"schema\": \"\(schemaName)\")")
        }
        guard let version = head.schemaVersion, version == currentVersion else {
            let found = head.schemaVersion.map { "\($0)" } ?? "none"
            throw .manifest(
                path: path, problem: "manifest version \(found), this tool reads version \(currentVersion)")
        }
        do {
            return try JSONDecoder().decode(Manifest.self, from: Data(bytes))
        } catch {
            throw .manifest(path: path, problem: "damaged manifest: \(error)")
        }
    }

    public func write(_ path: String) throws(SessionError) {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        guard let text = try? encoder.encode(self) else {
            throw .manifest(path: path, problem: "cannot be written as JSON")
        }
        try Files.replace(path, with: Array(text) + [UInt8(ascii: "\n")])
    }
}

/// One thing in which a replay is not what the recording was.
public struct ManifestDifference: Codable, Hashable, Sendable, CustomStringConvertible {
    public var what: String
    public var recorded: String
    public var now: String

    public init(what: String, recorded: String, now: String) {
        self.what = what
        self.recorded = recorded
        self.now = now
    }

    public var description: String { "\(what): recorded with \(recorded), now \(now)" }
}

extension Manifest {
    /// What would make a run with this QEMU and this guest no replay of this recording. The plugin is not in it: it
    /// only watches.
    public func differences(qemu: QEMUIdentity, guest now: GuestConfiguration) -> [ManifestDifference] {
        var list: [ManifestDifference] = []
        func compare(_ what: String, _ recorded: String, _ now: String) {
            if recorded != now { list.append(ManifestDifference(what: what, recorded: recorded, now: now)) }
        }
        func compare(_ what: String, _ recorded: FileIdentity?, _ now: FileIdentity?) {
            guard recorded?.sha256 != now?.sha256 else { return }
            func say(_ file: FileIdentity?) -> String {
                file.map { "\($0.path) (\($0.size) bytes, sha256 \($0.sha256.prefix(12))…)" } ?? "none"
            }
            list.append(ManifestDifference(what: what, recorded: say(recorded), now: say(now)))
        }
        compare("QEMU version", self.qemu.version, qemu.version)
        compare("machine", guest.machine, now.machine)
        compare("CPU", guest.cpu, now.cpu)
        compare("memory", guest.memory.description, now.memory.description)
        compare("kernel", guest.kernel, now.kernel)
        compare("initrd", guest.initrd, now.initrd)
        compare("kernel command line", quoted(guest.commandLine), quoted(now.commandLine))
        compare("number of disks", "\(guest.disks.count)", "\(now.disks.count)")
        for (index, (old, new)) in zip(guest.disks, now.disks).enumerated() {
            compare("disk \(index)", old.image, new.image)
            compare("format of disk \(index)", old.format, new.format)
            compare("device of disk \(index)", old.device, new.device)
        }
        compare("devices", words(guest.devices), words(now.devices))
        compare("extra arguments", words(guest.extraArguments), words(now.extraArguments))
        let (clock, nowClock) = (guest.resolvedClock, now.resolvedClock)
        compare("instruction clock", "\(clock)", "\(nowClock)")
        return list
    }

    private func quoted(_ text: String?) -> String { text.map { "\"\($0)\"" } ?? "none" }

    private func words(_ list: [String]) -> String { list.isEmpty ? "none" : list.joined(separator: " ") }
}
