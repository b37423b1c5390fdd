// SPDX-License-Identifier: GPL-2.0-or-later

import RunDirectory

extension QEMUEngine {
    /// What a replay may be asked to change, and what it may log otherwise.
    public struct ReplayOptions: Sendable {
        /// QEMU's path or name; nil takes the recording's.
        public var program: String?
        /// What the guest has otherwise than in the recording.
        public var changes = Changes()
        /// What is logged otherwise than in the recording.
        public var logging = Logging()

        /// A replay like the recording.
        public init() {}
    }

    /// What the guest has otherwise than in the recording; nil leaves it as recorded.
    public struct Changes: Sendable {
        /// Another kernel.
        public var kernel: String?
        /// Another RAM disk.
        public var initrd: String?
        /// Another kernel command line.
        public var commandLine: String?
        /// Another amount of memory.
        public var memory: MemorySize?
        /// Another processor model.
        public var cpu: String?
        /// Another machine.
        public var machine: String?
        /// Images in place of the recording's disks, in their order.
        public var disks: [String] = []
        /// In addition to the recording's. Those that only watch (`-S -gdb tcp::1234`, `-d int`) are no change.
        public var extraArguments: [String] = []

        /// No change.
        public init() {}
    }

    /// What is logged otherwise than in the recording; nil leaves it as recorded. None of it changes what the guest does.
    public struct Logging: Sendable {
        /// Another plugin file.
        public var plugin: String?
        /// See ``PluginConfiguration/mode``.
        public var mode: PluginConfiguration.Mode?
        /// See ``PluginConfiguration/codec``.
        public var codec: PluginConfiguration.Codec?
        /// See ``PluginConfiguration/accesses``.
        public var accesses: Bool?
        /// See ``PluginConfiguration/mmio``.
        public var mmio: Bool?
        /// See ``PluginConfiguration/values``.
        public var values: Bool?
        /// See ``PluginConfiguration/context``.
        public var context: Bool?
        /// See ``PluginConfiguration/causes``.
        public var causes: Bool?
        /// See ``PluginConfiguration/registers``.
        public var registers: Bool?
        /// See ``PluginConfiguration/check``.
        public var check: Bool?
        /// In place of the recording's.
        public var options: [String]?

        /// As recorded.
        public init() {}
    }

    /// The engine for a replay of a recording.
    public static func replaying(
        _ recording: Manifest, options: ReplayOptions, warnings: inout [String]
    ) throws(RunError) -> QEMUEngine {
        try ExtraArguments.check(options.changes.extraArguments, isReplay: true)
        let details = try QEMUDetails(recording)
        let recordedProgram = Files.isExecutable(details.program) ? details.program : nil
        let program = try QEMUProgram.find(options.program ?? recordedProgram)
        let plugin = try options.logging.configuration(details.plugin, warnings: &warnings)
        try plugin.check(against: program)
        var engine = QEMUEngine(program: program, guest: try options.changes.applied(to: details.guest), plugin: plugin)
        let extra = options.changes.extraArguments
        if ExtraArguments.onlyWatch(extra) { engine.watchers = extra }
        return engine
    }

    /// QEMU's version and the guest's settings.
    public func differences(from recording: Manifest) throws(RunError) -> [ManifestDifference] {
        var list: [ManifestDifference] = []
        list.compare("QEMU version", recording.engine.version, version)
        return list + guest.differences(from: try QEMUDetails(recording).guest)
    }
}

extension QEMUEngine.Changes {
    /// The recording's guest with the changes.
    func applied(to recorded: GuestConfiguration) throws(RunError) -> GuestConfiguration {
        var guest = recorded
        if let memory { guest.memory = memory }
        if let cpu { guest.cpu = cpu }
        if let machine { guest.machine = machine }
        if let commandLine { guest.commandLine = commandLine }
        if let kernel { guest.kernel = kernel }
        if let initrd { guest.initrd = initrd }
        if !disks.isEmpty {
            let device = recorded.disks.first?.device ?? GuestConfiguration.Disk.defaultDevice
            guest.disks = []
            for path in disks { guest.disks.append(try GuestConfiguration.Disk(path: path, device: device)) }
        }
        if !ExtraArguments.onlyWatch(extraArguments) { guest.extraArguments += extraArguments }
        try guest.makePathsAbsolute()
        return guest
    }
}

extension QEMUEngine.Logging {
    /// What the plugin logs in this replay.
    func configuration(
        _ recorded: PluginConfiguration?, warnings: inout [String]
    ) throws(RunError) -> PluginConfiguration {
        let path: String
        if let plugin {
            path = plugin
        } else if let recorded, Files.exists(recorded.file.path) {
            path = recorded.file.path
        } else {
            path = try PluginConfiguration.find()
        }
        let file = try FileIdentity(of: path, what: "plugin")
        var result = recorded ?? PluginConfiguration(file: file)
        if result.file.sha256 != file.sha256 {
            warnings.append("the plugin is another build than the recording's: labels may differ for that reason")
        }
        result.file = file
        if let mode { result.mode = mode }
        if let codec { result.codec = codec }
        if let accesses { result.accesses = accesses }
        if let mmio { result.mmio = mmio }
        if let values { result.values = values }
        if let context { result.context = context }
        if let causes { result.causes = causes }
        if let registers { result.registers = registers }
        if let check { result.check = check }
        if let options { result.options = options }
        return result
    }
}
