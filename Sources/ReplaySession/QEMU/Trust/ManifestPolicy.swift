// SPDX-License-Identifier: GPL-2.0-or-later

import RunDirectory

/// Decides which settings a replay takes from a manifest that may come from a stranger (docs/security.md).
///
/// QEMU's options can run programs, load libraries, and read, write or listen anywhere. So this is a list of what a
/// manifest may ask for: options, keys and kinds of values (`ManifestPolicy+Rules`). All else is refused. Values that
/// name files are accepted only for files whose contents were checked against the manifest.
struct ManifestPolicy {
    /// The paths of the files whose contents were checked.
    let knownFiles: Set<String>

    /// Which values a part of an option may have.
    enum ValueRule {
        /// Letters, digits and `._:+-`: names, numbers, addresses. Neither a path nor a URL.
        case word
        /// A word that may be a key: the name of a property whose value is in another part.
        case key
        /// The same and `/`: networks such as `10.0.2.0/24`.
        case network
        /// Any text: QEMU passes it to the guest.
        case text
        /// A file whose contents were checked; or none.
        case file
        /// Files as for `-initrd`: `FILE ARGUMENTS,FILE ARGUMENTS`.
        case modules
        case oneOf([String])
    }

    /// Which value an option may have.
    struct OptionRule {
        /// nil: the option takes no value.
        var first: ValueRule?
        /// For parts with a key; `*` stands for all other keys.
        var keys: [String: ValueRule]
        var takesValue = true

        static let flag = OptionRule(first: nil, keys: [:], takesValue: false)
    }

    /// Refuses arguments that are not on the list.
    func check(_ guest: GuestConfiguration, plugin: PluginConfiguration?) throws(RunError) {
        try check(option: "-machine", value: guest.machine)
        try check(option: "-cpu", value: guest.cpu)
        for disk in guest.disks {
            try check(option: "-device", value: disk.device)
            guard ManifestPolicy.imageFormats.contains(disk.format) else { throw refusal("format \(disk.format)") }
        }
        for device in guest.devices { try check(option: "-device", value: device) }
        try check(arguments: guest.extraArguments)
        for option in plugin?.options ?? [] {
            guard let key = OptionValue(option).parts.first?.key, ManifestPolicy.pluginOptions.contains(key) else {
                throw refusal("plugin option \(option)")
            }
        }
    }

    func check(arguments: [String]) throws(RunError) {
        var rest = arguments[...]
        while let argument = rest.popFirst() {
            let option = argument.hasPrefix("--") ? String(argument.dropFirst()) : argument
            guard let rule = ManifestPolicy.options[option] else { throw refusal(argument) }
            guard rule.takesValue else { continue }
            guard let value = rest.popFirst() else { throw refusal(argument) }
            try check(option: option, value: value)
        }
    }

    private func check(option: String, value: String) throws(RunError) {
        guard let rule = ManifestPolicy.options[option] else { throw refusal(option) }
        // These values are no lists of keys.
        if case .modules = rule.first {
            guard accepts(value, .modules) else { throw refusal("\(option) \(value)") }
            return
        }
        if case .text = rule.first, rule.keys.isEmpty { return }
        for (index, part) in OptionValue(value).parts.enumerated() {
            let accepted: ValueRule?
            if let key = part.key {
                accepted = rule.keys[key] ?? (ManifestPolicy.isHarmless(key) ? rule.keys["*"] : nil)
            } else {
                accepted = index == 0 ? rule.first : rule.keys["*"]
            }
            guard let accepted, accepts(part.value, accepted) else { throw refusal("\(option) \(value)") }
        }
    }

    private func accepts(_ value: String, _ rule: ValueRule) -> Bool {
        switch rule {
        case .word: value.utf8.allSatisfy { ManifestPolicy.isWord($0) }
        case .key: accepts(value, .word) && ManifestPolicy.isHarmless(value)
        case .network: value.utf8.allSatisfy { ManifestPolicy.isWord($0) || $0 == UInt8(ascii: "/") }
        case .text: true
        case .file: value.isEmpty || knownFiles.contains(value)
        case .modules:
            value.split(separator: ",").allSatisfy { module in
                knownFiles.contains(String(module.prefix { $0 != " " }))
            }
        case .oneOf(let words): words.contains(value)
        }
    }

    private static func isWord(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: ":"),
            UInt8(ascii: "+"), UInt8(ascii: "-"):
            true
        default: false
        }
    }

    /// Whether a key that has no rule of its own cannot name a file, a descriptor, or a device of the host.
    private static func isHarmless(_ key: String) -> Bool {
        !["file", "path", "rom", "host", "fd", "chardev", "mon", "exec", "script", "helper", "dir", "socket", "log"]
            .contains { key.lowercased().contains($0) }
    }

    private func refusal(_ what: String) -> RunError {
        .refused(
            what: what, why: "only the recording's manifest asks for it, and a manifest may not",
            remedy: .trustRecording
        )
    }
}
