// SPDX-License-Identifier: GPL-2.0-or-later

@preconcurrency import Glibc

/// What our plugin writes during a run.
public struct PluginConfiguration: Codable, Hashable, Sendable {
    public enum Mode: String, Codable, CaseIterable, Sendable {
        /// Every branch, event and access.
        case branches
        /// The same digests, but of the branches only the last cells stay. Saves disk, not time.
        case digest
        /// Events and accesses alone.
        case events
    }
    public enum Codec: String, Codable, CaseIterable, Sendable {
        case zstd, raw
    }

    /// The plugin's file; its digest tells whether a replay was watched by the same plugin.
    public var file: FileIdentity
    public var mode = Mode.branches
    public var codec = Codec.zstd
    /// Whether rdtsc, port I/O, cpuid and msr sites are logged.
    public var accesses = true
    /// Whether MMIO accesses are logged (slower by half).
    public var mmio = false
    /// What needs a QEMU that shows registers (``QEMUIdentity/showsRegisters``); nil is on where it does.
    public var values: Bool?
    /// Switches of the address space and of the stack, as events.
    public var context: Bool?
    /// Interrupts and exceptions, as events.
    public var causes: Bool?
    /// Digests of the registers.
    public var registers: Bool?
    /// Whether every transition is computed a second time, from single instructions, and compared; nil is no.
    public var check: Bool?
    /// `KEY=VALUE`, given to the plugin as they are.
    public var options: [String] = []

    public init(file: FileIdentity) { self.file = file }

    /// The value of QEMU's `-plugin`.
    func argument(log: String, runKind: Manifest.RunKind, uuid: String, qemu: QEMUIdentity) -> String {
        var parts = [file.path]
        parts.append("log=\(log)")
        parts.append("mode=\(mode.rawValue)")
        parts.append("codec=\(codec.rawValue)")
        parts.append("run=\(runKind.rawValue)")
        parts.append("uuid=\(uuid)")
        parts.append("name=qemu \(qemu.number)")
        parts.append("access=\(accesses ? "on" : "off")")
        parts.append("mmio=\(mmio ? "on" : "off")")
        for (key, wanted) in switches { if let wanted { parts.append("\(key)=\(wanted ? "on" : "off")") } }
        parts += options
        return parts.map(QEMUCommandLine.escaped).joined(separator: ",")
    }

    /// The switches that the plugin has a default of its own for, by its names for them.
    private var switches: [(key: String, wanted: Bool?)] {
        [("values", values), ("context", context), ("causes", causes), ("state", registers), ("check", check)]
    }

    /// Refuses what was asked for by name and cannot be had.
    func check(against qemu: QEMUIdentity) throws(SessionError) {
        guard !qemu.showsRegisters else { return }
        for (option, wanted) in [
            ("--values", values), ("--context", context), ("--causes", causes), ("--registers", registers),
        ] where wanted == true {
            throw .refused(
                what: "\(option) on", why: "QEMU \(qemu.number) shows a plugin no registers",
                remedy: "use QEMU 10.0 (make qemu10, --qemu), or give \(option) off")
        }
    }

    /// The plugin's file name.
    public static let fileName = "libttd.so"

    /// Looks for the plugin: where TTD_PLUGIN says, beside the executable, in ../lib/tt-analyze, and in the build
    /// directory of the source tree that the executable was built in.
    public static func find() throws(SessionError) -> String {
        if let variable = getenv("TTD_PLUGIN"), variable.pointee != 0 {
            let path = String(cString: variable)
            guard Files.exists(path) else {
                throw .missing(what: "plugin", name: path, remedy: "TTD_PLUGIN names a file that is not there")
            }
            return path
        }
        var directory = ExecutableFile.directory
        var candidates = ["\(directory)/\(fileName)", "\(directory)/../lib/tt-analyze/\(fileName)"]
        for _ in 0..<5 {
            candidates.append("\(directory)/hypervisor/qemu/build/\(fileName)")
            guard let slash = directory.lastIndex(of: "/") else { break }
            directory = String(directory[..<slash])
        }
        for candidate in candidates where Files.exists(candidate) { return candidate }
        throw .missing(
            what: "plugin", name: fileName,
            remedy: "build it with `make plugin`, or name it with --plugin PATH or TTD_PLUGIN; looked for "
                + candidates.joined(separator: ", "))
    }
}
