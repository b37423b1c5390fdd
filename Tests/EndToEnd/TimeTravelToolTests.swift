// SPDX-License-Identifier: GPL-2.0-or-later

@preconcurrency import Glibc
import LogFormat
import RunDirectory
import TestSupport
import Testing

@testable import ReplaySession

/// tt-replay's stops and tt-gdb on the small guest, with both versions of QEMU.
extension EndToEndTests {
    @Suite(.serialized, .timeLimit(.minutes(4)))
    struct TimeTravelToolTests {
        typealias Version = TravelTests.Version

        /// A position as `tt where` and tt-replay print it.
        struct Where: Equatable {
            var brctr: UInt64
            var icount: UInt64
            var rip: UInt64

            init?(_ line: Substring) {
                func number(_ key: String, _ radix: Int) -> UInt64? {
                    guard let range = line.firstRange(of: key) else { return nil }
                    return UInt64(line[range.upperBound...].prefix { $0.isHexDigit }, radix: radix)
                }
                guard let brctr = number("brctr ", 10), let icount = number("icount ", 10),
                    let rip = number("rip 0x", 16)
                else { return nil }
                (self.brctr, self.icount, self.rip) = (brctr, icount, rip)
            }
        }

        /// Runs gdb's commands at a place; returns the answers of `tt where`.
        private func gdb(_ directory: String, at place: String, _ lines: [String], _ scratch: TemporaryDirectory) throws
            -> (places: [Where], result: ToolResult)
        {
            let script = scratch.file("script.gdb")
            try Files.replace(script, with: Array((["set pagination off"] + lines).joined(separator: "\n").utf8))
            let result = try run(
                Products.tool("tt-gdb"),
                [directory, place, "--quiet", "--checkpoint-space", "0", "--", "-nx", "-batch", "-x", script])
            #expect(result.status == 0, "\(result)")
            #expect(!result.err.contains("Cannot") && !result.err.contains("error"), "\(result.err)")
            return (result.out.split(separator: "\n").filter { $0.hasPrefix("brctr ") }.compactMap(Where.init), result)
        }

        /// Rows that lead to a function of the small guest.
        private func entries(_ directory: String, _ function: String) throws -> (rows: [Branch], address: UInt64) {
            let symbols = try run("/usr/bin/nm", [Products.guest("tiny")])
            let line = symbols.out.split(separator: "\n").first { $0.hasSuffix(" \(function)") }
            let address = try #require(line.flatMap { UInt64($0.prefix { $0 != " " }, radix: 16) })
            var cursor = try LogFile(path: directory).branches()
            var rows: [Branch] = []
            while let branch = cursor.next() { if branch.to == address { rows.append(branch) } }
            return (rows, address)
        }

        @Test(arguments: Version.allCases) func gdbGoesBackToWhereTheLogSays(version: Version) throws {
            let scratch = try temporaryDirectory()
            let directory = try TravelTests.recorded(scratch, version)
            let (rows, address) = try entries(directory, "sort_numbers")
            try #require(rows.count > 5)
            let (places, result) = try gdb(
                directory, at: "sort_numbers:4",
                [
                    "tt where", "break sort_numbers", "continue", "tt where", "reverse-continue", "tt where",
                    "reverse-continue", "tt where", "stepi", "tt where", "reverse-stepi", "tt where",
                    "reverse-stepi", "tt where", "stepi", "tt where", "reverse-finish", "tt where",
                    "tt back 1", "tt where", "delete", "tt goto sort_numbers:2", "tt where",
                    "step", "step", "tt where", "step", "tt where", "reverse-step", "tt where", "tt goto kernel_main",
                    "next", "next", "tt where", "next", "tt where", "reverse-next", "tt where",
                    "reverse-continue", "tt where",
                ], scratch)
            // `tt goto` and `tt back` print the position too.
            try #require(places.count == 21, "\(result.out)\(result.err)")
            func at(_ nth: Int) -> UInt64 { rows[nth - 1].icount }
            #expect(places[0].icount == at(4) && places[0].brctr == rows[3].clock + 1 && places[0].rip == address)
            #expect(places[1].icount == at(5) && places[2].icount == at(4) && places[3].icount == at(3))
            #expect(places[3].brctr == rows[2].clock + 1)
            #expect(places[4].icount == at(3) + 1 && places[5] == places[3])
            #expect(places[6].icount == at(3) - 1 && places[6].rip == rows[2].from && places[7] == places[3])
            // The call that the function was called by.
            #expect(places[8].icount == at(3) - 1 && places[8].rip == rows[2].from)
            #expect(places[9].brctr == places[8].brctr - 1 && places[10] == places[9])
            #expect(places[11].icount == at(2) && places[11].rip == address && places[12] == places[11])
            // To the line before and back; over a call and back.
            #expect(places[14].icount > places[13].icount && places[15] == places[13], "\(result.out)")
            #expect(places[18].icount > places[17].icount && places[19] == places[17], "\(result.out)")
            #expect(places[20].brctr == 0 && places[20].icount == 0)
            #expect(result.out.contains("No more reverse-execution history"))
        }

