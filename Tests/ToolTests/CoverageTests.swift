// SPDX-License-Identifier: GPL-2.0-or-later

import Foundation
import LogFormat
import TestSupport
import Testing

/// `bts-dump --coverage`, on the committed log of the small guest (8 rounds) and its source.
@Suite struct CoverageTests {
    private static let log = FixtureTests.path("recording.log")
    private static let program = FixtureTests.path("tiny.elf")

    private func tracefile() throws -> Tracefile {
        let result = try Tool.dump.run("--coverage", "--symbols", Self.program, Self.log)
        return try Tracefile(result.output)
    }

    /// The guest's source determines how often each of these is run.
    @Test func knownLinesHaveTheirCounts() throws {
        let main = try #require(try tracefile().files["./hypervisor/guests/tiny/main.c"])
        let source = try String(
            contentsOf: FixtureTests.directory.appendingPathComponent("../../hypervisor/guests/tiny/main.c"),
            encoding: .utf8
        ).split(separator: "\n", omittingEmptySubsequences: false)
        for (text, count) in [
            ("checksum = checksum * 31 + salt;", 8 * 25),
            ("sink += ackermann(2, 9);", 8),
            ("sink += sort_numbers(round);", 8),
            // Each of these faults and begins again.
            ("*(volatile uint32_t *)(DEMAND_FIRST + round * 3 * 4096) = round;", 8),
            ("__asm__ volatile(\"ud2\");", 1),
            ("print_value(\"round\", round);", 1),
            ("__asm__ volatile(\"int $0x80\" : \"=a\"(result)", 20),
            ("__asm__ volatile(\"hlt\");", 10),
            ("print(\"tiny: begin\\n\");", 1),
            ("for (;;) {", 0),
        ] {
            let number = try #require(source.firstIndex { $0.contains(text) }, "\(text)") + 1
            #expect(main.lines[number] == UInt64(count), "line \(number): \(text)")
        }
        for (function, count) in [
            ("kernel_main", 1), ("work_through_round", 8), ("step", 8), ("stumble", 8), ("user_main", 1),
        ] {
            #expect(main.functions[function]?.count == UInt64(count), "\(function)")
        }
    }

    /// Compares every line of every file with a count from objdump's instructions, addr2line's chains and the branches
    /// alone.
    @Test func everyLineAgreesWithACountByHand() throws {
        let expected = try HandCount(program: Self.program, log: Self.log).lines
        let found = try tracefile()
        var compared = 0
        for (path, file) in found.files {
            let name = path.split(separator: "/").last.map(String.init) ?? path
            // The chain of a copy does not distinguish copies in one expression: work.c has such copies.
            let isExact = name != "work.c"
            for (number, count) in file.lines {
                let byHand = try #require(expected["\(name):\(number)"], "\(name):\(number)")
                #expect(isExact ? count == byHand : count >= byHand && (count > 0) == (byHand > 0), "\(name):\(number)")
                compared += 1
            }
        }
        #expect(compared > 240)
        // And no line is missing.
        let all = Set(
            found.files.flatMap { path, file in
                file.lines.keys.map { "\(path.split(separator: "/").last ?? ""):\($0)" }
            })
        #expect(Set(expected.keys).subtracting(all).isEmpty)
    }

    @Test(.enabled(if: access("/usr/bin/lcov", X_OK) == 0)) func lcovReadsIt() throws {
        let directory = try TemporaryDirectory()
        let text = try Tool.dump.run("--coverage", "--symbols", Self.program, Self.log).output
        try text.write(toFile: directory.file("run.info"), atomically: true, encoding: .utf8)
        let summary = try Tool(path: "/usr/bin/lcov").run(["--summary", directory.file("run.info")])
        #expect(summary.status == 0, "\(summary.errors)")
        let found = try Tracefile(text)
        let lines = found.files.values.flatMap { $0.lines.values }
        let functions = found.files.values.flatMap { $0.functions.values }
        let said = summary.output + summary.errors
        #expect(said.contains("(\(lines.count { $0 > 0 }) of \(lines.count) lines)"), "\(said)")
        #expect(said.contains("(\(functions.count { $0.count > 0 }) of \(functions.count) functions)"), "\(said)")
    }

    /// Rows have the same counts as the tracefile.
    @Test func rowsAgreeWithTheTracefile() throws {
        let found = try tracefile()
        var (lines, functions) = (0, 0)
        let rows = try Tool.dump.run("--coverage", "--format", "jsonl", "--symbols", Self.program, Self.log).output
        for row in rows.split(separator: "\n").dropFirst() {
            let object = try #require(try JSONSerialization.jsonObject(with: Data(row.utf8)) as? [String: Any])
            let path = try #require(object["file"] as? String)
            let file = try #require(found.files[path])
            let count = try #require((object["count"] as? String).flatMap { UInt64($0) })
            if object["kind"] as? String == "line" {
                #expect(file.lines[try #require(object["line"] as? Int)] == count)
                lines += 1
            } else {
                #expect(file.functions[try #require(object["name"] as? String)]?.count == count)
                functions += 1
            }
        }
        #expect(lines == found.files.values.reduce(0) { $0 + $1.lines.count })
        #expect(functions == found.files.values.reduce(0) { $0 + $1.functions.count })
        let fields = try Tool.dump.run("--coverage", "--format", "csv", "--symbols", Self.program, Self.log).output
        #expect(fields.split(separator: "\n").count == lines + functions + 1)
    }

    @Test func theTableOfFunctions() throws {
        let result = try Tool.dump.run("--coverage", "--format", "text", "--symbols", Self.program, Self.log)
        try expectSnapshot(result.output + result.errors, "bts-dump-coverage.txt")
    }

