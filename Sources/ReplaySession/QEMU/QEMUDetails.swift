// SPDX-License-Identifier: GPL-2.0-or-later

import RunDirectory

/// QEMU's own part of a manifest (``EngineRecord/details``).
public struct QEMUDetails: Codable, Sendable, Equatable {
    /// QEMU's program, absolute. A replay does not run a program that only a manifest names.
    public var program: String
    /// nil for a run without a log.
    public var plugin: PluginConfiguration?
    /// The machine and what it boots.
    public var guest: GuestConfiguration
    /// QEMU's complete command line, for people. It names the monitor by a descriptor (3): leave `-chardev` and `-mon`
    /// out to run it by hand.
    public var arguments: [String]
    /// `replay.bin` as the recording left it or as the replay read it; its path is relative to the recording's directory.
    /// nil in a replay of a killed recording.
    public var inputLog: FileIdentity?
    /// The level of QEMU's plugin interface that the plugin found (1 in QEMU 7.2, 4 in 10.0), from the log's header; nil
    /// before the run has ended and for a run without a log.
    public var pluginAPI: Int?

    init(program: String, plugin: PluginConfiguration?, guest: GuestConfiguration, arguments: [String]) {
        self.program = program
        self.plugin = plugin
        self.guest = guest
        self.arguments = arguments
    }

    /// Reads the part of a manifest.
    ///
    /// - Throws: ``RunError`` for a run of another engine and for a damaged manifest.
    public init(_ manifest: Manifest) throws(RunError) {
        guard manifest.engine.name == QEMUEngine.name else {
            throw .manifest(
                path: Manifest.fileName, problem: "a run of \(manifest.engine.name), not of \(QEMUEngine.name)")
        }
        do {
            self = try manifest.engine.details.decoded()
        } catch {
            throw .manifest(path: Manifest.fileName, problem: "damaged manifest: \(error)")
        }
    }
}
