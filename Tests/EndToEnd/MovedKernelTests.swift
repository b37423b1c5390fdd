// SPDX-License-Identifier: GPL-2.0-or-later

import RunDirectory
import TestSupport
import Testing

@testable import ReplaySession

/// A kernel that KASLR has moved, and its modules, in tt-replay and in gdb.
extension EndToEndTests {
    @Suite(.serialized, .timeLimit(.minutes(10)))
    struct MovedKernelTests {
        @Test func namesAreWhereTheKernelWasMoved() throws {
            guard let vmlinux = try LinuxGuest.vmlinux() else { return }
            let scratch = try temporaryDirectory()
            let directory = scratch.file("run")
            try LinuxGuest.record(
                into: directory, randomizingTheKernel: true, ["--disk", LinuxGuest.file("disk.img"), "--quiet"])
            let slide = try LinuxGuest.kernelAddress(directory) - 0xffff_ffff_8100_0000
            #expect(slide != 0)
            try goThroughIt(directory, scratch, slide: slide, vmlinux: vmlinux)
        }

        /// A symbol of an object file: its offset in its section.
        private func symbol(_ name: String, _ file: String) throws -> UInt64 {
            let result = try run("/usr/bin/nm", [file])
            let line = result.out.split(separator: "\n").first { $0.hasSuffix(" \(name)") }
            return try #require(line.flatMap { UInt64($0.prefix { $0 != " " }, radix: 16) }, "\(name): \(result.err)")
        }

        /// The line of the console that begins with a text.
        private func line(_ directory: String, _ text: String) throws -> Int {
            let lines = Files.tail("\(directory)/serial.log", limit: 1 << 16).utf8
                .split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
            return try #require(lines.firstIndex { $0.starts(with: Array(text.utf8)) }) + 1
        }

        /// What the guest printed: `virtio/.text` and the like, and their addresses.
        private func printedSections(_ directory: String) -> Set<String> {
            let serial = Files.tail("\(directory)/serial.log", limit: 1 << 16)
            let mark = "guest: module: /sys/"
            return Set(
                serial.split(whereSeparator: \.isNewline).filter { $0.hasPrefix(mark) }.map {
                    String("/sys/" + $0.dropFirst(mark.count))
                })
        }

        /// Sections that the guest's memory shows are those that the guest printed; gdb has the symbols of the modules there, and
        /// those of the moved kernel; a core shows the same value as the stopped guest.
        private func goThroughIt(_ directory: String, _ scratch: TemporaryDirectory, slide: UInt64, vmlinux: String)
            throws
        {
            let place = "console:\(try line(directory, "guest: the disk"))"
            let core = scratch.file("core")
            let asked = try run(
                Products.tool("tt-replay"),
                [
                    directory, "--at", place, "--symbols", vmlinux, "--print", "modules", "--print", "jiffies_64",
                    "--print",
                    "(long)&jiffies_64", "--core", core, "--quiet",
                ], seconds: 240)
            try #require(asked.status == 0, "\(asked)")
            let jiffies = try symbol("jiffies_64", vmlinux) &+ slide
            #expect(asked.out.contains("(long)&jiffies_64 = \(Int64(bitPattern: jiffies))\n"), "\(asked)")
            let value = try #require(asked.out.split(separator: "\n").first { $0.hasPrefix("jiffies_64 = ") })

            let kept = String(decoding: try Files.contents("\(directory)/proc-modules"), as: UTF8.self)
            let sections = kept.split(separator: "\n").filter { $0.hasPrefix("/sys/") }.map(String.init)
            let printed = printedSections(directory)
            #expect(printed.count > 10 && printed.isSubset(of: sections), "\(printed.subtracting(sections))")

            func address(_ module: String, _ section: String) throws -> UInt64 {
                let line = try #require(sections.first { $0.hasPrefix("/sys/module/\(module)/sections/\(section):") })
                return try #require(UInt64(line[line.firstRange(of: ":0x")!.upperBound...], radix: 16))
            }
            let modules = try LinuxGuest.file("modules")
            let block = "\(modules)/virtio_blk.ko"
            let probe = try symbol("virtblk_probe", block) + address("virtio_blk", ".text")
            let driver = try symbol("virtio_blk", block) + address("virtio_blk", ".data")
            let commands = [
                "print (long)&jiffies_64", "output/x (long)&virtio_blk", "x/s *(char **)&virtio_blk",
                "break virtblk_probe", "reverse-continue", "tt where", "tt goto virtblk_probe", "info symbol $pc",
            ]
            let gdb = try run(
                Products.tool("tt-gdb"),
                [
                    directory, place, "--symbols", vmlinux, "--modules", modules, "--quiet", "--checkpoint-space", "0",
                    "--", "-nx", "-batch",
                ]
                    + commands.flatMap { ["-ex", $0] }, seconds: 240)
            #expect(gdb.out.contains("$1 = \(Int64(bitPattern: jiffies))\n"), "\(gdb)")
            #expect(gdb.out.contains("0x\(String(driver, radix: 16))"), "\(gdb)")
            #expect(gdb.out.contains("\t\"virtio_blk\"\n"), "\(gdb)")
            let places = gdb.out.split(separator: "\n").filter { $0.hasPrefix("brctr ") }
                .compactMap(TimeTravelToolTests.Where.init)
            #expect(places.count == 2 && places[0] == places[1] && places[0].rip == probe, "\(gdb)")
            #expect(gdb.out.contains("virtblk_probe in section .text of \(block)"), "\(gdb)")

            let opened = try run(
                "/usr/bin/gdb",
                [
                    "-nx", "-batch", "-ex", "symbol-file -o 0x\(String(slide, radix: 16)) \(vmlinux)", "-ex",
                    "core-file \(core)", "-ex", "output jiffies_64",
                ], seconds: 120)
            #expect(opened.out.hasSuffix(value.dropFirst("jiffies_64 = ".count)), "\(opened)")
        }
    }
}
