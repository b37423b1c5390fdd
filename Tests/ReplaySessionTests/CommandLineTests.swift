// SPDX-License-Identifier: GPL-2.0-or-later

import RunDirectory
import Testing

@testable import ReplaySession

/// A plugin file that no test opens.
private func plugin(_ path: String) -> PluginConfiguration {
    PluginConfiguration(file: FileIdentity(path: path, size: 1, sha256: String(repeating: "0", count: 64)))
}

@Suite struct CommandLineTests {
    private func arguments(_ change: (inout GuestConfiguration) -> Void = { _ in }) -> [String] {
        var guest = GuestConfiguration()
        guest.kernel = "/k"
        change(&guest)
        return QEMUCommandLine(
            program: "/q", direction: .record, guest: guest, inputLog: "/d/replay.bin", serialLog: "/d/serial.log"
        ).arguments
    }

    private func value(of option: String, in arguments: [String]) -> String? {
        guard let index = arguments.firstIndex(of: option), index + 1 < arguments.count else { return nil }
        return arguments[index + 1]
    }

    @Test func withoutADisk() {
        let arguments = arguments()
        #expect(arguments.first == "/q")
        #expect(value(of: "-icount", in: arguments) == "shift=1,sleep=off,rr=record,rrfile=/d/replay.bin")
        #expect(value(of: "-global", in: arguments) == "apic.vapic=off")
        #expect(value(of: "-m", in: arguments) == "128M")
        #expect(value(of: "-kernel", in: arguments) == "/k")
        #expect(value(of: "-serial", in: arguments) == "file:/d/serial.log")
        for flag in ["-nodefaults", "-no-user-config", "-no-reboot"] { #expect(arguments.contains(flag)) }
        #expect(!arguments.contains("-append"))
        #expect(!arguments.contains("-plugin"))
        #expect(!arguments.contains("-smp"))
    }

    @Test func withADisk() {
        let arguments = arguments { guest in
            guest.disks = [.init(image: "/images/a,b.raw", format: "raw", device: "virtio-blk-pci")]
        }
        #expect(value(of: "-icount", in: arguments)?.hasPrefix("shift=4,sleep=on,") == true)
        #expect(arguments.contains("file=/images/a,,b.raw,format=raw,if=none,id=ttimage0,snapshot=on"))
        #expect(arguments.contains("driver=blkreplay,if=none,image=ttimage0,id=ttdisk0"))
        #expect(arguments.contains("virtio-blk-pci,drive=ttdisk0"))
    }

    @Test func theUsersChoicesAreKept() {
        let arguments = arguments { guest in
            guest.instructionClock = .init(shift: 3, sleep: true)
            guest.commandLine = "console=ttyS0, quiet"
            guest.devices = ["isa-debug-exit,iobase=0xf4,iosize=4"]
            guest.extraArguments = ["-d", "int"]
        }
        #expect(value(of: "-icount", in: arguments)?.hasPrefix("shift=3,sleep=on,") == true)
        #expect(value(of: "-append", in: arguments) == "console=ttyS0, quiet")
        #expect(value(of: "-device", in: arguments) == "isa-debug-exit,iobase=0xf4,iosize=4")
        #expect(arguments.suffix(2) == ["-d", "int"])
    }

    @Test func aReplayDiffersInItsDirectionAlone() {
        var guest = GuestConfiguration()
        guest.kernel = "/k"
        var command = QEMUCommandLine(
            program: "/q", direction: .record, guest: guest, inputLog: "/i", serialLog: "/s", plugin: "/p.so")
        let recorded = command.arguments
        command.direction = .replay
        let changed = zip(recorded, command.arguments).filter { $0.0 != $0.1 }
        #expect(changed.count == 1)
        #expect(changed.first?.1 == "shift=1,sleep=off,rr=replay,rrfile=/i")
    }

    @Test func aSnapshotOfTheBeginning() {
        var guest = GuestConfiguration()
        guest.kernel = "/k"
        let command = QEMUCommandLine(
            program: "/q", direction: .record, guest: guest, inputLog: "/i", serialLog: "/s",
            snapshotImage: "/d,e/snap.qcow2")
        #expect(value(of: "-icount", in: command.arguments) == "shift=1,sleep=off,rr=record,rrfile=/i,rrsnapshot=init")
        #expect(command.arguments.contains("file=/d,,e/snap.qcow2,format=qcow2,if=none,id=ttsnapshots"))
    }

    @Test func theArgumentsOfThePlugin() {
        var plugin = ReplaySessionTests.plugin("/a,b/libttd.so")
        plugin.mode = .digest
        plugin.codec = .raw
        plugin.accesses = false
        plugin.options = ["kept=3"]
        let text = plugin.argument(
            log: "/d/ttd.log", runKind: .replay, uuid: "00ff",
            qemu: QEMUProgram(path: "/q", version: "7.2.22 (Debian)"))
        #expect(
            text == "/a,,b/libttd.so,log=/d/ttd.log,mode=digest,codec=raw,run=replay,uuid=00ff,name=qemu 7.2.22,"
                + "access=off,mmio=off,kept=3")
    }

