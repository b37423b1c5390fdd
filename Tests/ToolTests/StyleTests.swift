// SPDX-License-Identifier: GPL-2.0-or-later

import Foundation
import TestSupport
import Testing

/// `bts-dump --style`, on the committed log of the small guest.
@Suite struct StyleTests {
    private static let log = FixtureTests.path("recording.log")
    private static let program = FixtureTests.path("tiny.elf")

    /// A branch address and its description in a row, without the brackets.
    private struct Place: Hashable {
        var address: UInt64
        var name: String
    }

    /// The distinct places of the rows of a style.
    private func places(_ style: String, _ range: [String] = []) throws -> [UInt64: String] {
        let result = try Tool.dump.run(["--symbols", Self.program, "--style", style, Self.log] + range)
        #expect(result.status == 0, "\(result.errors)")
        var names: [UInt64: String] = [:]
        var seen: Set<Substring> = []
        for line in result.output.split(separator: "\n") {
            guard let colon = line.firstIndex(of: ":") else { continue }
            let row = line[line.index(after: colon)...]
            // Most rows are repetitions.
            let path = row.prefix(upTo: row.range(of: "  ")?.lowerBound ?? row.endIndex)
            guard seen.insert(path).inserted else { continue }
            for side in path.components(separatedBy: " -> ") {
                let match = try #require(side.wholeMatch(of: #/ ?0x([0-9a-f]+)(?: <(.*)>)?/#), "\(line)")
                let address = try #require(UInt64(match.1, radix: 16))
                let name = match.2.map(String.init) ?? ""
                #expect(names[address, default: name] == name)
                names[address] = name
            }
        }
        return names
    }

    private func gdb(_ commands: [String]) throws -> [String] {
        let directory = try TemporaryDirectory()
        try commands.map { $0 + "\n" }.joined().write(
            toFile: directory.file("commands"), atomically: true, encoding: .utf8)
        let result = try Tool(path: "/usr/bin/gdb").run(
            ["-batch", "-nx", "-x", directory.file("commands"), Self.program])
        #expect(result.status == 0, "\(result.errors)")
        return result.output.split(separator: "\n").map(String.init)
    }

    @Test func everyAddressOfARunHasTheNameThatGDBGivesIt() throws {
        let ours = try places("gdb")
        let addresses = ours.keys.sorted()
        #expect(addresses.count > 3000)
        let lines = try gdb(addresses.map { "p/a 0x\(String($0, radix: 16))" })
        try #require(lines.count == addresses.count)
        for (address, line) in zip(addresses, lines) {
            let name = ours[address] ?? ""
            #expect(
                line.drop { $0 != "=" } == "= 0x\(String(address, radix: 16))" + (name.isEmpty ? "" : " <\(name)>"))
        }

        // In the program's own code x/i has an instruction to show, and `info symbol` has the symbol table's name.
        let named = addresses.filter { ours[$0] != "" }
        #expect(named.count > 300)
        let instructions = try gdb(named.map { "x/i 0x\(String($0, radix: 16))" })
        for (address, line) in zip(named, instructions) {
            #expect(line.hasPrefix("   0x\(String(address, radix: 16)) <\(ours[address] ?? "")>:"), "\(line)")
        }
        let symbols = try gdb(named.map { "info symbol 0x\(String($0, radix: 16))" })
        var clones = 0
        for (address, line) in zip(named, symbols) {
            let parts = (ours[address] ?? "").split(separator: "+")
            let symbol = parts.joined(separator: " + ") + " in section .text"
            if line == symbol { continue }
            // Rule: where DWARF has the name of the source, the symbol table has that of the compiler's clone.
            #expect(line == symbol.replacing(parts[0], with: parts[0] + ".constprop", maxReplacements: 1))
            clones += 1
        }
        #expect(clones < named.count / 10)
    }

    @Test func inlineNamesTheInnermostFunctionAndTheOneAround() throws {
        let range = ["--range", "1000000:1300000"]
        let (inline, plain) = (try places("inline", range), try places("plain", range))
        #expect(inline.count == plain.count)
        var inlined = 0
        for (address, name) in plain {
            // plain has the complete chain and hexadecimal offsets.
            let parts = name.components(separatedBy: " @ ").map { part in
                part.replacing(/\+0x([0-9a-f]+)$/) { "+\(UInt64($0.1, radix: 16) ?? 0)" }
            }
            let expected = parts.count < 2 ? parts[0] : "\(parts[0]) @ \(parts[parts.count - 1])"
            #expect(inline[address] == expected)
            inlined += parts.count > 2 ? 1 : 0
        }
        #expect(inlined > 20)
        #expect(inline[0x200450] == "load_task_state @ traps_start")
    }

    @Test func linesStandBesideTheNames() throws {
        func row(_ style: String) throws -> String {
            try Tool.dump.run(
                "--symbols", Self.program, "--style", style, "--lines", "--range", "1067810:1067811", Self.log
            ).output
        }
        #expect(try row("gdb").contains(" -> 0x200450 <traps_start at ./hypervisor/guests/tiny/traps.c:130>  call!"))
        #expect(
            try row("inline").contains("<load_task_state @ traps_start ./hypervisor/guests/tiny/traps.c:130>  call!"))
    }

    @Test func stylesThatMakeNoSenseAreRefused() throws {
        for arguments in [
            ["--style", "gdb", "--format", "csv"], ["--style", "perf", "--edges"], ["--style", "perf", "--lines"],
            ["--style", "inline", "--calls"], ["--style", "gdb", "--coverage"],
        ] {
            let result = try Tool.dump.run(arguments + [Self.log])
            #expect(result.status == 2 && result.output.isEmpty && result.errors.contains("--style"), "\(arguments)")
        }
    }
}
