// SPDX-License-Identifier: GPL-2.0-or-later

import RunDirectory

extension QEMUEngine {
    /// The changes that a caller may request in a replay and in its log.
    public struct ReplayOptions: Sendable {
        /// QEMU's path or name; nil looks for one of the recording's version.
        public var program: String?
        /// Whether the recording is the user's own: its manifest may then name programs, libraries and any argument.
        public var trustsManifest = false
        /// The differences of the guest from the recording.
        public var changes = Changes()
        /// The differences of the log from the recording's.
        public var logging = Logging()

        /// A replay like the recording.
        public init() {}
    }

    /// The differences of the guest from the recording; nil leaves a setting as recorded.
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

    /// The differences of the log from the recording's; nil leaves a setting as recorded. They do not affect the guest.
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
        /// See ``PluginConfiguration/ram``.
        public var ram: Bool?
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
        _ recording: Manifest, located: [String: String], options: ReplayOptions, warnings: inout [String]
    ) throws(RunError) -> QEMUEngine {
        try ExtraArguments.check(options.changes.extraArguments, isReplay: true)
        let details = try QEMUDetails(recording)
        var recorded = details.guest
        recorded.replacePaths(located)
        if !options.trustsManifest {
            let policy = ManifestPolicy(knownFiles: Set(located.values).union(options.changes.paths))
            try policy.check(recorded, plugin: options.logging.options == nil ? details.plugin : nil)
        }
        try ExtraArguments.check(recorded.extraArguments, devices: recorded.devices)
        let program = try program(for: recording, details, options)
        let plugin = try options.logging.configuration(
            details.plugin, trustsManifest: options.trustsManifest, warnings: &warnings)
        try plugin.check(against: program)
        var engine = QEMUEngine(program: program, guest: try options.changes.applied(to: recorded), plugin: plugin)
        engine.located = located
        engine.watchers = ExtraArguments.separate(options.changes.extraArguments).watchers
        return engine
    }

    /// The user's program, one of the recording's version that is installed here, or, for a trusted manifest, the one that
    /// it names.
    private static func program(
        for recording: Manifest, _ details: QEMUDetails, _ options: ReplayOptions
    ) throws(RunError) -> QEMUProgram {
        if let given = options.program { return try .find(given) }
        if options.trustsManifest, Files.isExecutable(details.program) { return try .find(details.program) }
        if let program = QEMUProgram.installed().first(where: { $0.version == recording.engine.version }) {
            return program
        }
        throw .missing(
            what: "QEMU of the recording's version", name: recording.engine.version,
            remedy: .nameEngine(version: recording.engine.version))
    }

    /// The files that the changes replace.
    public static func replacedRoles(_ options: ReplayOptions, in recording: Manifest) -> Set<String> {
        var roles: Set<String> = []
        if options.changes.kernel != nil { roles.insert(GuestFile.kernelRole) }
        if options.changes.initrd != nil { roles.insert("initrd") }
        if !options.changes.disks.isEmpty {
            roles.formUnion(recording.files.map(\.role).filter { $0.hasPrefix("disk ") })
        }
        return roles
    }

    /// QEMU's version and the guest's settings.
    public func differences(from recording: Manifest) throws(RunError) -> [ManifestDifference] {
        var list: [ManifestDifference] = []
        list.compare("QEMU version", recording.engine.version, version)
        return list + guest.differences(from: try QEMUDetails(recording).guest, located: located)
    }
}

extension QEMUEngine.Changes {
    /// The files that the user names in place of the recording's.
    var paths: Set<String> { Set([kernel, initrd].compactMap { $0 } + disks) }

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
        guest.extraArguments += ExtraArguments.separate(extraArguments).others
        try guest.makePathsAbsolute()
        return guest
    }
}

extension QEMUEngine.Logging {
    /// The plugin's settings in this replay. QEMU loads the plugin's code: it is the user's plugin or ours, and the
    /// manifest's only if the user trusts the manifest.
    func configuration(
        _ recorded: PluginConfiguration?, trustsManifest: Bool, warnings: inout [String]
    ) throws(RunError) -> PluginConfiguration {
        let path: String
        if let plugin {
            path = plugin
        } else if trustsManifest, let recorded, Files.exists(recorded.file.path) {
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
        if let ram { result.ram = ram }
        if let values { result.values = values }
        if let context { result.context = context }
        if let causes { result.causes = causes }
        if let registers { result.registers = registers }
        if let check { result.check = check }
        if let options { result.options = options }
        return result
    }
}