    /// A setting with a default in the plugin is passed on where the user chose it, before the further options.
    @Test func whatIsChosenOfThePluginIsPassedOn() throws {
        let qemu = QEMUProgram(path: "/q", version: "10.0.11 (Debian 1:10.0.11)")
        var plugin = ReplaySessionTests.plugin("/p")
        plugin.values = false
        plugin.context = true
        plugin.causes = false
        plugin.registers = false
        plugin.check = true
        plugin.options = ["check=off"]
        let text = plugin.argument(log: "/l", runKind: .recording, uuid: "0", qemu: qemu)
        #expect(text.hasSuffix("mmio=off,values=off,context=on,causes=off,state=off,check=on,check=off"), "\(text)")
        try plugin.check(against: qemu)
    }

    /// A setting that QEMU cannot serve is refused when the user chose it, and left out when it is a default.
    @Test func whatQEMUDoesNotShowIsRefused() throws {
        let old = QEMUProgram(path: "/q", version: "7.2.22 (Debian)")
        let keys: [(LogSetting, WritableKeyPath<PluginConfiguration, Bool?>)] = [
            (.values, \.values), (.context, \.context), (.causes, \.causes), (.registers, \.registers),
        ]
        for (setting, key) in keys {
            var plugin = ReplaySessionTests.plugin("/p")
            try plugin.check(against: old)
            plugin[keyPath: key] = false
            try plugin.check(against: old)
            plugin[keyPath: key] = true
            let error = #expect(throws: RunError.self) { try plugin.check(against: old) }
            let message = error.map { "\($0)" } ?? ""
            #expect(message.contains("\(setting) refused") && message.contains("7.2.22"), "\(message)")
            #expect(error?.remedy == .otherEngine(having: "QEMU 10.0", orOff: setting))
        }
    }

    @Test(
        arguments: [
            (["-smp", "2"], .leaveOut), (["--smp", "cpus=4"], .leaveOut), (["-smp", "1,maxcpus=2"], .leaveOut),
            (["-M", "pc,smp.cpus=2"], .leaveOut), (["-machine", "pc,accel=kvm"], .leaveOut),
            (["-enable-kvm"], .leaveOut),
            (["-accel", "kvm"], .leaveOut), (["-accel", "tcg,thread=multi"], .leaveOut),
            (["-icount", "shift=auto"], .clockSettings),
            (["-loadvm", "x"], .advice("record the guest from its start")),
            (["-daemonize"], .advice("put the tool in the background")), (["-S"], .leaveOut),
            (["-hda", "disk.img"], .recordedDisk(image: "disk.img")),
            (["-drive", "file=x,if=virtio"], .recordedDisk(image: "x")),
            (["-netdev", "user,id=n"], .addArgument("-object filter-replay,id=replay-n,netdev=n")),
            (["-nic", "user"], .addArgument("-object filter-replay,id=replay-ID,netdev=ID")),
            (["-readconfig", "f"], .singleArguments),
        ] as [([String], Remedy)])
    func whatRecordAndReplayCannotDoIsRefused(arguments: [String], remedy: Remedy) {
        let error = #expect(throws: RunError.self) { try ExtraArguments.check(arguments) }
        let text = error.map { "\($0)" } ?? ""
        #expect(error?.remedy == remedy, "\(text)")
        #expect(text.contains(arguments[0].drop { $0 == "-" }), "\(text)")
    }

    @Test(arguments: [
        ["-smp", "1"], ["-smp", "cpus=1"], ["-device", "virtio-rng-pci"], ["-nic", "none"],
        ["-accel", "tcg,thread=single"],
        ["-netdev", "user,id=n", "-object", "filter-replay,id=r,netdev=n"], ["-drive", "if=pflash,file=x,readonly=on"],
        [],
        ["-append", "root=-smp"],
    ])
    func theRestIsAccepted(arguments: [String]) throws {
        try ExtraArguments.check(arguments)
    }

    @Test func aReplayMayWaitForADebugger() throws {
        #expect(throws: RunError.self) { try ExtraArguments.check(["-S"]) }
        try ExtraArguments.check(["-S", "-gdb", "tcp::1"], isReplay: true)
        #expect(throws: RunError.self) { try ExtraArguments.check(["-S", "-smp", "2"], isReplay: true) }
        func separated(_ arguments: [String]) -> [[String]] {
            let (watchers, others) = ExtraArguments.separate(arguments)
            return [watchers, others]
        }
        let watchers = ["-S", "-gdb", "tcp::1", "-d", "int", "--D", "file", "-pidfile", "f"]
        #expect(separated(watchers) == [watchers, []])
        #expect(separated([]) == [[], []])
        #expect(separated(["-S", "-device", "x", "-d", "int"]) == [["-S", "-d", "int"], ["-device", "x"]])
        #expect(separated(["-append", "-s", "-m", "-d"]) == [[], ["-append", "-s", "-m", "-d"]])
    }

    @Test func memorySizes() {
        #expect(MemorySize("64")?.mebibytes == 64)
        #expect(MemorySize("512M")?.mebibytes == 512)
        #expect(MemorySize("2g")?.mebibytes == 2048)
        for text in ["", "0", "M", "-1", "1K", "1.5G", "99999999999999999999", "18446744073709551615G"] {
            #expect(MemorySize(text) == nil, "\(text)")
        }
    }
}