        /// A watched variable stops gdb backwards before each store that stopped it forwards; a breakpoint between them stops it, too.
        @Test(arguments: Version.allCases) func watchpointsStopBackwards(version: Version) throws {
            let scratch = try temporaryDirectory()
            let directory = try TravelTests.recorded(scratch, version)
            let watch = ["watch sink", "continue", "tt where", "continue", "tt where", "continue", "tt where"]
            let (places, result) = try gdb(
                directory, at: "sort_numbers:2",
                watch + [
                    "print sink", "reverse-continue", "tt where", "print sink", "reverse-continue", "tt where",
                    "reverse-continue", "tt where", "break sort_numbers", "tt goto sort_numbers:4", "reverse-continue",
                    "tt where", "reverse-continue", "tt where", "delete", "reverse-continue", "tt where",
                ], scratch)
            try #require(places.count == 10, "\(result.out)\(result.err)")
            // Forwards gdb stops after the store, backwards before it.
            for (forward, back) in [(2, 3), (1, 4), (0, 5)] {
                #expect(places[back].icount == places[forward].icount - 1, "\(result.out)")
            }
            let (rows, _) = try entries(directory, "sort_numbers")
            #expect(places[6].icount == rows[3].icount)
            // The last store before the fourth call, then the third call or a store before it.
            #expect(places[7].icount < rows[3].icount && places[7].icount >= rows[2].icount)
            #expect(places[8].icount < places[7].icount && places[8].icount >= rows[2].icount)
            #expect(places[9].icount == 0 && places[9].brctr == 0)
            let values = result.out.split(separator: "\n").filter { $0.hasPrefix("$") }
            #expect(values.count == 2 && values[0].dropFirst(2) != values[1].dropFirst(2), "\(values)")
        }

        /// A session goes on from the checkpoints of an earlier one; another run has others.
        @Test(arguments: Version.allCases) func checkpointsOutliveASession(version: Version) throws {
            let scratch = try temporaryDirectory()
            let directory = try TravelTests.recorded(scratch, version)
            let environment = [
                "XDG_CACHE_HOME=\(scratch.path)",
                "QEMU=\(version == .new ? Products.qemu10 ?? "" : "qemu-system-x86_64")",
            ]
            func tool(_ name: String, _ arguments: [String]) throws -> ToolResult {
                try run("/usr/bin/env", environment + [Products.tool(name), directory] + arguments)
            }
            let made = try tool("tt-replay", ["--checkpoints", "0.01", "--format", "json"])
            #expect(made.status == 0 && made.out.contains("\"schema\" : \"tt-analyze checkpoints\""), "\(made)")
            let restore = made.out.firstRange(of: "\"restoreSeconds\" : ").flatMap {
                Double(made.out[$0.upperBound...].prefix { $0 != "," })
            }
            #expect(try #require(restore) > 0, "\(made)")
            let stores = try Files.list("\(scratch.path)/tt-analyze/checkpoints")
            try #require(stores.count == 1)
            let store = "\(scratch.path)/tt-analyze/checkpoints/\(stores[0])/0"
            let size = Files.size("\(store)/machine.qcow2")
            for place in ["end-5000", "sort_numbers:3", "end-5000"] {
                let there = try tool("tt-replay", ["--at", place, "--print", "$rax", "--print", "trap_counts"])
                let fresh = try tool(
                    "tt-replay",
                    ["--at", place, "--print", "$rax", "--print", "trap_counts", "--checkpoint-space", "0"])
                #expect(there.status == 0 && there.out == fresh.out, "\(there) \(fresh)")
            }
            // A damaged store is made anew.
            #expect(truncate("\(store)/machine.qcow2", off_t(size / 2)) == 0)
            let again = try tool("tt-replay", ["--at", "end-5000", "--print", "$rax"])
            let fresh = try tool("tt-replay", ["--at", "end-5000", "--print", "$rax", "--checkpoint-space", "0"])
            #expect(again.status == 0 && again.out == fresh.out, "\(again) \(fresh)")
        }

