// SPDX-License-Identifier: GPL-2.0-or-later

extension Manifest {
    /// Reads a manifest of version 1, which knew QEMU alone.
    ///
    /// It had `qemu`, `plugin`, `guest`, `arguments`, `inputLog` and `pluginAPI` in addition to the members that all
    /// engines share, and files inside `guest`. The files move to ``Manifest/files``, the rest to
    /// ``EngineRecord/details``.
    static func version1(_ document: JSONValue) throws -> Manifest {
        struct Common: Decodable {
            var kind: RunKind
            var recordingUUID: String
            var name: String?
            var created: String
            var tool: String
            var qemu: Program
            var forced: [ManifestDifference]?
            var outcome: RunOutcome?
            var inputLog: FileIdentity?

            struct Program: Decodable {
                var path: String
                var version: String
            }
        }
        let common = try document.decoded(as: Common.self)
        var files: [GuestFile] = []
        let guest = try version1Guest(document["guest"], &files)
        var details: [String: JSONValue] = ["program": .string(common.qemu.path), "guest": guest]
        for key in ["plugin", "arguments", "pluginAPI"] { details[key] = document[key] }
        if var inputLog = common.inputLog {
            inputLog.path = inputLog.name
            details["inputLog"] = try JSONValue(encoding: inputLog)
        }
        var manifest = Manifest(
            kind: common.kind, recordingUUID: common.recordingUUID, name: common.name, created: common.created,
            tool: common.tool,
            engine: EngineRecord(name: "qemu", version: common.qemu.version, details: .object(details)),
            files: files, forced: common.forced)
        manifest.outcome = common.outcome
        return manifest
    }

    /// The guest with paths in place of identities.
    private static func version1Guest(_ guest: JSONValue?, _ files: inout [GuestFile]) throws -> JSONValue {
        struct Disk: Decodable {
            var image: FileIdentity
            var format: String
            var device: String
        }
        struct Guest: Decodable {
            var kernel: FileIdentity?
            var initrd: FileIdentity?
            var disks: [Disk]
        }
        guard case .object(var members) = guest else {
            throw DecodingError.valueNotFound(
                JSONValue.self, .init(codingPath: [], debugDescription: "no guest in a manifest of version 1"))
        }
        let typed = try JSONValue.object(members).decoded(as: Guest.self)
        for (key, file) in [(GuestFile.kernelRole, typed.kernel), ("initrd", typed.initrd)] {
            guard let file else { continue }
            files.append(GuestFile(role: key, identity: file))
            members[key] = .string(file.path)
        }
        var disks: [JSONValue] = []
        for (index, disk) in typed.disks.enumerated() {
            files.append(GuestFile(role: "disk \(index)", identity: disk.image))
            disks.append(
                .object([
                    "image": .string(disk.image.path), "format": .string(disk.format), "device": .string(disk.device),
                ]))
        }
        members["disks"] = .array(disks)
        // Version 1 left the clock to a rule that has changed since: with a disk real time, else the fast clock.
        var clock: [String: JSONValue] = [:]
        if case .object(let recorded) = members["instructionClock"] { clock = recorded }
        if clock["shift"] == nil { clock["shift"] = .integer(disks.isEmpty ? 1 : 4) }
        if clock["sleep"] == nil { clock["sleep"] = .bool(!disks.isEmpty) }
        members["instructionClock"] = .object(clock)
        return .object(members)
    }
}
