// SPDX-License-Identifier: GPL-2.0-or-later

import ArgumentParser
import Formatting
import ReplaySession
import RunDirectory
import ToolSupport

extension MemorySize: ExpressibleByArgument {
    /// Reads `64`, `512M`, `2G`.
    public init?(argument: String) { self.init(argument) }
}
extension PluginConfiguration.Codec: ExpressibleByArgument {}

/// The machine and what it boots.
struct GuestOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp("A PVH or multiboot ELF file, or a Linux bzImage.", valueName: "file"), completion: .file())
    var kernel: String?

    @Option(help: ArgumentHelp("The kernel's first RAM disk.", valueName: "file"), completion: .file())
    var initrd: String?

    @Option(help: ArgumentHelp("The kernel's command line.", valueName: "text"))
    var append: String?

    @Option(
        help: ArgumentHelp(
            "A disk image, raw or qcow2; may be repeated. It is not changed: the guest's writes are discarded.",
            valueName: "file"))
    var disk: [String] = []

    @Option(help: ArgumentHelp("The device that carries the disks.", valueName: "device"))
    var diskDevice = GuestConfiguration.Disk.defaultDevice

    @Option(help: ArgumentHelp("Guest memory: 64, 512M, 2G.", valueName: "size"))
    var memory = GuestConfiguration().memory

    @Option(help: ArgumentHelp("QEMU's processor model.", valueName: "model"))
    var cpu = GuestConfiguration().cpu

    @Option(help: ArgumentHelp("QEMU's machine.", valueName: "type"))
    var machine = GuestConfiguration().machine

    @Option(help: ArgumentHelp("A further device, as for QEMU's -device; may be repeated.", valueName: "device"))
    var device: [String] = []

    /// How virtual time follows the instruction count.
    enum Clock: String, ExpressibleByArgument, CaseIterable {
        case auto, fast, real
    }

    @Option(
        help: """
            fast: the time of an idle guest jumps to its next timer; real: an idle guest waits in real time, which disks, \
            networks, firmware and people need; auto: as the guest needs it.
            """)
    var clock = Clock.auto

    @Option(
        help: ArgumentHelp(
            "One instruction takes 2^N ns of the guest's time. (default: fast 1, real 4)", valueName: "n"))
    var shift: Int?

    @Option(help: "Whether an idle guest waits in real time. (default: fast off, real on)")
    var sleep: Switch?

    @Option(
        help: ArgumentHelp(
            """
            The input of the guest on its first serial port: stdio, the bytes of a file, or script:FILE with lines \
            expect "TEXT", send "TEXT" and wait SECONDS. It is recorded.
            """, valueName: "source"))
    var serial: String?

    @Option(help: ArgumentHelp("Processors: QEMU can record one.", valueName: "n"))
    var smp = 1

    func configuration(_ extraArguments: [String]) throws -> GuestConfiguration {
        if smp != 1 { throw ExtraArguments.processors("--smp \(smp)") }
        if let shift, !(0...10).contains(shift) { throw ValidationError("--shift is 0 ... 10, not \(shift)") }
        var guest = GuestConfiguration()
        guest.machine = machine
        guest.cpu = cpu
        guest.memory = memory
        guest.kernel = kernel
        guest.initrd = initrd
        guest.commandLine = append
        guest.disks = try disk.map { try GuestConfiguration.Disk(path: $0, device: diskDevice) }
        guest.devices = device
        var chosen: GuestConfiguration.InstructionClock
        switch clock {
        case .auto: chosen = .init()
        case .fast: chosen = .fast
        case .real: chosen = .real
        }
        if let shift { chosen.shift = shift }
        if let sleep { chosen.sleep = sleep.isOn }
        guest.instructionClock = chosen
        guest.extraArguments = extraArguments
        return guest
    }
}

extension GuestOptions {
    /// The input of the guest on its first serial port; nil for none.
    func serialInput() throws -> SerialInput? {
        guard let serial else { return nil }
        if serial == "stdio" { return .descriptor(0) }
        if serial.hasPrefix("script:") { return .script(try SerialScript(path: String(serial.dropFirst(7)))) }
        return .file(serial)
    }
}

/// `on` or `off`.
enum Switch: String, ExpressibleByArgument, CaseIterable {
    case on, off

    var isOn: Bool { self == .on }
}

/// The settings of the log.
struct LogOptions: ParsableArguments {
    enum Mode: String, ExpressibleByArgument, CaseIterable {
        case branches, digest, events, none
    }

