// SPDX-License-Identifier: GPL-2.0-or-later

import RunDirectory

extension RunSetting {
    /// The settings in a manifest that can change what the guest does: the engine, the files by their contents, and the
    /// engine's own input log and its settings of the guest.
    public static func all(in manifest: Manifest) -> [RunSetting] {
        var settings = [RunSetting("engine", "\(manifest.engine.name) \(manifest.engine.version)")]
        for file in manifest.files {
            let digest = String(file.identity.sha256.prefix(12))
            settings.append(
                RunSetting(file.role, "\(file.identity.path) (sha256 \(digest)…)", identity: file.identity.sha256))
        }
        if let input = manifest.engine.details["inputLog"]?["sha256"]?.string, !input.isEmpty {
            settings.append(RunSetting(inputLog, "sha256 \(input.prefix(12))…", identity: input))
        }
        if let guest = manifest.engine.details["guest"] { add(guest, "", to: &settings) }
        return settings
    }

    /// The setting that is the engine's own input log. Only a recording and its replay have it in common.
    static let inputLog = "input log"

    /// Members that name files. Files are compared by their contents.
    private static let fileMembers: Set<String> = ["kernel", "initrd", "image"]

    /// Adds each leaf of a JSON value, named after the members on the way to it.
    private static func add(_ value: JSONValue, _ name: String, to settings: inout [RunSetting]) {
        switch value {
        case .null: break
        case .bool(let value): settings.append(RunSetting(name, "\(value)"))
        case .integer(let value): settings.append(RunSetting(name, "\(value)"))
        case .number(let value): settings.append(RunSetting(name, "\(value)"))
        case .string(let value): settings.append(RunSetting(name, value))
        case .array(let values):
            if values.allSatisfy({ $0.string != nil }) {
                let words = values.compactMap(\.string).joined(separator: " ")
                if !words.isEmpty { settings.append(RunSetting(name, words)) }
            } else {
                for (index, value) in values.enumerated() { add(value, "\(name) \(index)", to: &settings) }
            }
        case .object(let members):
            for (key, value) in members.sorted(by: { $0.key < $1.key }) where !fileMembers.contains(key) {
                let word = separated(key)
                add(value, name.isEmpty ? word : "\(name) \(word)", to: &settings)
            }
        }
    }

    /// `commandLine` as `command line`.
    private static func separated(_ name: String) -> String {
        var words = ""
        for character in name {
            if character.isUppercase { words += " " }
            words += character.lowercased()
        }
        return words
    }
}
