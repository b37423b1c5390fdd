// SPDX-License-Identifier: GPL-2.0-or-later

@preconcurrency import Glibc
import RunDirectory
import TestSupport
import Testing

@testable import ReplaySession

/// Every file that QEMU opens decides the run: it is in the manifest, and a replay looks at it again.
extension EndToEndTests {
    private func change(_ path: String, at offset: Int = 0) throws {
        var bytes = try Files.contents(path)
        bytes[offset] ^= 1
        try Files.replace(path, with: bytes)
    }

    /// Records with arguments, replays, changes the file, and replays again.
    private func check(_ file: String, _ arguments: [String], guest: String = "tiny", at offset: Int = 0) throws {
        let scratch = try temporaryDirectory()
        let directory = scratch.file("run")
        let recorded = try record(Products.guest(guest), into: directory, arguments)
        #expect(recorded.status == 0, "\(arguments): \(recorded)")
        let paths = try Manifest.read("\(directory)/manifest.json").files.map(\.identity.path)
        #expect(paths.contains(file), "\(arguments): \(paths)")
        let faithful = try replay(directory)
        #expect(faithful.status == 0, "\(arguments): \(faithful)")
        try change(file, at: offset)
        let result = try replay(directory)
        #expect(result.status == 2 && result.err.contains(file), "\(arguments): \(result)")
    }

    @Test func filesThatArgumentsName() throws {
        let scratch = try temporaryDirectory()
        let data = try scratch.write("data", String(repeating: "d", count: 4096))
        try check(data, ["--", "-device", "loader,file=\(data),addr=0x1000000,force-raw=on"], guest: "loaded")
        try check(data, ["--", "-fw_cfg", "name=opt/x,file=\(data)"])
        try check(data, ["--device", "loader,file=\(data),addr=0x1000000,force-raw=on"], guest: "loaded")
        let flash = scratch.file("flash.fd")
        try Files.replace(flash, with: try Files.contents("/usr/share/seabios/bios-256k.bin"))
        try check(flash, ["--", "-drive", "if=pflash,format=raw,unit=0,snapshot=on,file=\(flash)"])
    }

    /// A shell that holds a file open (`flock`) hands its descriptor to tt-record, which keeps it from QEMU.
    @Test func aFileThatTheShellHoldsIsNotTheGuests() throws {
        let scratch = try temporaryDirectory()
        let arguments = recordArguments(Products.guest("tiny"), into: scratch.file("run"))
        let held = scratch.file("held")
        let recorded = try run(
            "/bin/bash",
            ["-c", "exec 3>'\(held)' 9>>'\(held)'; exec \"$0\" \"$@\"", Products.tool("tt-record")] + arguments)
        #expect(recorded.status == 0, "\(recorded.err)")
    }

    @Test func backingFiles() throws {
        let scratch = try temporaryDirectory()
        let (base, top) = (scratch.file("base.img"), scratch.file("top.qcow2"))
        try Files.replace(base, with: [UInt8](repeating: 1, count: 1 << 20))
        let made = try run("/usr/bin/qemu-img", ["create", "-q", "-f", "qcow2", "-b", base, "-F", "raw", top])
        try #require(made.status == 0, "\(made)")
        try check(base, ["--disk", top])
    }

    @Test func aFileThatTheGuestCanWriteToIsRefused() throws {
        let scratch = try temporaryDirectory()
        let memory = try scratch.write("memory", "")
        let result = try record(
            into: scratch.file("run"),
            [
                "--machine", "pc,memory-backend=m", "--",
                "-object", "memory-backend-file,id=m,size=128M,mem-path=\(memory),share=on",
            ])
        #expect(result.status == 2 && result.err.contains(memory), "\(result)")
        #expect(try Files.list(scratch.file("run")).allSatisfy { $0 == ".lock" })
    }

    @Test(arguments: ["vmdk", "vdi"]) func formatsOfDisks(format: String) throws {
        let scratch = try temporaryDirectory()
        let image = scratch.file("image")
        let made = try run("/usr/bin/qemu-img", ["create", "-q", "-f", format, image, "1M"])
        try #require(made.status == 0, "\(made)")
        let directory = scratch.file("run")
        #expect(try record(into: directory, ["--disk", image]).status == 0)
        let details = try QEMUDetails(Manifest.read("\(directory)/manifest.json"))
        #expect(details.guest.disks.map(\.format) == [format])
        #expect(try replay(directory).status == 0)
    }
}
