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
        parts += options
        return parts.map(QEMUCommandLine.escaped).joined(separator: ",")
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