    @Test func symbolsAreNeeded() throws {
        let result = try Tool.dump.run("--coverage", Self.log, expecting: 2)
        #expect(result.errors.contains("--coverage needs --symbols"))
    }
}

/// An lcov tracefile, read strictly: an unknown line, a wrong order or a wrong total is an error.
private struct Tracefile {
    struct File {
        var functions: [String: (line: Int, count: UInt64)] = [:]
        var lines: [Int: UInt64] = [:]
    }

    struct Malformed: Error { var line: Substring }

    var files: [String: File] = [:]

    init(_ text: String) throws {
        guard text.hasPrefix("TN:\n"), text.hasSuffix("end_of_record\n") else { throw Malformed(line: text.prefix(80)) }
        var path: String?
        var file = File()
        for line in text.split(separator: "\n").dropFirst() {
            let parts = line.split(separator: ":", maxSplits: 1)
            let fields = parts.count < 2 ? [] : parts[1].split(separator: ",", maxSplits: 1).map(String.init)
            func fail(unless isRight: Bool) throws { if !isRight { throw Malformed(line: line) } }
            func number(_ index: Int) throws -> Int {
                guard index < fields.count, let number = Int(fields[index]) else { throw Malformed(line: line) }
                return number
            }
            try fail(unless: (path == nil) == (parts[0] == "SF"))
            switch parts[0] {
            case "SF":
                path = String(parts[1])
                file = File()
            case "FN":
                try fail(unless: fields.count == 2 && file.functions[fields[1]] == nil && (try number(0)) > 0)
                file.functions[fields[1]] = (try number(0), .max)
            case "FNDA":
                try fail(unless: fields.count == 2 && file.functions[fields[1]]?.count == .max)
                file.functions[fields[1]]?.count = UInt64(try number(0))
            case "FNF": try fail(unless: try number(0) == file.functions.count)
            case "FNH": try fail(unless: try number(0) == file.functions.values.count { $0.count > 0 })
            case "DA":
                try fail(unless: file.lines[try number(0)] == nil && (try number(0)) > (file.lines.keys.max() ?? 0))
                file.lines[try number(0)] = UInt64(try number(1))
            case "LF": try fail(unless: try number(0) == file.lines.count)
            case "LH": try fail(unless: try number(0) == file.lines.values.count { $0 > 0 })
            case "end_of_record":
                try fail(unless: files[path ?? ""] == nil && file.functions.values.allSatisfy { $0.count != .max })
                files[path ?? ""] = file
                path = nil
            default: throw Malformed(line: line)
            }
        }
        guard path == nil else { throw Malformed(line: "the end") }
    }
}

/// The count of each line, without anything of ours but the reader of logs: instructions from objdump, source lines and
/// inlined copies from addr2line.
private struct HandCount {
    /// `main.c:41`.
    private(set) var lines: [String: UInt64] = [:]

    init(program: String, log: String) throws {
        let listing = try Tool(path: "/usr/bin/objdump").run(["-d", "--no-show-raw-insn", program]).output
        let instructions = listing.split(separator: "\n").compactMap { line -> UInt64? in
            guard let match = line.prefixMatch(of: #/ +([0-9a-f]+):\t/#) else { return nil }
            return UInt64(match.1, radix: 16)
        }
        let counts = try HandCount.executions(of: instructions, log: log)

        let addresses = instructions.map { "0x" + String($0, radix: 16) }
        let chains = try Tool(path: "/usr/bin/addr2line").run(["-a", "-f", "-i", "-e", program] + addresses).output
        // For each copy, identified by its chain of calls, the instruction that was run most often.
        var largest: [String: [[String]: UInt64]] = [:]
        var index = -1
        var chain: [String] = []
        func take() {
            guard index >= 0, chain.count > 1 else { return }
            // function, place, function, place, …; the innermost place is the line.
            let place = chain[1].split(separator: "/").last.map(String.init) ?? chain[1]
            guard !place.hasPrefix("??"), !place.hasSuffix(":?"), !place.hasSuffix(":0") else { return }
            var copy = chain
            copy.remove(at: 1)
            largest[place, default: [:]][copy, default: 0] = max(largest[place]?[copy] ?? 0, counts[index])
        }
        for line in chains.split(separator: "\n") {
            if line.hasPrefix("0x") {
                take()
                (index, chain) = (index + 1, [])
            } else {
                chain.append(String(line.split(separator: " (discriminator").first ?? line))
            }
        }
        take()
        lines = largest.mapValues { $0.values.reduce(0, +) }
    }

    /// How often each instruction was run; one that begins again after a fault counts once.
    private static func executions(of instructions: [UInt64], log: String) throws -> [UInt64] {
        var steps = [Int64](repeating: 0, count: instructions.count + 1)
        let places = Dictionary(uniqueKeysWithValues: instructions.enumerated().map { ($0.element, $0.offset) })
        var branches = try LogFile(path: log).branches()
        var previous: Branch?
        /// What interrupts left and no return has gone back to; nil for what the program asked for itself.
        var left: [UInt64?] = []
        func run(_ first: Int, _ last: Int) {
            guard first <= last else { return }
            steps[first] += 1
            steps[last + 1] -= 1
        }
        while let branch = branches.next() {
            if let before = previous, let first = places[before.to], let last = places[branch.from] {
                var isRestart = false
                if before.label.branchClass == .iret { isRestart = left.popLast() == .some(.some(before.to)) }
                run(isRestart ? first + 1 : first, last)
            }
            if branch.label.isDiscontinuity { left.append(branch.from) }
            if branch.label.branchClass == .int { left.append(nil) }
            previous = branch
        }
        if let to = previous?.to, let first = places[to] { run(first, first) }
        var sum: Int64 = 0
        return steps.dropLast().map {
            sum += $0
            return UInt64(sum)
        }
    }
}