        /// What would change the run is refused, gdb stays connected, and unknown places are errors of the command.
        @Test func aRunIsNotChanged() throws {
            let scratch = try temporaryDirectory()
            let directory = try TravelTests.recorded(scratch, .old)
            let (places, result) = try gdb(
                directory, at: "kernel_main",
                [
                    "tt where", "python", "for line in ('set var $rax = 3', 'set var *(int *)$rsp = 1'):",
                    "    try:", "        gdb.execute(line)", "        print('changed')",
                    "    except gdb.error as e:", "        print('refused')", "end",
                    "tt goto no_such_function", "tt goto 99999999999", "monitor cont", "monitor quit", "tt where",
                ], scratch)
            #expect(places.count == 2 && places[0] == places[1], "\(result)")
            #expect(result.out.split(separator: "\n").count { $0 == "refused" } == 2, "\(result)")
            #expect(result.out.contains("error: no function no_such_function"), "\(result)")
            #expect(result.out.contains("after the end of the log"), "\(result)")
            #expect(!result.out.contains("changed"))
        }

        /// Variables and registers at a place; a core that gdb opens.
        @Test func valuesAndACoreOfAPlace() throws {
            let scratch = try temporaryDirectory()
            let directory = try TravelTests.recorded(scratch, .new)
            let core = scratch.file("core")
            let result = try run(
                Products.tool("tt-replay"),
                [
                    directory, "--at", "sort_numbers:3", "--print", "$rip", "--print", "seed", "--print", "no_such",
                    "--core", core, "--format", "json",
                ])
            #expect(result.status == 2, "\(result)")
            let (rows, address) = try entries(directory, "sort_numbers")
            #expect(result.out.contains("\"icount\" : \"\(rows[2].icount)\""), "\(result)")
            #expect(result.out.contains("\"value\" : \"2\""), "\(result)")
            #expect(result.out.contains("No symbol \\\"no_such\\\""), "\(result)")
            let opened = try run(
                "/usr/bin/gdb", ["-nx", "-batch", "-ex", "print/x $rip", Products.guest("tiny"), core])
            #expect(opened.out.contains("$1 = 0x\(String(address, radix: 16))"), "\(opened)")
            // Memory is in it, too.
            let seed = try run(
                "/usr/bin/gdb", ["-nx", "-batch", "-ex", "print trap_counts.page_faults", Products.guest("tiny"), core])
            #expect(seed.out.contains("$1 = 2"), "\(seed)")
            // An existing file is not overwritten.
            let again = try run(Products.tool("tt-replay"), [directory, "--at", "0", "--core", core])
            #expect(again.status == 2 && again.err.contains("File exists"), "\(again)")
        }

        /// A stopped replay waits, and leaves no QEMU however it ends.
        @Test(arguments: [SIGINT, SIGTERM, SIGKILL]) func nothingIsLeft(signal: Int32) throws {
            let scratch = try temporaryDirectory()
            let directory = try TravelTests.recorded(scratch, .old)
            for delay: UInt32 in [20, 400] {
                let tool = try RunningTool(
                    Products.tool("tt-replay"), [directory, "--until", "console:2"])
                usleep(delay * 1000)
                tool.signal(signal)
                _ = try tool.wait(seconds: 20)
                try wait(
                    until: { try processes(of: directory).isEmpty && isFree(directory) },
                    "QEMU has ended and let go of the run")
            }
            let result = try replay(directory)
            #expect(result.status == 0, "\(result)")
        }

