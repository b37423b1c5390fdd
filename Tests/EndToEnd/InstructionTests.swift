// SPDX-License-Identifier: GPL-2.0-or-later

import BranchAnalysis
@preconcurrency import Glibc
import LogFormat
import MachineCode
import RunDirectory
import Symbolize
import TestSupport
import Testing

@testable import ReplaySession

/// Compares recordings with the code of the guest that ran.
extension EndToEndTests {
    /// Every instruction of the small guest's own code is accounted for: 40 rounds copy 1000 bytes each by `rep movsb`,
    /// and 24 first touches of a page fault and begin again.
    @Test func everyInstructionOfTheGuestIsAccountedFor() throws {
        let scratch = try temporaryDirectory()
        let directory = scratch.file("run")
        try #require(try record(into: directory).status == 0)
        try checkTiny(directory)
    }

    @Test func withoutRepetitionAndFaultTheCountIsExactToTheLast() throws {
        let scratch = try temporaryDirectory()
        let directory = scratch.file("run")
        let guest = Products.guest("tiny-plain")
        try #require(try record(guest, into: directory).status == 0)
        let check = try instructionCheck(directory, guest)
        #expect(check.unexplained == 0, "\(check.contradictions)")
        #expect(check.checked > 700_000 && check.equal == check.checked)
        #expect(check.repeated == 0 && check.restarted == 0 && check.unseen == 0)
        // All instructions of the run are those of the checked stretches, and those outside of the file.
        let begin = try #require(try self.first(directory)).icount
        let end = try #require(try self.last(directory)).icount
        #expect(check.instructions + check.outsideInstructions == end - begin)
        #expect(check.stretches == check.checked + check.outside + check.withoutBeginning)
    }

    /// The check finds one instruction count that is wrong by one, and one instruction that is another.
    @Test func theCheckSeesWhatIsWrong() throws {
        let scratch = try temporaryDirectory()
        let directory = scratch.file("run")
        try #require(try record(into: directory).status == 0)
        let guest = Products.guest("tiny")
        let original = try LogFile(path: directory)
        let code = try CodeMap(files: [SymbolFile(path: guest)])

        // Far into the guest's own code.
        let changed = scratch.file("changed.log")
        var place: UInt64 = 1_400_000
        var branches = original.branches(from: place)
        while let branch = branches.next(), !code.contains(branch.from) || !code.contains(branch.to) { place += 1 }
        try copy(original, to: changed, changing: place)
        let counted = try run(Products.tool("tt-analyze"), ["verify", "--symbols", guest, changed])
        #expect(counted.status == 1, "\(counted)")
        #expect(counted.out.contains("unexplained   2 contradict the files"))
        #expect(counted.out.contains("vcpu 0 brctr \(place): ") && counted.out.contains("intact\n"))

        // The first instruction of a function is int3.
        let symbolizer = Symbolizer()
        try symbolizer.add(guest)
        let function = try #require(symbolizer.resolve(name: "call_through_table").first)
        var bytes = try Files.contents(guest)
        let old = code.bytes(at: function.lowerBound, count: Int(function.upperBound - function.lowerBound))
        let at = try #require((0...(bytes.count - old.count)).first { Array(bytes[$0..<$0 + old.count]) == old })
        bytes[at] = 0xcc
        let file = scratch.file("changed.elf")
        try write(bytes, to: file)
        let seen = try run(Products.tool("tt-analyze"), ["verify", "--symbols", file, directory])
        #expect(seen.status == 1)
        #expect(seen.out.contains("passes-branch"), "\(seen.out)")
        #expect(seen.out.contains("at 0x\(String(function.lowerBound, radix: 16))"))
        #expect(seen.err.isEmpty, "one instruction does not make it another file: \(seen.err)")

        // Another file altogether.
        let wrong = try run(Products.tool("tt-analyze"), ["verify", "--symbols", guest + "+0x10", directory])
        #expect(wrong.status == 1)
        #expect(wrong.err.contains("does not belong to it, or was loaded elsewhere"), "\(wrong.err)")
        // No file's code is where the log is.
        let elsewhere = try run(Products.tool("tt-analyze"), ["verify", "--symbols", guest + "+0x10000000", directory])
        #expect(elsewhere.status == 0 && elsewhere.out.contains(" 0 of them in the files' code"), "\(elsewhere.out)")
    }

