// SPDX-License-Identifier: GPL-2.0-or-later

import Testing

@testable import ReplaySession

private let someDigest = String(repeating: "0", count: 64)

func identity(_ path: String, _ sha256: String = someDigest) -> FileIdentity {
    FileIdentity(path: path, size: 1, sha256: sha256)
}

@Suite struct CommandLineTests {
    private func arguments(_ change: (inout GuestConfiguration) -> Void = { _ in }) -> [String] {
        var guest = GuestConfiguration()
        guest.kernel = identity("/k")
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
            guest.disks = [.init(image: identity("/images/a,b.raw"), format: "raw", device: "virtio-blk-pci")]
        }
        #expect(value(of: "-icount", in: arguments)?.hasPrefix("shift=4,sleep=on,") == true)
        #expect(arguments.contains("file=/images/a,,b.raw,format=raw,if=none,id=ttimage0,snapshot=on"))
        #expect(arguments.contains("driver=blkreplay,if=none,image=ttimage0,id=ttdisk0"))
        #expect(arguments.contains("virtio-blk-pci,drive=ttdisk0"))
    }

    @Test func whatTheUserChoseHolds() {
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
        guest.kernel = identity("/k")
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
        guest.kernel = identity("/k")
        let command = QEMUCommandLine(
            program: "/q", direction: .record, guest: guest, inputLog: "/i", serialLog: "/s",
            snapshotImage: "/d,e/snap.qcow2")
        #expect(value(of: "-icount", in: command.arguments) == "shift=1,sleep=off,rr=record,rrfile=/i,rrsnapshot=init")
        #expect(command.arguments.contains("file=/d,,e/snap.qcow2,format=qcow2,if=none,id=ttsnapshots"))
    }

    @Test func thePluginsArguments() {
        var plugin = PluginConfiguration(file: identity("/a,b/libttd.so"))
        plugin.mode = .digest
        plugin.codec = .raw
        plugin.accesses = false
        plugin.options = ["kept=3"]
        let text = plugin.argument(
            log: "/d/ttd.log", runKind: .replay, uuid: "00ff",
            qemu: QEMUIdentity(path: "/q", version: "7.2.22 (Debian)"))
        #expect(
            text == "/a,,b/libttd.so,log=/d/ttd.log,mode=digest,codec=raw,run=replay,uuid=00ff,name=qemu 7.2.22,"
                + "access=off,mmio=off,kept=3")
    }

    /// What has a default of the plugin's own is passed on where somebody chose, before the further options.
    @Test func whatIsChosenOfThePluginIsPassedOn() throws {
        let qemu = QEMUIdentity(path: "/q", version: "10.0.11 (Debian 1:10.0.11)")
        var plugin = PluginConfiguration(file: identity("/p"))
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

    /// Asked for by name where it cannot be had; as a default it is left out in silence.
    @Test func whatQEMUDoesNotShowIsRefused() throws {
        let old = QEMUIdentity(path: "/q", version: "7.2.22 (Debian)")
        let keys: [(String, WritableKeyPath<PluginConfiguration, Bool?>)] = [
            ("--values on", \.values), ("--context on", \.context), ("--causes on", \.causes),
            ("--registers on", \.registers),
        ]
        for (name, key) in keys {
            var plugin = PluginConfiguration(file: identity("/p"))
            try plugin.check(against: old)
            plugin[keyPath: key] = false
            try plugin.check(against: old)
            plugin[keyPath: key] = true
            let error = #expect(throws: SessionError.self) { try plugin.check(against: old) }
            let message = error.map { "\($0)" } ?? ""
            #expect(message.contains("\(name) refused") && message.contains("7.2.22"), "\(message)")
        }
    }

    @Test(arguments: [
        (["-smp", "2"], "one processor"), (["--smp", "cpus=4"], "one processor"),
        (["-smp", "1,maxcpus=2"], "one processor"),
        (["-M", "pc,smp.cpus=2"], "one processor"), (["-machine", "pc,accel=kvm"], "translator"),
        (["-enable-kvm"], "translator"), (["-accel", "kvm"], "translator"),
        (["-accel", "tcg,thread=multi"], "translator"),
        (["-icount", "shift=auto"], "--shift"), (["-loadvm", "x"], "positions"), (["-daemonize"], "watch"),
        (["-S"], "never start"), (["-hda", "disk.img"], "--disk"), (["-drive", "file=x,if=virtio"], "--disk"),
        (["-netdev", "user,id=n"], "filter-replay"), (["-nic", "user"], "filter-replay"),
        (["-readconfig", "f"], "arguments"),
    ])
    func whatRecordAndReplayCannotDoIsRefused(arguments: [String], reason: String) {
        let error = #expect(throws: SessionError.self) { try ExtraArguments.check(arguments) }
        let text = error.map { "\($0)" } ?? ""
        #expect(text.contains(reason), "\(text)")
        #expect(text.contains(arguments[0].drop { $0 == "-" }), "\(text)")
    }

    @Test(arguments: [
        ["-smp", "1"], ["-smp", "cpus=1"], ["-device", "virtio-rng-pci"], ["-nic", "none"],
        ["-accel", "tcg,thread=single"],
        ["-netdev", "user,id=n", "-object", "filter-replay,id=r,netdev=n"], ["-drive", "if=pflash,file=x"], [],
        ["-append", "root=-smp"],
    ])
    func theRestIsLetPass(arguments: [String]) throws {
        try ExtraArguments.check(arguments)
    }

    @Test func aReplayMayWaitForADebugger() throws {
        #expect(throws: SessionError.self) { try ExtraArguments.check(["-S"]) }
        try ExtraArguments.check(["-S", "-gdb", "tcp::1"], isReplay: true)
        #expect(throws: SessionError.self) { try ExtraArguments.check(["-S", "-smp", "2"], isReplay: true) }
        #expect(ExtraArguments.onlyWatch(["-S", "-gdb", "tcp::1", "-d", "int", "-D", "file"]))
        #expect(ExtraArguments.onlyWatch([]))
        #expect(!ExtraArguments.onlyWatch(["-S", "-device", "x"]))
        #expect(!ExtraArguments.onlyWatch(["-gdb", "tcp::1", "-m", "5"]))
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
