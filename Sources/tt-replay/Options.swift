// SPDX-License-Identifier: GPL-2.0-or-later

import ArgumentParser
import Formatting
import ReplaySession
import ToolSupport
import TravelSupport

/// The differences of the guest from the recording.
struct ChangeOptions: ParsableArguments {
    @Option(help: ArgumentHelp("Another kernel.", valueName: "file"), completion: .file())
    var kernel: String?

    @Option(help: ArgumentHelp("Another RAM disk.", valueName: "file"), completion: .file())
    var initrd: String?

    @Option(help: ArgumentHelp("Another kernel command line.", valueName: "text"))
    var append: String?

    @Option(
        help: ArgumentHelp("Other disk images, in the recording's order; may be repeated.", valueName: "file"),
        completion: .file())
    var disk: [String] = []

    @Option(help: ArgumentHelp("Another amount of memory.", valueName: "size"))
    var memory: MemorySize?

    @Option(help: ArgumentHelp("Another processor model.", valueName: "model"))
    var cpu: String?

    @Option(help: ArgumentHelp("Another machine.", valueName: "type"))
    var machine: String?

    /// Whether one of them is given.
    var isGiven: Bool {
        [kernel, initrd, append, cpu, machine].contains { $0 != nil } || !disk.isEmpty || memory != nil
    }

    func changes(_ extraArguments: [String]) -> QEMUEngine.Changes {
        var changes = QEMUEngine.Changes()
        changes.kernel = kernel
        changes.initrd = initrd
        changes.commandLine = append
        changes.disks = disk
        changes.memory = memory
        changes.cpu = cpu
        changes.machine = machine
        changes.extraArguments = extraArguments
        return changes
    }
}

/// The differences of the log from the recording's; they do not affect the guest.
struct LogOptions: ParsableArguments {
    enum Switch: String, ExpressibleByArgument, CaseIterable {
        case on, off
    }

    @Option(help: "How much is logged. (default: as recorded)")
    var mode: PluginConfiguration.Mode?

    @Option(help: "How the log is compressed. (default: as recorded)")
    var codec: PluginConfiguration.Codec?

    @Option(help: "Whether rdtsc, port I/O, cpuid and msr instructions are logged. (default: as recorded)")
    var access: Switch?

    @Option(help: "Whether accesses to memory-mapped devices are logged. (default: as recorded)")
    var mmio: Switch?

    @Option(
        help: """
            With --trace: whether the accesses of instructions to RAM are logged, with physical and virtual address, size and \
            value (some 4 bytes each). (default: off)
            """)
    var ram: Switch?

    @Option(help: "Whether the values of accesses are logged. (default: as recorded)")
    var values: Switch?

    @Option(help: "Whether switches of the address space and of the stack are events. (default: as recorded)")
    var context: Switch?

    @Option(help: "Whether interrupts and exceptions are events. (default: as recorded)")
    var causes: Switch?

    @Option(help: "Whether digests of the registers are logged. (default: as recorded)")
    var registers: Switch?

    @Option(
        help: """
            Whether every branch is found a second time, from single instructions, and compared. (default: as recorded)
            """)
    var check: Switch?

    @Option(
        help: ArgumentHelp("Another build of the recorder than the recording's.", valueName: "file"),
        completion: .file())
    var plugin: String?

    @Option(
        help: ArgumentHelp(
            "An argument for the plugin, in place of the recording's; may be repeated.", valueName: "key=value"))
    var pluginOption: [String] = []

    /// Whether one of them is given.
    var isGiven: Bool {
        mode != nil || codec != nil || plugin != nil || !pluginOption.isEmpty
            || [access, mmio, ram, values, context, causes, registers, check].contains { $0 != nil }
    }

    var logging: QEMUEngine.Logging {
        var result = QEMUEngine.Logging()
        result.plugin = plugin
        result.mode = mode
        result.codec = codec
        result.accesses = access.map { $0 == .on }
        result.mmio = mmio.map { $0 == .on }
        result.ram = ram.map { $0 == .on }
        result.values = values.map { $0 == .on }
        result.context = context.map { $0 == .on }
        result.causes = causes.map { $0 == .on }
        result.registers = registers.map { $0 == .on }
        result.check = check.map { $0 == .on }
        result.options = pluginOption.isEmpty ? nil : pluginOption
        return result
    }
}

/// How the run is made, and how its result is printed.
struct SessionOptions: ParsableArguments {
    enum Format: String, ExpressibleByArgument, CaseIterable {
        case text, json
    }

    @Option(help: ArgumentHelp("The replay's name. (default: the next free number)", valueName: "name"))
    var name: String?

    @Option(
        name: [.short, .long],
        help: ArgumentHelp(
            "Write the replay to this directory, and nothing into the recording's, which may be read-only. With --trace: "
                + "the new log.", valueName: "path"), completion: .file())
    var output: String?

    @OptionGroup var engine: EngineOptions

    @Flag(help: "Replay although something differs from the recording.")
    var force = false

    @Flag(help: "Remove an earlier replay of this name.")
    var overwrite = false

    /// Whether an option about the replay's directory is given.
    ///
    /// - Parameter asideFromOutput: whether `--output` names another file.
    func writesReplay(asideFromOutput: Bool) -> Bool {
        name != nil || (output != nil && !asideFromOutput) || force || overwrite
    }

    @Option(
        help: ArgumentHelp(
            "End a replay that makes no progress for so long: 3; for Xen, where a guest may compute without a record of the log, "
                + "60 more than the recording took.", valueName: "seconds"))
    var hangTimeout: Double?

    /// Seconds without progress after which a replay under QEMU is hung.
    var patience: Double { hangTimeout ?? 3 }

    @Option(help: ArgumentHelp("End the replay after this time.", valueName: "seconds"))
    var timeout: Double?

    @Flag(help: "Print no progress and no summary; report only problems.")
    var quiet = false

    @Option(help: "How the summary is printed.")
    var format = Format.text

    func validate() throws {
        try hangTimeout.map { try Seconds.check($0, "--hang-timeout") }
        try timeout.map { try Seconds.check($0, "--timeout") }
        if output != nil, name != nil { throw ValidationError("--name and --output exclude each other") }
    }

    /// Prints the summary and ends the tool with its status.
    func report(_ summary: RunSummary) throws {
        switch format {
        case .json: Output.standard.line(try summary.json())
        case .text:
            if !quiet { Output.standard.line("\(summary.text)\nnext: \(summary.next.commandLine)") }
            if quiet { for warning in summary.warnings { Diagnostics.warning(warning.onOneLine) } }
        }
        switch summary.verdict {
        case .done: return
        case .different:
            if quiet {
                for difference in summary.differences { Diagnostics.note("went differently: \(difference.onOneLine)") }
            }
            throw ToolStatus.different.exitCode
        case .trouble:
            Diagnostics.error("the replay is incomplete: \((summary.trouble ?? summary.outcome.text).onOneLine)")
            throw ToolStatus.trouble.exitCode
        }
    }
}
