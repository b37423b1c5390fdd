// SPDX-License-Identifier: GPL-2.0-or-later

@preconcurrency import Glibc
import RunDirectory
import TestSupport
import Testing

@testable import ReplaySession

/// The refusals of tt-record and tt-replay, and their messages.
extension EndToEndTests {
    @Test func aRecordingIsRefusedByName() throws {
        let scratch = try temporaryDirectory()
        let kernel = Products.guest("tiny")
        let notAKernel = scratch.file("not-a-kernel")
        try Files.replace(notAKernel, with: Array("text\n".utf8))
        let cases: [(arguments: [String], says: String)] = [
            (recordArguments(kernel, into: scratch.file("run"), ["--smp", "2"]), "--smp 2"),
            (recordArguments(kernel, into: scratch.file("run"), ["--", "-smp", "2"]), "-smp 2"),
            (recordArguments(kernel, into: scratch.file("run"), ["--", "-M", "pc,smp.cpus=2"]), "smp.cpus=2"),
            (recordArguments(kernel, into: scratch.file("run"), ["--qemu", "/no/such/qemu"]), "/no/such/qemu"),
            (recordArguments(kernel, into: scratch.file("run"), ["--qemu", "/bin/true"]), "/bin/true"),
            (recordArguments(scratch.file("absent"), into: scratch.file("run")), "absent"),
            (recordArguments(kernel, into: scratch.file("run"), ["--disk", scratch.file("no-disk")]), "no-disk"),
            (["--kernel", kernel, "--plugin", "/no/plugin.so", scratch.file("run")], "/no/plugin.so"),
            (["--plugin", Products.plugin, scratch.file("run")], "--kernel"),
            (recordArguments(kernel, into: scratch.path), "not-a-kernel"),
            (recordArguments(kernel, into: scratch.file("run"), ["--cpu", "no-such-cpu"]), "no-such-cpu"),
            (recordArguments(notAKernel, into: scratch.file("run")), "QEMU did not start the guest"),
            (recordArguments(kernel, into: scratch.file("run"), ["--no-such-option"]), "no-such-option"),
            (recordArguments(kernel, into: scratch.file("run"), ["--values", "on"]), "--values off"),
        ]
        for (arguments, says) in cases {
            let result = try run(Products.tool("tt-record"), arguments)
            #expect(result.status == 2, "\(arguments): \(result)")
            #expect(result.err.contains(says), "\(arguments): \(result)")
            #expect(result.out.isEmpty, "\(arguments): \(result)")
            let left = Files.exists(scratch.file("run")) ? try Files.list(scratch.file("run")) : []
            #expect(left.allSatisfy { $0 == ".lock" }, "\(arguments) left \(left)")
        }
    }

