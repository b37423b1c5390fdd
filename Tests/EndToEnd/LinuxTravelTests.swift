// SPDX-License-Identifier: GPL-2.0-or-later

@preconcurrency import Glibc
import LogFormat
import RunDirectory
import TestSupport
import Testing

/// A Linux guest with a disk, recorded light under QEMU 10.0: traced, asked, gone through again from its checkpoints.
extension EndToEndTests {
    @Suite(.serialized, .timeLimit(.minutes(10)))
    struct LinuxTravelTests {
        /// The modules and their addresses, from the guest's output.
        private func modules(_ directory: String) -> Set<String> {
            let serial = Files.tail("\(directory)/serial.log", limit: 1 << 16)
            return Set(
                serial.split(whereSeparator: \.isNewline).compactMap { line -> String? in
                    let words = line.split(separator: " ")
                    guard line.hasPrefix("guest: module: "), words.count == 8 else { return nil }
                    return "\(words[2]) \(words[3]) \(words[6]) \(words[7])"
                })
        }

        /// The line of the console that begins with a text.
        private func line(_ directory: String, _ text: String) throws -> Int {
            let serial = Files.tail("\(directory)/serial.log", limit: 1 << 16)
            // The guest ends its lines with two characters, which are one to Swift.
            let lines = serial.utf8.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
            return try #require(lines.firstIndex { $0.starts(with: Array(text.utf8)) }) + 1
        }

        /// gdb has the registers of a place in the kernel to which `tt goto` goes from the firmware, and steps back from there.
        private func gdbFollows(_ directory: String, _ vmlinux: String?, _ place: String) throws {
            let commands = ["tt goto \(place)", "info registers rip", "reverse-stepi", "tt where"]
            let gdb = try run(
                Products.tool("tt-gdb"),
                [directory] + (vmlinux.map { ["--symbols", $0] } ?? []) + ["--", "-batch"]
                    + commands.flatMap { ["-ex", $0] })
            let lines = gdb.out.split(separator: "\n")
            func value(_ line: Substring, _ name: String) -> Substring? {
                line.split(separator: ",").first { $0.contains(name) }?.split(separator: " ").dropFirst().first
            }
            let places = lines.filter { $0.hasPrefix("brctr ") || $0.hasPrefix("icount ") }
            try #require(places.count == 2, "\(gdb)")
            let counts = places.compactMap { value($0, "icount").flatMap { UInt64($0) } }
            try #require(counts.count == 2 && counts[0] > 1_000_000, "\(gdb)")
            #expect(counts[1] < counts[0] && counts[1] + 2 >= counts[0], "\(gdb)")
            let rip = try #require(value(places[0], "rip"))
            #expect(gdb.out.contains("rip            \(rip) "), "\(gdb)")
        }

        @Test func aLightRecordingIsTracedAndAsked() throws {
            let scratch = try temporaryDirectory()
            let directory = scratch.file("run")
            try LinuxGuest.record(
                into: directory, ["--mode", "digest", "--disk", LinuxGuest.file("disk.img"), "--quiet"])
            let vmlinux = try LinuxGuest.vmlinux()
            let listed = modules(directory)
            #expect(listed.count == 6)

            // A window while programs run, from a place on the console.
            let place = "console:\(try line(directory, "guest: roam"))"
            let log = scratch.file("window.log")
            let traced = try run(
                Products.tool("tt-replay"), [directory, "--trace", place, place, "-o", log, "--format", "json"])
            #expect(traced.status == 0 && traced.out.contains("\"verdict\" : \"identical\""), "\(traced)")

            var arguments = [
                directory, "--at", "console:\(try line(directory, "guest: the disk"))", "--print", "dmesg",
            ]
            if let vmlinux { arguments += ["--symbols", vmlinux, "--print", "tasks", "--print", "modules"] }
            let asked = try run(Products.tool("tt-replay"), arguments)
            #expect(asked.status == 0, "\(asked.err)")
            #expect(asked.out.contains("Linux version 6.1."), "\(asked.out)")
            #expect(asked.out.contains("virtio_blk virtio0: [vda]"), "\(asked.out)")
            try gdbFollows(directory, vmlinux, place)
            guard vmlinux != nil else { return }
            #expect(asked.out.split(separator: "\n").count { $0.hasPrefix(">") } == 1)
            #expect(asked.out.contains("  kthreadd"))
            let kept = String(decoding: try Files.contents("\(directory)/proc-modules"), as: UTF8.self)
            let found = kept.split(separator: "\n").compactMap { line -> String? in
                let words = line.split(separator: " ")
                // The others are those of sections (MovedKernelTests).
                guard words.count == 6 else { return nil }
                return "\(words[0]) \(words[1]) \(words[4]) \(words[5])"
            }
            #expect(Set(found) == listed)
        }
    }
}
