// SPDX-License-Identifier: GPL-2.0-or-later

import Foundation
import TestSupport
import Testing

/// Names of C++ functions in the output of the tools and in their options; beside addr2line.
@Suite struct DemanglingTests {
    private let directory: TemporaryDirectory
    private let program: String

    /// Overloads with internal linkage, which DWARF gives one plain name; a constructor; an inlined member function.
    private static let source = """
        #define NI __attribute__((noinline))
        volatile int sink;
        struct Base { Base(int n); int twice() const { return a * sink * 2; } int a; };
        NI Base::Base(int n) : a(n) { sink = n; }
        NI static int same(int n) { sink += n; return n + sink; }
        NI static int same(long n) { sink -= (int)n; return sink++; }
        extern "C" NI int plain(int n) { return same(n) * Base(n).twice(); }
        int main(int argc, char **) { return plain(argc) + same((long)argc); }
        """

    init() throws {
        directory = try TemporaryDirectory()
        let source = directory.file("over.cc")
        try Self.source.write(toFile: source, atomically: true, encoding: .utf8)
        program = directory.file("over")
        let command = "g++ -g -O1 -fno-pie -no-pie -o '\(program)' '\(source)'"
        let built = try Tool(path: "/bin/sh").run(["-c", command])
        try #require(built.status == 0, "\(built.errors)")
    }

    /// The address of a linkage name, by nm.
    private func address(_ name: String) throws -> UInt64 {
        let lines = try Tool(path: "/bin/sh").run(["-c", "nm '\(program)'"]).output.split(separator: "\n")
        let line = try #require(lines.first { $0.hasSuffix(" \(name)") })
        return try #require(UInt64(line.prefix { $0 != " " }, radix: 16))
    }

    private func hex(_ value: UInt64) -> String { "0x" + String(value, radix: 16) }

    /// A log that calls both overloads and the constructor from `plain`, each once.
    private func log() throws -> String {
        let path = directory.file("over.log")
        let caller = try address("plain")
        let code = try Tool(path: "/bin/sh").run(["-c", "objdump -d --no-show-raw-insn '\(program)'"]).output
        let returns = code.split(separator: "\n").filter { $0.hasSuffix("\tret") }.compactMap { line in
            UInt64(line.split { " :".contains($0) }[0], radix: 16)
        }
        let lines = try ["_ZL4samei", "_ZL4samel", "_ZN4BaseC2Ei"].map { name in
            let entry = try address(name)
            let end = try #require(returns.first { $0 > entry })
            return "branch \(hex(caller)) -> \(hex(entry)) call\nbranch \(hex(end)) -> \(hex(caller + 5)) ret"
        }
        try assemble(lines.joined(separator: "\n"), to: path)
        return path
    }

    private func dump(_ arguments: String...) throws -> ToolResult {
        try Tool.dump.run(["--no-cache", "--symbols", program] + arguments)
    }

    @Test func rowsHaveNamesOfTheSource() throws {
        let log = try log()
        let text = try dump(log).output
        for name in ["<same(int)>", "<same(long)>", "<Base::Base(int)>", "<plain>"] {
            #expect(text.contains(name), "\(name): \(text)")
        }
        #expect(!text.contains("_Z"))
        let linkage = try dump("--no-demangle", log).output
        #expect(linkage.contains("<_ZL4samei>") && linkage.contains("<_ZN4BaseC2Ei>") && !linkage.contains("same(int)"))
        for view in [["--calls"], ["--folded"], ["--style", "inline"], ["--style", "perf"]] {
            let names = try Tool.dump.run(["--no-cache", "--symbols", program] + view + [log]).output
            #expect(names.contains("same(int)") && !names.contains("_Z"), "\(view): \(names)")
        }
    }

    @Test func jsonHasBothNames() throws {
        let log = try log()
        let rows = try dump("--format", "jsonl", log).output
        let place = #""symbol":"same(int)","linkage_name":"_ZL4samei","offset":"0""#
        let frame = #""function":"same(int)","linkage_name":"_ZL4samei","file":"#
        #expect(rows.contains(place) && rows.contains(frame), "\(rows)")
        #expect(rows.contains(#""symbol":"plain","offset":"#), "\(rows)")
        let calls = try dump("--calls", "--format", "jsonl", log).output
        #expect(calls.contains(#""toSymbol":"same(int)","to_linkage_name":"_ZL4samei""#), "\(calls)")
        let coverage = try dump("--coverage", "--format", "jsonl", log).output
        for row in [
            #""name":"same(int)","linkage_name":"_ZL4samei","count":"1""#,
            #""name":"same(long)","linkage_name":"_ZL4samel","count":"1""#,
        ] {
            #expect(coverage.contains(row), "\(coverage)")
        }
        let linkage = try dump("--no-demangle", "--format", "jsonl", log).output
        #expect(linkage.contains(#""symbol":"_ZL4samei","offset""#) && !linkage.contains("linkage_name"))
        for line in (rows + calls + coverage).split(separator: "\n") {
            #expect(throws: Never.self) { try JSONSerialization.jsonObject(with: Data(line.utf8)) }
        }
    }