    @Test func aReplayThatWouldBeNoneIsRefusedByName() throws {
        let scratch = try temporaryDirectory()
        let directory = scratch.file("run")
        let kernel = scratch.file("kernel.elf")
        try Files.replace(kernel, with: try Files.contents(Products.guest("tiny")))
        #expect(try record(kernel, into: directory).status == 0)

        // A QEMU of another version: it would take the recording and hang.
        let otherQEMU = scratch.file("qemu")
        try Files.replace(otherQEMU, with: Array("#!/bin/sh\necho QEMU emulator version 10.0.2\n".utf8))
        chmod(otherQEMU, 0o755)
        let cases: [(arguments: [String], says: [String])] = [
            (["--memory", "96M"], ["memory", "128M", "96M"]),
            (["--cpu", "Nehalem"], ["CPU", "qemu64", "Nehalem"]),
            (["--machine", "q35"], ["machine", "q35"]),
            (["--append", "x"], ["kernel command line"]),
            (["--initrd", kernel], ["initrd"]),
            (["--kernel", Products.guest("tiny-data")], ["kernel", "tiny-data.elf"]),
            (["--disk", kernel], ["number of disks"]),
            (["--qemu", otherQEMU], ["QEMU version", "7.2", "10.0.2"]),
            (["--", "-device", "virtio-rng-pci"], ["extra arguments", "virtio-rng-pci"]),
            (["--", "-loadvm", "x"], ["-loadvm"]),
            (["--", "-smp", "2"], ["-smp 2"]),
            (["--name", "../x"], ["../x"]),
        ]
        for (arguments, says) in cases {
            let result = try replay(directory, arguments)
            #expect(result.status == 2, "\(arguments): \(result)")
            for text in says { #expect(result.err.contains(text), "\(arguments): \(result)") }
        }

        // The kernel's file itself has changed.
        try Files.replace(kernel, with: try Files.contents(Products.guest("tiny-extra-turn")))
        let changed = try replay(directory)
        #expect(changed.status == 2)
        #expect(changed.err.contains("kernel.elf") && changed.err.contains("--force"))
        #expect(try StateDirectory.open(directory).replayNames() == [])
    }

    @Test func aStateDirectoryInUseIsRefused() throws {
        let scratch = try temporaryDirectory()
        let directory = scratch.file("run")
        let guest = try Products.guest(rounds: 100_000, in: scratch)
        let first = try RunningTool(
            Products.tool("tt-record"), recordArguments(guest, into: directory, ["--mode", "events"]))
        try wait(until: { qemuProcess(of: directory) != nil }, "QEMU runs")
        for attempt in [try record(into: directory, ["--overwrite"]), try replay(directory)] {
            #expect(attempt.status == 2)
            #expect(attempt.err.contains("in use"), "\(attempt)")
            #expect(attempt.err.contains("\(first.pid)"), "\(attempt)")
        }
        first.signal(SIGTERM)
        #expect(try first.wait().status == 0)
        #expect(try replay(directory, ["--timeout", "0.2"]).err.contains("in use") == false)
    }

    /// QEMU's own logs are written wherever the user names them, but not over a file of the run.
    @Test func logsOfQEMUAreOutputsAndNoInputs() throws {
        let scratch = try temporaryDirectory()
        let directory = scratch.file("run")
        let account = try scratch.write("account", "of an earlier run")
        let kernel = scratch.file("tiny.elf")
        try #require(try run("/bin/cp", [Products.guest("tiny"), kernel]).status == 0)
        let options = ["--", "-d", "int", "-D", account, "-debugcon", "file:\(scratch.file("debugcon"))"]
        let recorded = try record(kernel, into: directory, options)
        #expect(recorded.status == 0 && Files.size(account) > 1000, "\(recorded)")
        let manifest = try Manifest.read("\(directory)/manifest.json")
        #expect(manifest.files.allSatisfy { $0.identity.path != account })

        // A replay does not write there again: it is the recording's user who asked for it.
        _ = try scratch.write("account", "")
        let again = try replay(directory, ["--trust", "--", "-d", "int", "-D", scratch.file("told-%d")])
        #expect(again.status == 0, "\(again)")
        #expect(Files.size(account) == 0)
        let told = try Files.list(scratch.path).filter { $0.hasPrefix("told-") }
        #expect(told.count == 1 && Files.size(scratch.file(told.first ?? "")) > 1000)

        try #require(link(kernel, scratch.file("second name")) == 0)
        for own in ["\(directory)/ttd.log", "\(directory)/replays/2/qemu.log", kernel, scratch.file("second name")] {
            let before = Files.size(own)
            let refused = try replay(directory, ["--trust", "--", "-d", "int", "-D", own])
            #expect(refused.status == 2 && refused.err.contains("would overwrite it"), "\(refused)")
            #expect(Files.size(own) == before)
        }
        #expect(try StateDirectory.open(directory).replayNames() == ["1"])
        let refused = try record(kernel, into: scratch.file("next"), ["--", "-D", scratch.file("next/ttd.log")])
        #expect(refused.status == 2 && refused.err.contains("would overwrite it"), "\(refused)")
    }
}