        /// tt-gdb is killed at some moments of a session that goes forwards and back: neither gdb nor a QEMU is left.
        @Test func aKilledDebuggerSessionLeavesNothing() throws {
            let scratch = try temporaryDirectory()
            let directory = try TravelTests.recorded(scratch, .old)
            let script = scratch.file("script.gdb")
            let lines = ["break sort_numbers", "while 1", "continue", "reverse-stepi", "tt back 3", "end"]
            try Files.replace(script, with: Array(lines.joined(separator: "\n").utf8))
            let mark = "TT_TEST_MARK=\(scratch.file("mark"))"
            /// The programs that the session has started, and what those have started.
            func programs() throws -> Set<String> {
                let marked = try Files.list("/proc").compactMap { pid_t($0) }.filter { pid in
                    guard let environment = try? Files.contents("/proc/\(pid)/environ") else { return false }
                    return environment.split(separator: 0).contains { $0.elementsEqual(mark.utf8) }
                }
                return Set(
                    marked.compactMap { try? Files.contents("/proc/\($0)/comm") }.map {
                        String(decoding: $0.dropLast(), as: UTF8.self)
                    })
            }
            for delay: UInt32 in [0, 30, 150, 500, 1500, 3000] {
                let tool = try RunningTool(
                    "/usr/bin/env",
                    [
                        mark, "XDG_CACHE_HOME=\(scratch.file("cache"))", Products.tool("tt-gdb"), directory, "--",
                        "-nx",
                        "-batch", "-x", script,
                    ])
                try wait(until: { try programs().isSuperset(of: ["gdb", "tt-gdb"]) }, "gdb runs")
                usleep(delay * 1000)
                tool.signal(SIGKILL)
                _ = try tool.wait(seconds: 20)
                try wait(until: { try programs().isEmpty }, "all have ended")
            }
            #expect(try replay(directory).status == 0)
        }

        /// gdb of an interactive session gets the terminal's Ctrl-C, ends with a tt-gdb that is killed, and restores the terminal.
        @Test func anInteractiveGdbEndsWithItsTool() throws {
            let scratch = try temporaryDirectory()
            let directory = try TravelTests.recorded(scratch, .old)
            let result = try run(
                "/usr/bin/python3",
                [
                    "\(Products.root)/Tests/Travel/check_terminal.py", Products.tool("tt-gdb"), directory,
                    "--checkpoint-space", "0",
                ])
            #expect(result.status == 0, "\(result)")
        }

        /// Options of a whole replay are refused where the run is gone through: they would have no effect.
        @Test func optionsWithoutEffectAreRefused() throws {
            for (arguments, message) in [
                (["--checkpoints", "1", "--ram", "on"], "--ram is valid with --trace only"),
                (["--until", "5", "--ram", "on"], "--ram is valid with --trace only"),
                (["--ram", "on"], "--ram is valid with --trace only"),
                (["--checkpoints", "1", "--name", "x"], "--checkpoints writes no replay: leave out its options"),
                (["--at", "5", "--memory", "64"], "--at writes no replay: leave out its options"),
                (["--until", "5", "--values", "on"], "--until writes no log: leave out its options"),
                (
                    ["--trace", "1", "2", "-o", "x", "--timeout", "1"],
                    "--trace writes no replay: leave out its options"
                ),
            ] {
                let result = try run(Products.tool("tt-replay"), ["/nonexistent"] + arguments)
                #expect(result.status == 2 && result.err.contains(message), "\(arguments): \(result)")
            }
        }

        /// Whether no process holds a run's lock. A killed process keeps its locks a moment longer than its arguments.
        private func isFree(_ directory: String) -> Bool {
            let lock = open("\(directory)/.lock", O_RDWR | O_CLOEXEC)
            defer { close(lock) }
            return flock(lock, LOCK_EX | LOCK_NB) == 0
        }

        /// Processes that name a run in their arguments: QEMU, and what is about to become it.
        private func processes(of directory: String) throws -> [pid_t] {
            try Files.list("/proc").compactMap { pid_t($0) }.filter { pid in
                guard pid != getpid(), let line = try? Files.contents("/proc/\(pid)/cmdline") else { return false }
                return String(decoding: line, as: UTF8.self).contains(directory)
            }
        }
    }
}