    /// Files without code serve for names; alone they are an error.
    @Test func filesWithoutCodeAreSaid() throws {
        let scratch = try temporaryDirectory()
        let directory = scratch.file("run")
        try #require(try record(into: directory).status == 0)
        let guest = Products.guest("tiny")
        let debug = scratch.file("tiny.debug")
        try #require(try run("/usr/bin/objcopy", ["--only-keep-debug", guest, debug]).status == 0)
        let alone = try run(Products.tool("tt-analyze"), ["verify", "--symbols", debug, directory])
        #expect(alone.status == 2 && alone.out.isEmpty && alone.err.contains("\(debug): has no code"), "\(alone)")
        let both = ["--symbols", guest, "--symbols", debug]
        let verified = try run(Products.tool("tt-analyze"), ["verify"] + both + [directory])
        #expect(verified.status == 0 && verified.err.contains("warning: \(debug): has no code"))
        let dumped = try run(
            Products.tool("bts-dump"), ["--instructions", "--range", "1100000:1100002"] + both + [directory])
        #expect(dumped.status == 0 && dumped.err.contains("\(debug): has no code") && dumped.out.contains(" <"))
        let missing = try run(Products.tool("tt-analyze"), ["verify", "--symbols", "/nonexistent", directory])
        #expect(missing.status == 2 && missing.err.contains("/nonexistent: cannot be opened"))
    }

    /// `bts-dump --instructions` prints every instruction of the guest's own code, in the order of their counts.
    @Test func everyInstructionIsPrinted() throws {
        let scratch = try temporaryDirectory()
        let guest = try Products.guest(rounds: 2, in: scratch)
        let directory = scratch.file("run")
        try #require(try record(guest, into: directory).status == 0)
        let check = try instructionCheck(directory, guest)
        let printed = try run(
            Products.tool("bts-dump"), ["--instructions", "--symbols", guest, "--range", "1000000:", directory])
        try #require(printed.status == 0 && printed.err.isEmpty, "\(printed.err)")
        var (rows, iterations, again, elsewhere) = (0 as UInt64, 0 as UInt64, 0 as UInt64, 0 as UInt64)
        var next: UInt64?
        for line in printed.out.split(separator: "\n") {
            if line.hasPrefix("--- ") {
                elsewhere += try #require(UInt64(line.dropFirst(4).prefix { $0.isNumber }), "\(line)")
                next = nil
                continue
            }
            let words = line.split(separator: " ", maxSplits: 3)
            let icount = try #require(words.count == 4 ? UInt64(words[1]) : nil, "\(line)")
            if let next, next != icount { Issue.record("\(next) instructions began before this: \(line)") }
            rows += 1
            next = icount + 1
            if let end = line.firstRange(of: " times)") {
                let times = line[..<end.lowerBound].reversed().prefix { $0.isNumber }.reversed()
                let count = try #require(UInt64(String(times)))
                iterations += count - 1
                next = icount + count
            }
            if line.hasSuffix("  (again)") || line.contains("  (again)  -> ") { again += 1 }
        }
        #expect(rows + iterations == check.instructions)
        #expect(rows > 200_000 && iterations == 2 * 1000)
        #expect(again == check.restarted)
        #expect(elsewhere > 0 && elsewhere < check.outsideInstructions)

        // Without files, and without a manifest that names a kernel, it reports their lack; with another file it warns.
        let alone = "\(directory)/../alone.log"
        #expect(try run("/bin/cp", ["\(directory)/ttd.log", alone]).status == 0)
        let bare = try run(Products.tool("bts-dump"), ["--instructions", alone])
        #expect(bare.status == 2 && bare.out.isEmpty && bare.err.contains("--symbols"))
        let range = ["--range", "1100000:1100010", directory]
        let wrong = try run(Products.tool("bts-dump"), ["--symbols", guest + "+0x10"] + range)
        #expect(wrong.status == 0 && wrong.err.contains("does not belong to it"))
        let right = try run(Products.tool("bts-dump"), ["--symbols", guest] + range)
        #expect(right.status == 0 && right.err.isEmpty && right.out.split(separator: "\n").count == 10)
    }

