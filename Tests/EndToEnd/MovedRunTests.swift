// SPDX-License-Identifier: GPL-2.0-or-later

@preconcurrency import Glibc
import RunDirectory
import TestSupport
import Testing

@testable import ReplaySession

/// Run directories that were moved, copied, or cannot be written to.
extension EndToEndTests {
    @Test func aMovedRunFindsItsFiles() throws {
        let scratch = try temporaryDirectory()
        try Files.makeDirectory(scratch.file("a"))
        let kernel = scratch.file("a/kernel.elf")
        try Files.replace(kernel, with: try Files.contents(Products.guest("tiny")))
        #expect(try record(kernel, into: scratch.file("a/run")).status == 0)
        try #require(rename(scratch.file("a"), scratch.file("b")) == 0)
        let first = try replay(scratch.file("b/run"))
        #expect(first.status == 0, "\(first)")

        // In the run directory itself.
        try #require(rename(scratch.file("b/kernel.elf"), scratch.file("b/run/kernel.elf")) == 0)
        #expect(try replay(scratch.file("b/run")).status == 0)
        unlink(scratch.file("b/run/kernel.elf"))
        let missing = try replay(scratch.file("b/run"))
        #expect(missing.status == 2 && missing.err.contains("a/kernel.elf"), "\(missing)")
    }

    @Test func aReplayElsewhereLeavesTheRecordingAlone() throws {
        let scratch = try temporaryDirectory()
        let directory = scratch.file("run")
        #expect(try record(into: directory).status == 0)
        let before = try Files.list(directory)
        chmod(directory, 0o555)
        for name in before { chmod("\(directory)/\(name)", 0o444) }
        defer { chmod(directory, 0o755) }
        let output = scratch.file("out")
        let result = try replay(directory, ["-o", output])
        #expect(result.status == 0 && result.out.contains("tt-analyze diverge \(directory) \(output)"), "\(result)")
        #expect(try Files.list(directory) == before)
        let report = try run(Products.tool("tt-analyze"), ["diverge", directory, output])
        #expect(report.status == 0, "\(report)")
        #expect(try replay(directory, ["-o", output]).status == 2)
        #expect(try replay(directory, ["-o", output, "--overwrite"]).status == 0)
        #expect(try replay(directory, ["-o", directory, "--overwrite"]).status == 2)
    }
}
