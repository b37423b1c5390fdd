// SPDX-License-Identifier: GPL-2.0-or-later

@preconcurrency import Glibc
import LogFormat
import Reporting
import RunDirectory
import TestSupport
import Testing

@testable import ReplaySession

/// `diverge --zoom` on real pairs, with both versions of QEMU. What was changed is known from how each pair was made.
extension EndToEndTests {
    @Suite(.serialized, .timeLimit(.minutes(4)))
    struct ZoomTests {
        /// The versions of QEMU.
        enum Version: CaseIterable {
            case old, new
        }

        /// A recording of the small guest in `run`.
        func recorded(
            _ scratch: TemporaryDirectory, _ version: Version = .old, guest: String = "tiny"
        ) throws -> String {
            let directory = scratch.file("run")
            let qemu = version == .new ? ["--qemu", try #require(Products.qemu10)] : []
            let result = try record(Products.guest(guest), into: directory, ["--memory", "32M"] + qemu)
            try #require(result.status == 0, "\(result)")
            return directory
        }

        func zoom(
            _ original: String, _ replay: String, _ more: [String] = [], guest: String = "tiny"
        ) throws -> (document: DivergenceDocument, zoom: DivergenceDocument.ZoomItem, result: ToolResult) {
            let arguments = ["diverge", original, replay, "--zoom", "--format", "json", "--zoom-window", "65536"]
            let result = try run(
                Products.tool("tt-analyze"), arguments + ["--symbols", Products.guest(guest)] + more)
            let document = try DivergenceDocument(json: result.out)
            return (document, try #require(document.zoom, "\(result)"), result)
        }

        /// The address of a variable or function of the small guest.
        func address(of symbol: String, guest: String = "tiny") throws -> UInt64 {
            let result = try run("/usr/bin/nm", [Products.guest(guest)])
            let line = result.out.split(separator: "\n").first { $0.hasSuffix(" \(symbol)") }
            return try #require(line.flatMap { UInt64($0.prefix { $0 != " " }, radix: 16) }, "\(symbol)")
        }

        /// The line of main.c that contains a text.
        private func line(of text: String) throws -> Int {
            let source = String(
                decoding: try Files.contents("\(Products.root)/hypervisor/guests/tiny/main.c"), as: UTF8.self)
            let lines = source.split(separator: "\n", omittingEmptySubsequences: false)
            return try #require(lines.firstIndex { $0.contains(text) }) + 1
        }

        /// The number that lengthens a loop is read, added, compared; the jump decides.
        @Test(arguments: Version.allCases) func aLongerLoopIsExplainedByTheNumberThatItReads(version: Version) throws {
            let scratch = try temporaryDirectory()
            let directory = try recorded(scratch, version)
            _ = try replay(directory, ["--kernel", Products.guest("tiny-extra-turn"), "--force", "--name", "turn"])
            let (document, zoom, result) = try zoom(directory, "\(directory)/replays/turn")
            #expect(result.status == 1, "\(result)")
            #expect(zoom.outcome == .explained && zoom.origin == .file, "\(result.out)")
            #expect(zoom.chain.map(\.role) == [.load, .compute, .compute, .decide], "\(result.out)")
            let load = try #require(zoom.chain.first)
            #expect(load.address?.rawValue == (try address(of: "extra_turn")))
            #expect(load.physical == load.address && load.size == 4)
            #expect(load.original?.rawValue == 0 && load.replay?.rawValue == 1)
            #expect(load.source?.hasSuffix("main.c:\(try line(of: "steps += extra_turn"))") == true, "\(load)")
            let decision = try #require(zoom.chain.last)
            let divergence = try #require(document.vcpus.first?.divergence)
            #expect(decision.ip == divergence.replayNext.branches.first?.from)
            // The log counts the instructions that began up to a branch.
            #expect(decision.icount?.rawValue == divergence.replayNext.branches.first?.icount.map { $0.rawValue - 1 })
            #expect(decision.source?.hasSuffix("main.c:\(try line(of: "i < steps;"))") == true, "\(decision)")
            #expect(zoom.startWords.rawValue == 1)
        }

        /// No branch depends on the number. The first instruction that reads it is named.
        @Test(arguments: Version.allCases) func aChangeOfDataAloneIsExplained(version: Version) throws {
            let scratch = try temporaryDirectory()
            let directory = try recorded(scratch, version)
            _ = try replay(directory, ["--kernel", Products.guest("tiny-data"), "--force", "--name", "data"])
            let (document, zoom, result) = try zoom(directory, "\(directory)/replays/data")
            // QEMU 10 shows registers, so its logs have digests of them.
            #expect(document.verdict == (version == .new ? .state : .identical))
            #expect(result.status == 1 && document.exitStatus == 1, "\(result)")
            #expect(zoom.outcome == .explained && zoom.origin == .file, "\(result.out)")
            let load = try #require(zoom.chain.first)
            #expect(zoom.chain.count == 1 && load.role == .load)
            #expect(load.address?.rawValue == (try address(of: "salt")))
            #expect(load.original?.rawValue == 0x1234 && load.replay?.rawValue == 0x5a17)
            #expect(load.source?.hasSuffix("main.c:\(try line(of: "checksum * 31 + salt"))") == true, "\(load)")
        }

        /// A copy of a recording, and in it a replay `1` in which all times of the host are so many seconds later.
        func replayedWithClock(
            _ directory: String, _ scratch: TemporaryDirectory, later seconds: UInt64
        ) throws -> String {
            let copy = scratch.file("copy")
            try #require(try run("/bin/cp", ["-r", directory, copy]).status == 0)
            var edited = try ReplayBinEditor(path: "\(copy)/replay.bin")
            for index in edited.positions(of: .clockHost) {
                let time = edited.entries[index].payload.reduce(0) { $0 << 8 | UInt64($1) } + seconds * 1_000_000_000
                edited.entries[index].payload = (0..<8).map { UInt8(truncatingIfNeeded: time >> UInt64(56 - 8 * $0)) }
            }
            try edited.write(to: "\(copy)/replay.bin")
            _ = try replay(copy)
            return copy
        }

        /// All times of the host are five seconds later. The firmware reads the clock first, from port 0x71.
        @Test func aChangedClockIsExplainedByTheInstructionThatReadsIt() throws {
            let scratch = try temporaryDirectory()
            let directory = try recorded(scratch)
            let copy = try replayedWithClock(directory, scratch, later: 5)
            let (_, zoom, result) = try zoom(directory, "\(copy)/replays/1")
            #expect(result.status == 1, "\(result)")
            #expect(zoom.outcome == .explained && zoom.origin == .input, "\(result.out)")
            let input = try #require(zoom.chain.first)
            #expect(input.role == .input && input.instruction.hasPrefix("inb $0x71"), "\(input)")
            #expect(input.register == "rax" && input.original != nil && input.original != input.replay)
            // Each instruction on the way has different results.
            for link in zoom.chain { #expect(link.original != link.replay, "\(link)") }

            // The copy's own recording cannot be repeated with the edited input log.
            let (_, refused, refusal) = try self.zoom(copy, "\(copy)/replays/1")
            #expect(refused.outcome == .notRun, "\(refusal.out)")
            #expect(refused.reason?.contains("has changed since the recording") == true, "\(refusal.out)")
        }

        /// The clock is read three million instructions before the branch that it decides: the chain leads through an
        /// earlier window.
        @Test(arguments: Version.allCases) func aValueReadLongBeforeIsFound(version: Version) throws {
            let scratch = try temporaryDirectory()
            let directory = try recorded(scratch, version, guest: "clocks")
            let copy = try replayedWithClock(directory, scratch, later: 1)
            let (document, zoom, result) = try zoom(directory, "\(copy)/replays/1", guest: "clocks")
            #expect(document.verdict == .controlFlow || document.verdict == .payload, "\(result.out)")
            #expect(zoom.outcome == .explained && zoom.origin == .input, "\(result.out)")
            let input = try #require(zoom.chain.first)
            #expect(input.role == .input && input.instruction.hasPrefix("inb $0x71"), "\(result.out)")
            // QEMU 10 shows values, so its logs name the firmware's read of the clock.
            guard version == .old else { return }
            #expect(document.verdict == .controlFlow)
            #expect(input.symbol?.hasPrefix("port_read") == true, "\(input)")
            let seconds = try address(of: "seconds", guest: "clocks")
            #expect(zoom.chain.first { $0.role == .store }?.address?.rawValue == seconds, "\(result.out)")
            #expect(zoom.chain.first { $0.role == .load }?.address?.rawValue == seconds, "\(result.out)")
            #expect(zoom.chain.last?.role == .decide)
            #expect(zoom.chain.last?.symbol?.hasPrefix("kernel_main") == true, "\(result.out)")
        }

        /// The window before the divergence is too short: the chain is found in the one before.
        @Test func aShortWindowIsFollowedBack() throws {
            let scratch = try temporaryDirectory()
            let directory = try recorded(scratch)
            _ = try replay(directory, ["--kernel", Products.guest("tiny-extra-turn"), "--force", "--name", "turn"])
            let (_, zoom, result) = try zoom(directory, "\(directory)/replays/turn", ["--zoom-window", "256"])
            #expect(zoom.chain.map(\.role) == [.load, .compute, .compute, .decide], "\(result.out)")
            #expect(zoom.chain.first?.address?.rawValue == (try address(of: "extra_turn")))
            #expect(zoom.outcome == .explained && zoom.origin == .file, "\(result.out)")
        }

        /// An interrupt comes seven instructions later.
        @Test func aMovedInterruptIsNamed() throws {
            let scratch = try temporaryDirectory()
            let directory = try recorded(scratch)
            let copy = scratch.file("copy")
            try #require(try run("/bin/cp", ["-r", directory, copy]).status == 0)
            var edited = try ReplayBinEditor(path: "\(copy)/replay.bin")
            let interrupts = edited.positions(of: .interrupt)
            var moved = false
            for index in interrupts.dropFirst(interrupts.count / 2) where !moved {
                moved = (try? edited.move(index, by: 7)) != nil
            }
            try #require(moved)
            try edited.write(to: "\(copy)/replay.bin")
            _ = try replay(copy)
            let (_, zoom, result) = try zoom(directory, "\(copy)/replays/1")
            #expect(zoom.outcome == .explained && zoom.origin == .event, "\(result.out)")
            #expect(zoom.originText?.contains("in the original only") == true, "\(result.out)")
        }

        @Test func aFaithfulReplayHasNoDifference() throws {
            let scratch = try temporaryDirectory()
            let directory = try recorded(scratch)
            _ = try replay(directory)
            let (_, zoom, result) = try zoom(directory, "\(directory)/replays/1")
            #expect(result.status == 0, "\(result)")
            #expect(zoom.outcome == .unexplained && zoom.chain.isEmpty)
            #expect(zoom.reason?.hasPrefix("no difference was found") == true, "\(result.out)")
        }

        /// What a manifest alone asks for is not run; the report is there nevertheless.
        @Test func whatCannotBeRunIsNamed() throws {
            let scratch = try temporaryDirectory()
            let directory = try recorded(scratch)
            let kernel = scratch.file("other.elf")
            try #require(try run("/bin/cp", [Products.guest("tiny-extra-turn"), kernel]).status == 0)
            _ = try replay(directory, ["--kernel", kernel, "--force", "--name", "turn"])
            let late = try zoom(directory, "\(directory)/replays/turn", ["--budget", "0.001s"])
            #expect(late.zoom.outcome == .budget, "\(late.result.out)")
            #expect(late.zoom.reason == "the time that was allowed is up", "\(late.result.out)")

            unlink(kernel)
            let missing = try zoom(directory, "\(directory)/replays/turn")
            #expect(missing.result.status == 1 && missing.zoom.onlySide == .original, "\(missing.result)")
            #expect(missing.zoom.reason?.contains("the replay cannot be run again") == true)
            #expect(missing.document.vcpus.first?.divergence != nil)

            let path = "\(directory)/manifest.json"
            let text = String(decoding: try Files.contents(path), as: UTF8.self)
            let hostile = text.replacing(
                "\"extraArguments\" : [\n", with: "\"extraArguments\" : [\n\"-chardev\", \"file,path=/tmp/x,id=x\"\n",
                maxReplacements: 1)
            try #require(hostile != text)
            try Files.replace(path, with: Array(hostile.utf8))
            let refused = try zoom(directory, "\(directory)/replays/turn")
            #expect(refused.zoom.outcome == .notRun, "\(refused.result.out)")
            #expect(refused.zoom.reason?.contains("a manifest may not") == true, "\(refused.result.out)")
        }

        /// Stops, windows and steps change nothing: memory and registers are those of a run without them.
        @Test(arguments: Version.allCases) func lookingChangesNothing(version: Version) throws {
            let scratch = try temporaryDirectory()
            let directory = try recorded(scratch, version)
            let run = try RepeatableRun(directory, comparedWith: directory)
            var options = ReplaySide.Options()
            options.windowInstructions = 1 << 16
            let (plain, watched) = (try ReplaySide(run, options: options), try ReplaySide(run, options: options))
            var place: UInt64 = 100_000
            while place < 12_000_000 {
                try watched.begin(to: place)
                #expect(try watched.wait() == .reached)
                try watched.openWindow()
                try watched.begin(to: place + 20_000)
                #expect(try watched.wait() == .reached)
                try watched.closeWindow()
                #expect(watched.window.instructions >= 20_000 && watched.window.lost == 0)
                #expect(try watched.step() == .reached)
                #expect(watched.icount == place + 20_001)
                if place % 3_000_000 == 100_000 {
                    try watched.keepCheckpoint()
                    let before = try watched.registers()
                    try watched.begin(to: place + 90_000)
                    _ = try watched.wait()
                    try watched.goBack()
                    #expect(try watched.registers() == before)
                }
                place += 500_000
            }
            for side in [plain, watched] {
                try side.begin(to: 13_000_007)
                #expect(try side.wait() == .reached)
            }
            #expect(plain.memory.differences(from: watched.memory).count == 0)
            #expect(try plain.registers() == watched.registers())
            // A virtual address of the guest's data; it is mapped one to one.
            let checksum = try address(of: "checksum")
            #expect(try plain.physicalAddress(of: checksum) == checksum)
            #expect(plain.memory.value(at: checksum, bytes: 4) != 0)
        }

        /// The plugin refuses a file that no tool made for it.
        @Test func theWindowPluginRefusesAnotherFile() throws {
            let scratch = try temporaryDirectory()
            try Files.replace(scratch.file("window"), with: [UInt8](repeating: 1, count: 8192))
            _ = Products.plugin
            let plugin = "\(Products.root)/hypervisor/qemu/build/libttd-window.so"
            for (argument, message) in [
                ("window=\(scratch.file("window"))", "not a window file"), ("window=/nowhere", "cannot be mapped"),
                ("other=1", "expected window=FILE"),
            ] {
                let result = try run(
                    "/usr/bin/qemu-system-x86_64", ["-display", "none", "-plugin", "\(plugin),\(argument)"])
                #expect(result.status == 1 && result.err.contains(message), "\(result)")
            }
        }
    }
}