    @Option(
        help: """
            branches: everything; digest: only the digests of the branches; events: no branches; none: only QEMU's input \
            log, from which a replay can make a log.
            """)
    var mode = Mode.branches

    @Option(help: "How the log is compressed.")
    var codec = PluginConfiguration.Codec.zstd

    @Option(help: "Whether rdtsc, port I/O, cpuid and msr instructions are logged.")
    var access = Switch.on

    @Option(help: "Whether accesses to memory-mapped devices are logged (slower by half).")
    var mmio = Switch.off

    @Option(
        help: "Under QEMU 10.0, whether the values of accesses are logged. (default: on, if QEMU shows them)")
    var values: Switch?

    @Option(
        help: """
            Under QEMU 10.0, whether switches of the address space and of the stack are events. (default: on, where \
            QEMU shows them)
            """)
    var context: Switch?

    @Option(
        help: """
            Under QEMU 10.0, whether interrupts and exceptions are events with vector, error code and CR2. (default: \
            on, where QEMU shows them)
            """)
    var causes: Switch?

    @Option(
        help: """
            Under QEMU 10.0, whether digests of the registers are logged every 65,536 branches. (default: on, where \
            QEMU shows them)
            """)
    var registers: Switch?

    @Flag(help: "Find every branch a second time, from single instructions, and compare; several times slower.")
    var check = false

    @Option(
        name: .customLong("plugin"),
        help: ArgumentHelp(
            "The plugin. (default: TTD_PLUGIN, or libttd.so beside the tool or in the source tree)", valueName: "file"
        ))
    var pluginFile: String?

    @Option(
        help: ArgumentHelp("A further argument for the plugin; may be repeated.", valueName: "key=value"))
    var pluginOption: [String] = []

    /// nil for a run without a log.
    func plugin() throws -> PluginConfiguration? {
        guard let mode = PluginConfiguration.Mode(rawValue: mode.rawValue) else { return nil }
        var plugin = PluginConfiguration(
            file: try FileIdentity(of: pluginFile ?? PluginConfiguration.find(), what: "plugin"))
        plugin.mode = mode
        plugin.codec = codec
        plugin.accesses = access.isOn
        plugin.mmio = mmio.isOn
        plugin.values = values?.isOn
        plugin.context = context?.isOn
        plugin.causes = causes?.isOn
        plugin.registers = registers?.isOn
        plugin.check = check ? true : nil
        plugin.options = pluginOption
        return plugin
    }
}

/// How the run is made, and how its result is printed.
struct SessionOptions: ParsableArguments {
    enum Format: String, ExpressibleByArgument, CaseIterable {
        case text, json
    }

    @Option(
        help: ArgumentHelp(
            """
            QEMU's program. (default: QEMU in the environment, else one from version 9 on, in PATH or fetched by `make \
            qemu10`, else qemu-system-x86_64 in PATH)
            """, valueName: "file"))
    var qemu: String?

    @Option(help: ArgumentHelp("End the run after this time.", valueName: "seconds"))
    var timeout: Double?

    @Option(
        help: ArgumentHelp(
            "Report a guest that executes no instruction for this time; the recording continues.",
            valueName: "seconds"))
    var hangTimeout: Double = 10

    @Option(
        help: ArgumentHelp(
            "End the run of a guest that has halted with interrupts off for so long.", valueName: "seconds"))
    var haltTimeout: Double = 10

    @Flag(help: "Keep a snapshot of the beginning in snap.qcow2, for a debugger that goes backwards in a replay.")
    var snapshot = false

    @Flag(name: [.long, .customLong("force")], help: "Remove an earlier recording in the directory, with its replays.")
    var overwrite = false

    @Flag(help: "Print no progress and no summary; report only problems.")
    var quiet = false

    @Option(help: "How the summary is printed.")
    var format = Format.text

    func validate() throws {
        try Seconds.check(hangTimeout, "--hang-timeout")
        try Seconds.check(haltTimeout, "--halt-timeout")
        try timeout.map { try Seconds.check($0, "--timeout") }
    }

    /// Prints the summary and ends the tool with its status.
    func report(_ summary: RunSummary) throws {
        switch format {
        case .json: Output.standard.line(try summary.json())
        case .text:
            if !quiet { Output.standard.line("\(summary.text)\nnext: \(summary.next.commandLine)") }
            if quiet { for warning in summary.warnings { Diagnostics.warning(warning.onOneLine) } }
        }
        if let trouble = summary.trouble {
            Diagnostics.error("the recording is incomplete: \(trouble.onOneLine)")
            throw ToolStatus.trouble.exitCode
        }
    }
}
