// SPDX-License-Identifier: GPL-2.0-or-later

@preconcurrency import Glibc
import RunDirectory
import TestSupport
import Testing

@testable import ReplaySession

@Suite struct DiskImageTests {
    /// Images that qemu-img made.
    private func create(_ arguments: [String]) throws {
        let child = try ChildProcess(
            path: "/usr/bin/qemu-img", arguments: ["qemu-img", "create", "-q"] + arguments, inheriting: [], output: nil)
        while child.poll() == nil { usleep(2000) }
        try #require(child.end == .exited(status: 0), "\(arguments)")
    }

    @Test(arguments: ["raw", "qcow2", "vmdk", "vdi", "vpc", "vhdx"]) func formats(name: String) throws {
        let scratch = try temporaryDirectory()
        let path = scratch.file("image")
        try create(["-f", name, path, "8M"])
        #expect(try DiskImage(path, what: "disk").format == name)
        #expect(try GuestConfiguration.Disk(path: path).format == name)
    }

    @Test func backingAndDataFiles() throws {
        let scratch = try temporaryDirectory()
        let (base, middle, top) = (scratch.file("base.img"), scratch.file("middle.qcow2"), scratch.file("top.qcow2"))
        try create(["-f", "raw", base, "1M"])
        try create([
            "-f", "qcow2", "-o", "data_file=\(scratch.file("data.raw"))", "-b", "base.img", "-F", "raw", middle,
        ])
        try create(["-f", "qcow2", "-b", middle, "-F", "qcow2", top])
        let chain = try DiskImage.chain(top, role: "disk 0")
        let names = chain.map(\.path).map { $0.split(separator: "/").last ?? "" }
        #expect(names == ["top.qcow2", "middle.qcow2", "base.img", "data.raw"], "\(chain)")
        #expect(chain.map(\.role) == ["disk 0", "disk 0, file 1", "disk 0, file 2", "disk 0, file 3"])
    }

    @Test func extentsOfAVMDK() throws {
        let scratch = try temporaryDirectory()
        try create(["-f", "vmdk", "-o", "subformat=monolithicFlat", scratch.file("flat.vmdk"), "1M"])
        let chain = try DiskImage.chain(scratch.file("flat.vmdk"), role: "disk 0")
        #expect(chain.map(\.path).last?.hasSuffix("flat-flat.vmdk") == true, "\(chain)")
    }

    @Test(arguments: ["json:{\"driver\":\"nbd\"}", "nbd://host/x", "ssh:x"]) func onlyFilesAreAccepted(name: String)
        throws
    {
        let scratch = try temporaryDirectory()
        let path = scratch.file("top.qcow2")
        try create(["-f", "qcow2", "-u", "-b", name, "-F", "raw", path, "1M"])
        #expect(throws: RunError.self) { try DiskImage.chain(path, role: "disk 0") }
    }

    /// Any bytes: nothing traps.
    @Test func damagedHeads() throws {
        let scratch = try temporaryDirectory()
        let path = scratch.file("top.qcow2")
        try create(["-f", "raw", scratch.file("base"), "1M"])
        try create(["-f", "qcow2", "-b", scratch.file("base"), "-F", "raw", path])
        let head = Array(try Files.contents(path).prefix(4096))
        var random = SystemRandomNumberGenerator()
        for _ in 0..<500 {
            var changed = head
            for _ in 0..<3 {
                changed[Int.random(in: 4..<160, using: &random)] = .random(in: .min ... .max, using: &random)
            }
            try Files.replace(path, with: changed)
            _ = try? DiskImage.chain(path, role: "disk 0")
        }
    }
}