    @Test func reportsOfDivergeHaveBothNames() throws {
        let (original, replay) = (try log(), directory.file("replay.log"))
        let (caller, entry) = (try address("plain"), try address("_ZL4samel"))
        let lines = try Tool.dump.run("--no-demangle", "--format", "csv", "--no-cache", original).output
            .split(separator: "\n").dropFirst().map { $0.split(separator: ",") }
        // The second call goes to main.
        let text = try lines.enumerated().map { index, row in
            let target = index == 2 ? hex(try address("main")) : String(row[3])
            return "branch \(row[2]) -> \(target) \(row[4])"
        }
        #expect(lines.count == 6 && lines[2][2] == hex(caller) && lines[2][3] == hex(entry))
        try assemble(text.joined(separator: "\n"), to: replay)
        func report(_ more: String...) throws -> String {
            let result = try Tool.analyze.run(
                ["diverge", "--no-cache", "--symbols", program, "--format", "json", original, replay] + more)
            #expect(result.status == 1, "\(result.errors)")
            return result.output.filter { $0 != " " }
        }
        let json = try report()
        for pair in [
            ["\"toSymbol\":\"same(long)\"", "\"to_linkage_name\":\"_ZL4samel\""],
            ["\"originalSymbol\":\"same(long)\"", "\"original_linkage_name\":\"_ZL4samel\""],
        ] {
            for member in pair { #expect(json.contains(member), "\(member): \(json)") }
        }
        // Names that are not demangled have none beside them.
        #expect(json.contains("\"replaySymbol\":\"main\"") && !json.contains("replay_linkage_name"), "\(json)")
        let linkage = try report("--no-demangle")
        #expect(linkage.contains("\"toSymbol\":\"_ZL4samel\"") && !linkage.contains("linkage_name"), "\(linkage)")
    }

    /// Either name selects, with parameters or without.
    @Test(arguments: [
        ("same(int)", 2), ("_ZL4samei", 2), ("same(long)", 2), ("same", 4), ("Base::Base", 2), ("Base::Base(int)", 2),
        ("_ZN4BaseC2Ei", 2), ("plain", 6),
    ])
    func functionTakesEitherName(_ name: String, _ count: Int) throws {
        let result = try dump("--function", name, try log())
        #expect(result.status == 0, "\(result.errors)")
        #expect(result.output.split(separator: "\n").count == count, "\(result.output)")
    }

    @Test func aNameOfNoFunctionIsRefused() throws {
        let result = try dump("--function", "same(char)", try log())
        #expect(result.status == 2 && result.errors.contains("same(char): no function of that name"))
    }

    @Test func placesTakeEitherName() throws {
        let found = try ["same(int)+4", "_ZL4samei+4", "Base::Base(int)"].map { place in
            try Tool.analyze.run("symbolize", "-Cf", "-e", program, place).output
        }
        #expect(found[0].hasPrefix("same(int)\n") && found[0] == found[1] && found[2].hasPrefix("Base::Base(int)\n"))
    }

    /// The whole code, in the options that people type.
    @Test(arguments: [["-f"], ["-C", "-f"], ["-Cfi"], ["-a", "-f", "-C", "-s"], ["--demangle", "--functions"]])
    func symbolizeAnswersAsAddr2lineDoes(_ options: [String]) throws {
        let code = try address("_ZN4BaseC2Ei")..<address("main") + 8
        let list = code.map { hex($0) + "\n" }.joined()
        let input = directory.file("addresses")
        try list.write(toFile: input, atomically: true, encoding: .utf8)
        let line = options.joined(separator: " ") + " -e '\(program)' <'\(input)'"
        let theirs = try Tool(path: "/bin/sh").run(["-c", "addr2line \(line)"]).output
        let ours = try Tool(path: "/bin/sh").run(["-c", "'\(Tool.analyze.path)' symbolize --no-cache \(line)"])
        #expect(ours.errors.isEmpty)
        let (one, two) = (answers(ours.output), answers(theirs))
        #expect(one.count == two.count)
        let differences = zip(one, two).filter { $0 != $1 }
        #expect(differences.isEmpty, "\(differences.prefix(4))")
    }

    /// Without discriminators, which symbolize does not print.
    private func answers(_ output: String) -> [String] {
        output.split(separator: "\n").map { line in
            line.firstRange(of: " (discriminator").map { String(line[..<$0.lowerBound]) } ?? String(line)
        }
    }

    @Test func jsonOfSymbolizeHasBothNames() throws {
        let address = hex(try address("_ZL4samei"))
        let arguments = ["symbolize", "--no-cache", "-e", program, "--format", "json", address]
        let both = try Tool.analyze.run(arguments).output
        #expect(both.contains(#""FunctionName":"same(int)","linkage_name":"_ZL4samei""#), "\(both)")
        let one = try Tool.analyze.run(arguments + ["--no-demangle"]).output
        #expect(one.contains(#""FunctionName":"_ZL4samei","Line""#), "\(one)")
    }

    /// A blank line has an answer: answers and questions stay paired.
    @Test func aBlankLineHasAnAnswer() throws {
        let first = hex(try address("plain"))
        let script =
            "printf '\(first)\\n\\n\(first)\\n' | '\(Tool.analyze.path)' symbolize --no-cache -f -e '\(program)'"
        let lines = try Tool(path: "/bin/sh").run(["-c", script]).output.split(separator: "\n")
        #expect(
            lines.count == 6 && lines[0] == "plain" && lines[2] == "??" && lines[3] == "??:0" && lines[4] == "plain")
    }
}
