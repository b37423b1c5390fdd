// SPDX-License-Identifier: GPL-2.0-or-later

@preconcurrency import Glibc
import RunDirectory

/// The plugin's settings: how much it logs during a run.
public struct PluginConfiguration: Codable, Hashable, Sendable {
    /// How much is logged.
    public enum Mode: String, Codable, CaseIterable, Sendable {
        /// Every branch, event and access.
        case branches
        /// The same digests, but only the last cells of the branches. It saves disk space, not time.
        case digest
        /// Events and accesses only.
        case events
    }
    /// How the log is compressed.
    public enum Codec: String, Codable, CaseIterable, Sendable {
        /// Zstandard, level 1.
        case zstd
        /// No compression.
        case raw
    }

    /// The plugin's file; its digest shows whether a replay had the same plugin.
    public var file: FileIdentity
    /// How much is logged.
    public var mode = Mode.branches
    /// How the log is compressed.
    public var codec = Codec.zstd
    /// Whether rdtsc, port I/O, cpuid and msr sites are logged.
    public var accesses = true
    /// Whether MMIO accesses are logged (slower by half).
    public var mmio = false
    /// Whether accesses to RAM are logged: for short windows; nil means no.
    public var ram: Bool?
    /// Whether the values of accesses are logged. This and the next three need a QEMU that shows registers
    /// (``QEMUProgram/showsRegisters``); nil means: where it does.
    public var values: Bool?
    /// Whether switches of the address space and of the stack are events.
    public var context: Bool?
    /// Whether interrupts and exceptions are events.
    public var causes: Bool?
    /// Whether digests of the registers are logged.
    public var registers: Bool?
    /// Whether every transition is computed a second time, from single instructions, and compared; nil means no.
    public var check: Bool?
    /// `KEY=VALUE`, passed to the plugin unchanged.
    public var options: [String] = []

    /// A plugin with its default settings.
    public init(file: FileIdentity) { self.file = file }

    /// The value of QEMU's `-plugin`.
    func argument(log: String, runKind: Manifest.RunKind, uuid: String, qemu: QEMUProgram) -> String {
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

    /// The switches that have a default in the plugin, by the plugin's names for them.
    private var switches: [(key: String, wanted: Bool?)] {
        [
            ("values", values), ("context", context), ("causes", causes), ("state", registers), ("check", check),
            ("ram", ram),
        ]
    }

    /// Refuses a setting that was switched on and that this QEMU does not support.
    func check(against qemu: QEMUProgram) throws(RunError) {
        guard !qemu.showsRegisters else { return }
        let settings: [(LogSetting, Bool?)] = [
            (.values, values), (.context, context), (.causes, causes), (.registers, registers),
        ]
        for (setting, wanted) in settings where wanted == true {
            throw .refused(
                what: "logging of \(setting.rawValue)", why: "QEMU \(qemu.number) shows no registers to a plugin",
                remedy: .otherEngine(having: "QEMU 10.0", orOff: setting))
        }
    }
}
