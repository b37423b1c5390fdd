// SPDX-License-Identifier: GPL-2.0-or-later

import RunDirectory

/// A guest's configuration file of `xl` (xl.cfg(5)), as far as a recording needs to know it.
///
///     name = "guest"
///     type = "pvh"
///     kernel = "/boot/vmlinux"
///     tsc_mode = "always_emulate"
///     ttd_flag = 1
///
/// `xl` ignores `ttd_flag`, `tt_replay_flag` and `ttd_digests`; XenTT's tools read the first two from the same file.
public struct XenGuestConfiguration: Sendable, Equatable {
    /// The path of the file.
    public let path: String
    /// The settings in their order. Strings are without quotes; a list is as it stands in the file, with its brackets.
    public let settings: [(key: String, value: String)]

    /// Compares path and settings.
    public static func == (a: XenGuestConfiguration, b: XenGuestConfiguration) -> Bool {
        a.path == b.path && a.settings.elementsEqual(b.settings, by: ==)
    }

    /// Reads a file.
    ///
    /// - Throws: ``RunError`` that names the line of text that is no setting.
    public init(path: String) throws(RunError) {
        try self.init(
            path: path,
            text: String(decoding: try PlainFile(path, what: "configuration").contents(limit: 1 << 20), as: UTF8.self))
    }

    init(path: String, text: String) throws(RunError) {
        self.path = path
        var reader = ConfigurationReader(path: path, text: text)
        settings = try reader.settings()
    }

    /// The last value of a key; nil if the file does not have it.
    public subscript(_ key: String) -> String? { settings.last { $0.key == key }?.value }

    /// The domain's name.
    public var name: String { self["name"] ?? "" }
    /// The guest's kernel.
    public var kernel: String? { self["kernel"] }
    /// The guest's RAM disk.
    public var ramdisk: String? { self["ramdisk"] }
    /// Exits between two digests of the guest's memory; 0: none.
    public var digests: UInt64 { self["ttd_digests"].flatMap { UInt64($0) } ?? 0 }
    /// Whether the configuration asks for a recording (`ttd_flag`); nil if it does not say.
    public var wantsRecording: Bool? { self["ttd_flag"].map { $0 != "0" } }
    /// Whether the configuration asks for a replay (`tt_replay_flag`).
    public var wantsReplay: Bool { (self["tt_replay_flag"] ?? "0") != "0" }
}

// MARK: - Rules
extension XenGuestConfiguration {
    /// Refuses a guest that cannot be recorded, with the line that would make it one.
    public func check() throws(RunError) {
        func refuse(_ why: String, _ line: String) -> RunError {
            .refused(what: path, why: why, remedy: .advice("write \(line) in it"))
        }
        if name.isEmpty { throw refuse("the domain has no name", "name = \"guest\"") }
        if self["type"] != "pvh", self["type"] != "pv" {
            throw refuse("only PVH and PV guests are recorded, and PVH guests replayed", "type = \"pvh\"")
        }
        if kernel == nil { throw refuse("it names no kernel", "kernel = \"/path/of/vmlinux\"") }
        if (self["vcpus"] ?? "1") != "1" { throw refuse("only guests with one vCPU are recorded", "vcpus = 1") }
        if self["tsc_mode"] != "always_emulate" {
            throw refuse("the guest would read the host's time stamp counter unseen", "tsc_mode = \"always_emulate\"")
        }
        let cpuid = self["cpuid"] ?? ""
        if !["rdrand=0", "rdseed=0"].allSatisfy(cpuid.contains) {
            throw refuse(
                "the guest would read random numbers unseen", "cpuid = \"host,rdrand=0,rdseed=0\"")
        }
        if let flag = self["ttd_digests"], UInt64(flag) == nil {
            throw refuse("ttd_digests is not a number: \(flag)", "ttd_digests = 50000")
        }
    }

    /// Keys that only describe the guest. Others can run programs of dom0, or give the guest devices of the host.
    private static let harmlessKeys: Set<String> = [
        "name", "type", "kernel", "ramdisk", "memory", "maxmem", "vcpus", "maxvcpus", "extra", "cmdline", "root",
        "tsc_mode", "cpuid", "uuid", "on_poweroff", "on_reboot", "on_crash", "on_watchdog", "on_soft_reset",
        "nomigrate", "disk", "vif", "ttd_flag", "tt_replay_flag", "ttd_digests", "time_travel", "timer_mode",
    ]

    /// Refuses a configuration from a stranger that could do more in dom0 than start the guest.
    func checkForStrangers() throws(RunError) {
        if let setting = settings.first(where: { !XenGuestConfiguration.harmlessKeys.contains($0.key) }) {
            throw .refused(
                what: "\(path): \(setting.key)",
                why: "with this setting the configuration of a recording can do more in dom0 than start a guest",
                remedy: .trustRecording)
        }
    }
}

// MARK: - Reading

/// Reads `KEY = VALUE` statements; a value is a word, a string in quotes, or a list in brackets.
private struct ConfigurationReader {
    let path: String
    var rest: Substring
    var line = 1

    init(path: String, text: String) {
        self.path = path
        rest = text[...]
    }

    mutating func settings() throws(RunError) -> [(key: String, value: String)] {
        var list: [(key: String, value: String)] = []
        while true {
            skip(withLines: true)
            guard !rest.isEmpty else { return list }
            let key = take { $0.isLetter || $0.isNumber || $0 == "_" }
            skip(withLines: false)
            guard !key.isEmpty, rest.first == "=" else { throw problem("KEY = VALUE expected") }
            rest.removeFirst()
            skip(withLines: false)
            list.append((key, try value()))
        }
    }

    private func problem(_ text: String) -> RunError { .file(path: path, problem: "line \(line): \(text)") }

    private mutating func take(while condition: (Character) -> Bool) -> String {
        let taken = rest.prefix(while: condition)
        line += taken.count { $0 == "\n" }
        rest = rest[taken.endIndex...]
        return String(taken)
    }

    /// Skips spaces and comments, and between statements ends of lines.
    private mutating func skip(withLines: Bool) {
        while let next = rest.first {
            if next == "#" {
                _ = take { $0 != "\n" }
            } else if next == " " || next == "\t" || next == "\r" || withLines && (next == "\n" || next == ";") {
                _ = take { $0 == next }
            } else {
                return
            }
        }
    }

    private mutating func value() throws(RunError) -> String {
        guard let first = rest.first else { throw problem("a value is missing") }
        switch first {
        case "\"", "'":
            rest.removeFirst()
            let text = take { $0 != first && $0 != "\n" }
            guard rest.first == first else { throw problem("a string does not end") }
            rest.removeFirst()
            return text
        case "[":
            let text = take { $0 != "]" }
            guard rest.first == "]" else { throw problem("a list does not end") }
            rest.removeFirst()
            return text + "]"
        default:
            let word = take { !$0.isWhitespace && $0 != "#" && $0 != ";" }
            guard !word.isEmpty else { throw problem("a value is missing") }
            return word
        }
    }
}
