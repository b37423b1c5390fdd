// SPDX-License-Identifier: GPL-2.0-or-later

@preconcurrency import Glibc
import TestSupport
import Testing

@testable import RunDirectory

@Suite(.timeLimit(.minutes(1))) struct FileFinderTests {
    private func file(_ path: String, _ contents: String) throws -> GuestFile {
        try Files.replace(path, with: Array(contents.utf8))
        return GuestFile(role: "kernel", identity: try FileIdentity(of: path, what: "kernel"))
    }

    /// In its place, in the run directory, next to it: the contents decide.
    @Test func contentsDecide() throws {
        let scratch = try temporaryDirectory()
        try Files.makeDirectory(scratch.file("run"))
        let kernel = try file(scratch.file("k.elf"), "kernel")
        let finder = try FileFinder(scratch.file("run"))
        #expect(try finder.find(kernel).path == scratch.file("k.elf"))

        var moved = kernel
        moved.identity.path = "/nowhere/k.elf"
        #expect(try finder.find(moved).path == scratch.file("k.elf"))
        _ = try file(scratch.file("run/k.elf"), "kernel")
        #expect(try finder.find(moved).path == scratch.file("run/k.elf"))

        // A file of the same size with other contents is skipped.
        _ = try file(scratch.file("run/k.elf"), "KERNEL")
        #expect(try finder.find(moved).path == scratch.file("k.elf"))
        unlink(scratch.file("k.elf"))
        let other = try finder.find(moved)
        #expect(other.path == scratch.file("run/k.elf") && other.sha256 != kernel.identity.sha256)
        unlink(scratch.file("run/k.elf"))
        #expect(throws: RunError.missing(what: "kernel", name: "/nowhere/k.elf", remedy: .bringBack)) {
            try finder.find(moved)
        }
    }

    /// A file of another size is not read; one that is no file is not opened.
    @Test(arguments: OddFile.allCases.filter { $0 != .hardLink && $0 != .unreadable })
    func oddFilesEndSoon(kind: OddFile) throws {
        let scratch = try temporaryDirectory()
        try Files.makeDirectory(scratch.file("run"))
        let kernel = try file(scratch.file("k.elf"), "kernel")
        let target = scratch.file("target")
        try Files.replace(target, with: Array("other".utf8))
        var moved = kernel
        moved.identity.path = scratch.file("run/x.elf")
        try kind.make(scratch.file("run/x.elf"), target: target)
        unlink(scratch.file("k.elf"))
        if let found = try? FileFinder(scratch.file("run")).find(moved) { #expect(found.sha256 == "") }
    }

    /// A run and its replay name one kernel; one that was rebuilt in its place is not used.
    @Test func theKernelOfARun() throws {
        let scratch = try temporaryDirectory()
        try Files.makeDirectory(scratch.file("run/replays/1"))
        let kernel = try file(scratch.file("k.elf"), "kernel")
        for (directory, kind) in [("run", Manifest.RunKind.recording), ("run/replays/1", .replay)] {
            let manifest = Manifest(
                kind: kind, recordingUUID: "0", created: "", tool: "",
                engine: EngineRecord(name: "x", version: "", details: .null), files: [kernel])
            try RunFiles(OpenDirectory(scratch.file(directory))).write(manifest)
            _ = try scratch.write("\(directory)/ttd.log", "")
        }
        let runs = ["run", "run/ttd.log", "run/replays/1", "run/replays/1/ttd.log"].map(scratch.file)
        for run in runs { #expect(RecordedKernel.find(forRun: run) == .found(path: scratch.file("k.elf")), "\(run)") }
        _ = try file(scratch.file("k.elf"), "KERNEL")
        for run in runs { #expect(RecordedKernel.find(forRun: run) == .changed(path: scratch.file("k.elf"))) }
        unlink(scratch.file("k.elf"))
        for run in runs { #expect(RecordedKernel.find(forRun: run) == .missing(path: scratch.file("k.elf"))) }
        #expect(RecordedKernel.find(forRun: scratch.path) == nil)
    }
}