    /// objdump finds the same instructions in the guest, in order: the way to 64 bits, and everything after it.
    @Test func objdumpFindsTheSameInstructions() throws {
        let guest = Products.guest("tiny")
        let code = try CodeMap(files: [SymbolFile(path: guest)])
        let disassembler = try Disassembler()
        let symbolizer = Symbolizer()
        try symbolizer.add(guest)
        let start = try #require(symbolizer.resolve(name: "start32").first)
        var counts: [CodeMode: Int] = [:]
        for (mode, name, range) in [
            (CodeMode.bits32, "i386", start), (.bits64, "x86-64", start.upperBound..<UInt64(UInt32.max)),
        ] {
            let listing = try run(
                "/usr/bin/objdump",
                [
                    "-d", "-M", name, "--insn-width=15", "--start-address=\(range.lowerBound)",
                    "--stop-address=\(range.upperBound)", guest,
                ])
            for line in listing.out.split(separator: "\n") {
                let fields = line.split(separator: "\t", omittingEmptySubsequences: false)
                guard fields.count >= 3, let address = UInt64(fields[0].drop { $0 == " " }.dropLast(), radix: 16)
                else { continue }
                let bytes = fields[1].split(separator: " ").compactMap { UInt8($0, radix: 16) }
                let found = code.withBytes(at: address) { disassembler.decode($0, at: address, mode: mode) }
                #expect((found ?? nil).map { Int($0.size) } == bytes.count, "\(line)")
                counts[mode, default: 0] += 1
            }
        }
        #expect(counts[.bits32] ?? 0 > 20 && counts[.bits64] ?? 0 > 500)
    }

    fileprivate func checkTiny(_ directory: String) throws {
        let guest = Products.guest("tiny")
        let check = try instructionCheck(directory, guest)
        #expect(check.unexplained == 0, "\(check.contradictions)")
        #expect(check.checked > 700_000)
        #expect(check.repeated == 40 && check.iterations == 40 * 1000)
        #expect(check.equal + check.repeated == check.checked)
        #expect(check.restarted == 24)
        #expect(try #require(check.modes[.bits32]) == 16)  // fifteen turns of a loop and the way to 64 bits
        #expect(check.modes[.bits16] == nil)

        let result = try run(Products.tool("tt-analyze"), ["verify", "--symbols", guest, directory])
        #expect(result.status == 0 && result.err.isEmpty, "\(result)")
        let words = "\(check.equal) decode to the number of instructions that began"
        #expect(result.out.contains("\n  equal         \(words)\n"))
        #expect(result.out.contains("100.0 % of"))
        let json = try run(
            Products.tool("tt-analyze"), ["verify", "--symbols", guest, "--format", "json", directory])
        #expect(
            json.status == 0 && json.out.contains("\"unexplained\" : \"0\"") && json.out.contains("\"belongs\" : true"))
    }

    private func instructionCheck(_ directory: String, _ guest: String) throws -> InstructionCheck {
        try InstructionCheck.run(LogFile(path: directory), CodeMap(files: [SymbolFile(path: guest)]))
    }

    private func first(_ directory: String) throws -> Branch? {
        var branches = try LogFile(path: directory).branches()
        return branches.next()
    }

    private func last(_ directory: String) throws -> Branch? {
        let log = try LogFile(path: directory)
        var last: Branch?
        var branches = log.branches(from: log.chunks(.branch, vcpu: 0).last?.clockFirst ?? 0)
        while let branch = branches.next() { last = branch }
        return last
    }

    /// A log with the same branches, one of them with an icount that is one too high.
    private func copy(_ log: LogFile, to path: String, changing clock: UInt64) throws {
        let writer = try LogWriter(path: path, options: LogWriter.Options(like: log.header))
        var branches = log.branches()
        while let branch = branches.next() {
            let icount = branch.icount + (branch.clock == clock ? 1 : 0)
            writer.branch(vcpu: 0, from: branch.from, to: branch.to, icount: icount, label: branch.label)
        }
        try writer.close()
    }

    private func write(_ bytes: [UInt8], to path: String) throws {
        let file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        try #require(file >= 0)
        defer { close(file) }
        #expect(Glibc.write(file, bytes, bytes.count) == bytes.count)
    }
}

extension EndToEndTests.QEMU10 {
    @Test func everyInstructionOfTheGuestIsAccountedFor() throws {
        let scratch = try temporaryDirectory()
        let qemu = try #require(Products.qemu10)
        let directory = scratch.file("run")
        try #require(try record(into: directory, ["--qemu", qemu]).status == 0)
        try EndToEndTests().checkTiny(directory)
    }
}
