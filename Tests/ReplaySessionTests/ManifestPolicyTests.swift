// SPDX-License-Identifier: GPL-2.0-or-later

import RunDirectory
import Testing

@testable import ReplaySession

@Suite struct ManifestPolicyTests {
    private let policy = ManifestPolicy(knownFiles: ["/known/file", "/known/a,b"])

    @Test(arguments: [
        ["-device", "virtio-rng-pci"], ["-smp", "1"], ["-no-hpet"], ["--no-acpi"], ["-M", "q35,smm=off,accel=tcg"],
        [
            "-netdev", "user,id=n,net=10.0.2.0/24", "-object", "filter-replay,id=r,netdev=n", "-device",
            "e1000,netdev=n",
        ],
        ["-bios", "/known/file"], ["-device", "loader,file=/known/file,addr=0x400000"], ["-append", "root=/dev/sda"],
        ["-drive", "if=pflash,format=raw,unit=0,readonly=on,file=/known/file"], ["-initrd", "/known/file arg"],
        ["-drive", "file=/known/a,,b,if=none,id=i,format=qcow2,snapshot=on"],
        ["-rtc", "base=2024-05-05T10:00:00,clock=vm"],
        ["-fw_cfg", "name=opt/x,string=a/b"], ["-smbios", "type=1,serial=a/b"], ["-global", "apic.vapic=off"],
        ["-global", "driver=apic,property=vapic,value=off"], [],
    ])
    func isAccepted(arguments: [String]) throws {
        try policy.check(arguments: arguments)
    }

    /// QEMU's options that run, load, read, write, listen or connect.
    @Test(arguments: [
        ["-incoming", "exec:touch /tmp/x"], ["-plugin", "/tmp/x.so"], ["-bios", "/etc/shadow"], ["-S"], ["-daemonize"],
        ["-netdev", "user,id=n,guestfwd=tcp:10.0.2.1:1-cmd:id"], ["-netdev", "user,id=n,smb=/home"],
        ["-netdev", "user,id=n,hostfwd=tcp::22-:22"], ["-netdev", "tap,script=/tmp/x"],
        ["-netdev", "bridge,helper=/x"],
        ["-chardev", "file,id=c,path=/tmp/x"], ["-serial", "file:/tmp/x"], ["-serial", "unix:/tmp/s,server=on"],
        ["-monitor", "stdio"], ["-mon", "x"], ["-qmp", "tcp::1"], ["-gdb", "tcp::1"], ["-s"], ["-vnc", ":1"],
        ["-D", "/tmp/x"], ["-d", "int"], ["-trace", "file=/tmp/x"], ["-pidfile", "/tmp/x"], ["-chroot", "/tmp"],
        ["-runas", "x"], ["-L", "/tmp"], ["-readconfig", "/tmp/x"], ["-sandbox", "off"], ["-writeconfig", "/x"],
        ["-drive", "file=/etc/passwd,if=none"], ["-drive", "file.driver=nbd,file.host=x"], ["/etc/passwd"],
        ["-drive", "file=json:{},if=none"], ["-blockdev", "file,filename=/etc/passwd,node-name=x"],
        ["-fsdev", "local,path=/,id=x"], ["-virtfs", "local,path=/"], ["-object", "secret,id=s,file=/etc/shadow"],
        ["-object", "memory-backend-file,mem-path=/tmp/x,size=1M"], ["-object", "filter-dump,file=/tmp/x,netdev=n"],
        ["-device", "vfio-pci,host=00:01.0"], ["-device", "usb-host,hostbus=1"], ["-device", "ivshmem-plain,memdev=m"],
        ["-device", "loader,file=/etc/shadow,addr=0"], ["-device", "e1000,romfile=/etc/shadow"],
        ["-device", "virtio-9p-pci,fsdev=x"], ["-device", "isa-debugcon,chardev=c"],
        ["-M", "pc,dumpdtb=/tmp/x"], ["-M", "pc,firmware=/etc/shadow"], ["-M", "pc,accel=kvm"],
        ["-fw_cfg", "name=x,file=/etc/shadow"], ["-smbios", "type=11,path=/etc/shadow"],
        ["-acpitable", "data=/etc/shadow"],
        ["-boot", "splash=/etc/shadow"], ["-global", "e1000.romfile=/etc/shadow"],
        ["-global", "driver=e1000,property=romfile,value=secret"], ["-kernel", "/etc/shadow"],
        ["-initrd", "/etc/shadow"], ["-mem-path", "/tmp/x"], ["-add-fd", "fd=3,set=1"], ["-loadvm", "x"],
        ["-audiodev", "wav,id=a,path=/tmp/x"], ["-tpmdev", "passthrough,id=t,path=/x"], ["-semihosting"],
        ["-dump-vmstate", "/tmp/x"], ["-option-rom", "/etc/shadow"], ["-cpu"], ["-nic", "user"],
    ])
    func isRefused(arguments: [String]) {
        let error = #expect(throws: RunError.self) { try policy.check(arguments: arguments) }
        #expect(error?.remedy == .trustRecording)
    }

    @Test func everyPartOfAGuestIsChecked() throws {
        var guest = GuestConfiguration()
        guest.disks = [.init(image: "/anything", format: "raw", device: "virtio-blk-pci")]
        try policy.check(guest, plugin: nil)
        let changes: [(inout GuestConfiguration) -> Void] = [
            { $0.machine = "pc,dumpdtb=/tmp/x" }, { $0.cpu = "qemu64,/x" }, { $0.devices = ["vfio-pci,host=1"] },
            { $0.disks[0].format = "nbd" }, { $0.disks[0].device = "vhost-scsi" }, { $0.extraArguments = ["-S"] },
        ]
        for change in changes {
            var changed = guest
            change(&changed)
            #expect(throws: RunError.self) { try policy.check(changed, plugin: nil) }
        }
        var plugin = PluginConfiguration(file: FileIdentity(path: "/p", size: 1, sha256: ""))
        plugin.options = ["window=1:2"]
        try policy.check(guest, plugin: plugin)
        for option in ["log=/tmp/x", "oracle=/tmp/x", "name=x", "x"] {
            plugin.options = [option]
            #expect(throws: RunError.self) { try policy.check(guest, plugin: plugin) }
        }
    }

    @Test func valuesOfOptions() {
        let value = OptionValue("a,,b,x=1,,2,y,z=a=b")
        #expect(value.parts.map(\.value) == ["a,b", "1,2", "y", "a=b"])
        #expect(value.parts.map(\.key) == [nil, "x", nil, "z"])
        #expect(value.first == "a,b" && value["x"] == "1,2" && value["y"] == nil)
    }
}
