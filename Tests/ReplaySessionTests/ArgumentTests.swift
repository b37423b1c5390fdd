// SPDX-License-Identifier: GPL-2.0-or-later

@preconcurrency import Glibc
import TestSupport
import Testing

@testable import ReplaySession
@testable import RunDirectory

@Suite struct ArgumentTests {
    @Test(
        arguments: [
            (["-drive", "if=none,file=x,id=d", "-device", "ide-hd,drive=d"], .recordedDisk(image: "x")),
            (["-drive", "if=none,file=x,id=d", "-device", "usb-storage,drive=d"], .recordedDisk(image: "x")),
            (["-drive", "if=pflash,file=x"], .protectFile), (["-pflash", "x"], .recordedDisk(image: "x")),
            (["-drive", "file=x,if=none,id=i", "-drive", "driver=blkreplay,if=none,image=i,id=d"], .protectFile),
            (["-blockdev", "file,filename=x,node-name=n"], .recordedDisk(image: "x")),
            (["-virtfs", "local,path=/x"], .advice("put the files into a disk image")),
            (["-rtc", "base=2024-05-05T10:00:00"], .useValue("-rtc base=2024-05-05T10:00:00,clock=vm")),
            (
                ["-netdev", "user,id=a", "-netdev", "user,id=b", "-object", "filter-replay,id=f,netdev=a"],
                .addArgument("-object filter-replay,id=replay-b,netdev=b")
            ),
            (
                [
                    "-netdev", "user,id=a", "-object", "filter-replay,id=f,netdev=a", "-device",
                    "virtio-net-pci,netdev=a",
                ],
                .useValue("e1000 or rtl8139")
            ),
        ] as [([String], Remedy)])
    func isRefusedWithARemedy(arguments: [String], remedy: Remedy) {
        let error = #expect(throws: RunError.self) { try ExtraArguments.check(arguments) }
        #expect(error?.remedy == remedy, "\(arguments)")
    }

    @Test(arguments: [
        ["-drive", "if=pflash,file=x,snapshot=on"], ["-drive", "if=pflash,file=x,readonly=on"],
        ["-drive", "file=x,if=none,id=i,snapshot=on", "-drive", "driver=blkreplay,if=none,image=i,id=d"],
        ["-rtc", "base=utc"], ["-rtc", "base=2024-05-05T10:00:00,clock=vm"],
        ["-netdev", "user,id=a", "-object", "filter-replay,id=f,netdev=a", "-device", "e1000,netdev=a"],
    ])
    func isAccepted(arguments: [String]) throws { try ExtraArguments.check(arguments) }

    @Test(
        arguments: [
            (["-d", "int", "-D", "a"], ["a"]), (["--pidfile", "a"], ["a"]), (["-trace", "events=e,file=a"], ["a"]),
            (["-serial", "file:a,b"], ["a,b"]), (["-serial", "unix:a"], []), (["-debugcon", "file:a"], ["a"]),
            (["-chardev", "file,id=c,path=a,,b,input-path=i,logfile=l"], ["a,b", "l"]),
            (["-chardev", "pty,id=c,path=p"], []), (["-object", "filter-dump,id=f,netdev=n,file=a"], ["a"]),
            (["-drive", "file=a"], []), (["-D"], [""]),
        ] as [([String], [String])])
    func outputsAreThoseThatQEMUOnlyWrites(arguments: [String], paths: [String]) {
        #expect(OutputArguments.paths(in: arguments) == paths)
    }

    @Test func anOpenFileIsRecognisedAsAnOutput() throws {
        let scratch = try temporaryDirectory()
        let file = try scratch.write("real", "")
        try #require(symlink(file, scratch.file("link")) == 0)
        let resolved = try Files.absolute(file, what: "file")
        #expect(OutputArguments.contain(resolved, [scratch.file("link")]))
        #expect(OutputArguments.contain(resolved.dropLast(4) + "log-17.txt", [scratch.file("log-%d.txt")]))
        #expect(!OutputArguments.contain(resolved.dropLast(4) + "log-x.txt", [scratch.file("log-%d.txt")]))
        #expect(!OutputArguments.contain(resolved, [scratch.file("other"), "/nowhere/real", ""]))
    }

    /// The clock follows what the guest has.
    @Test(
        arguments: [
            ([], nil), (["-device", "virtio-rng-pci"], nil), (["-serial", "file:x"], nil), (["-nic", "none"], nil),
            (["-netdev", "user,id=n"], "a network"), (["-bios", "x"], "firmware"),
            (["-drive", "if=pflash"], "firmware"),
            (["-drive", "driver=blkreplay"], "a disk"), (["-serial", "unix:s,server=on"], "input"),
            (["-device", "usb-kbd"], "input"), (["-monitor", "unix:x"], "input"),
        ] as [([String], String?)])
    func theClockFollowsTheGuest(arguments: [String], need: String?) {
        var guest = GuestConfiguration()
        guest.extraArguments = arguments
        #expect(guest.needOfRealTime == need)
        #expect(guest.clockText == (need == nil ? "shift=1,sleep=off" : "shift=4,sleep=on"))
        guest.instructionClock = .init(shift: 7)
        #expect(guest.clockText == (need == nil ? "shift=7,sleep=off" : "shift=7,sleep=on"))
    }

    @Test func pathsInArguments() throws {
        let paths = ArgumentFiles.paths(in: [
            "-device", "loader,file=/etc/hostname,addr=0", "-initrd", "/etc/hosts a=b,/x y",
        ])
        #expect(paths == ["/etc/hostname", "/etc/hosts"])
        #expect(ArgumentFiles.paths(in: ["/etc", "/dev/zero", "x=/etc", "root=/dev/sda"]).isEmpty)
        #expect(
            ArgumentFiles.replacing(["/a,b": "/c"], in: ["file=/a,,b,x=1", "/d"]) == ["file=/c,x=1", "/d"])
    }
}

@Suite struct FirmwareTests {
    @Test func namesInTheMonitorsAnswers() {
        let roms = """
            fw=genroms/kvmvapic.bin size=0x002400 name="kvmvapic.bin"\r
            addr=0000000000200000 size=0x034088 mem=ram name="/g/tiny.elf ELF program header segment 0"\r
            addr=00000000fffc0000 size=0x040000 mem=rom name="bios-256k.bin"\r
            /rom@etc/acpi/tables size=0x200000 name="etc/acpi/tables"\r
            """
        let devices = "        romfile = \"efi-e1000.rom\"\r\n        romfile = \"\"\r\n"
        #expect(QEMUFirmware.names(roms: roms, devices: devices) == ["kvmvapic.bin", "bios-256k.bin", "efi-e1000.rom"])
    }

    @Test func theInstalledQEMUHasItsBIOS() throws {
        let program = try QEMUProgram.find("qemu-system-x86_64")
        let files = QEMUFirmware.files(["bios-256k.bin", "no-such.bin"], in: try program.dataDirectories([]))
        #expect(files.map(\.role) == ["firmware bios-256k.bin"])
    }
}
