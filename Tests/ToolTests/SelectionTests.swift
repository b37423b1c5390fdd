// SPDX-License-Identifier: GPL-2.0-or-later

import Foundation
import LogFormat
import TestSupport
import Testing

/// Which branches `bts-dump` shows: `--from`, `--to`, `--function`, `--kind`, `--vcpu`.
@Suite struct SelectionTests {
    static let recording = FixtureTests.path("recording.log")
    static let guest = FixtureTests.path("tiny.elf")
    static let symbols = ["--symbols", guest, "--no-cache"]

    private func select(_ arguments: [String], _ log: String = recording) throws -> ToolResult {
        let result = try Tool.dump.run(arguments + ["--format", "csv", log])
        #expect(result.status == 0, "\(arguments): \(result.errors)")
        return result
    }

    /// Straight runs: 0x1000 … 0x1020, 0x2000 … 0x2010, 0x1025 … 0x1040, 0x1000 … 0x1020.
    static let places = """
        options nonce=1 features=branches,icount,labels
        branch 0x900 -> 0x1000 call! +4
        branch 0x1020 -> 0x2000 call! +4
        branch 0x2010 -> 0x1025 ret +4
        branch 0x1040 -> 0x1000 jmp! +4
        branch 0x1020 -> 0x2000 call! +4
        branch 0x2010 -> 0x1025 ret +4
        branch 0x1030 -> 0x1030 rep +1
        branch 0x1030 -> 0x5000 none +4
        """

    @Test(arguments: [
        // It goes there.
        (["--from", "0x2000", "--to", "0x1000"], 1...3),
        // It leaves from there, and nothing goes there.
        (["--from", "0x2010", "--to", "0x1040"], 2...3),
        // In the middle of a run of instructions.
        (["--from", "0x2008", "--to", "0x1010"], 2...4),
        // If the branch before is not known, only the addresses that it leaves and goes to.
        (["--from", "0x900"], 0...7), (["--to", "0x900"], 0...0), (["--from", "0x1000"], 0...7),
        // A run's first instruction counts as reached once, by the branch that went there.
        (["--from", "0x1000", "--to", "0x1000"], 0...3), (["--from", "0x1030", "--to", "0x1030"], 3...6),
        // With a counter: the first time at or after it.
        (["--from", "0x2000:1", "--to", "0x2000"], 1...4), (["--from", "0x2000:2"], 4...7),
        (["--from", "0x2008:2"], 2...7), (["--from", "0x2008:3"], 5...7),
        (["--from", "0x2000", "--to", "0x1025:4"], 1...5), (["--from", "0x1010:4"], 4...7),
        // Counters alone are a range.
        (["--from", "2", "--to", "5"], 2...4), (["--from", "2", "--to", "0x1000"], 2...3),
        (["--from", "0x2000", "--to", "3"], 1...2), (["--range", "2:6", "--from", "0x2000"], 4...5),
    ])
    func placesAreComeTo(arguments: [String], expected: ClosedRange<UInt64>) throws {
        let fixture = try LogFixture(Self.places)
        #expect(try select(arguments, fixture.log).counters == Array(expected), "\(arguments)")
    }

    @Test func placesThatNobodyComesToAreSaid() throws {
        let fixture = try LogFixture(Self.places)
        let never = try select(["--from", "0x7777"], fixture.log)
        #expect(never.counters.isEmpty && never.errors.contains("no branch reaches 0x7777: nothing is selected"))
        let late = try select(["--from", "0x2000:5"], fixture.log)
        #expect(late.counters.isEmpty && late.errors.contains("0x2000:5"))
        let open = try select(["--from", "0x2000", "--to", "0x7777"], fixture.log)
        #expect(open.counters == Array(1...7) && open.errors.contains("no branch reaches 0x7777 afterwards"))
    }

    /// Each vCPU has its own beginning and end.
    @Test func everyVCPUByItself() throws {
        let fixture = try LogFixture(
            "options vcpus=2 nonce=1\n"
                + (0..<2).map {
                    "vcpu \($0)\n" + Self.places.split(separator: "\n").dropFirst().joined(separator: "\n")
                }
                .joined(separator: "\n"))
        let both = try select(["--from", "0x2000", "--to", "0x1000"], fixture.log)
        #expect(both.counters == [1, 2, 3, 1, 2, 3])
        #expect(try select(["--from", "0x2000", "--to", "0x1000", "--vcpu", "1"], fixture.log).counters == [1, 2, 3])
    }

    /// Against a real run, with places in the middle of functions that are entered and fallen into.
    @Test func placesOfARealRun() throws {
        let oracle = try BranchOracle(Self.recording)
        let shell = try Tool(path: "/bin/sh").run(["-c", "nm '\(Self.guest)' | grep -i ' t '"])
        let symbols = shell.output.split(separator: "\n").map { $0.split(separator: " ") }
        func address(_ name: String) throws -> UInt64 {
            try #require(symbols.first { $0[2] == name }.flatMap { UInt64($0[0], radix: 16) })
        }
        let (trap, leave) = (try address("handle_trap"), try address("leave_user"))
        let cases: [(from: String, address: UInt64, brctr: UInt64, to: (String, UInt64)?)] = [
            ("handle_trap", trap, 0, ("leave_user", leave)), ("handle_trap+0x58", trap + 0x58, 0, nil),
            ("handle_trap+8:1100000", trap + 8, 1_100_000, ("handle_trap", trap)),
            ("leave_user:1150000", leave, 1_150_000, ("handle_trap+0x6c", trap + 0x6c)),
        ]
        for (text, from, brctr, to) in cases {
            let expected = oracle.between((from, brctr), to.map { ($0.1, 0) })
            #expect(!expected.isEmpty, "\(text)")
            let arguments = Self.symbols + ["--from", text] + (to.map { ["--to", $0.0] } ?? [])
            #expect(try select(arguments).counters == expected.map(\.clock), "\(text)")
        }
    }

    @Test(arguments: ["handle_trap", "fibonacci", "stumble", "work_through_round"])
    func functionsAndTheirInlinedCopies(name: String) throws {
        let oracle = try BranchOracle(Self.recording)
        let addresses = try oracle.addresses(in: name, program: Self.guest)
        let expected = oracle.branches.filter { addresses.contains($0.from) || addresses.contains($0.to) }
        #expect(expected.count > 3 && expected.count < oracle.branches.count)
        #expect(try select(Self.symbols + ["--function", name]).counters == expected.map(\.clock))
    }

    @Test func severalFunctionsAndKinds() throws {
        let oracle = try BranchOracle(Self.recording)
        let both = try ["handle_trap", "fibonacci"].map { try oracle.addresses(in: $0, program: Self.guest) }
        let addresses = both[0].union(both[1])
        let functions = ["--function", "handle_trap", "--function", "fibonacci"]
        let expected = oracle.branches.filter {
            (addresses.contains($0.from) || addresses.contains($0.to))
                && ($0.label.branchClass == .ret || $0.label.isDiscontinuity)
        }
        #expect(expected.contains { $0.label.branchClass == .ret } && expected.contains { $0.label.isDiscontinuity })
        let selected = try select(Self.symbols + functions + ["--kind", "ret", "--kind", "discontinuity"])
        #expect(selected.counters == expected.map(\.clock))
    }

    @Test(arguments: BranchClass.allCases)
    func kinds(kind: BranchClass) throws {
        let oracle = try BranchOracle(Self.recording)
        let expected = oracle.branches.filter { $0.label.branchClass == kind }.map(\.clock)
        #expect(try select(["--kind", kind.name]).counters == expected)
    }

    /// The views that follow what is open see everything, and show what is selected.
    @Test func callsAreFollowedThroughWhatIsNotSelected() throws {
        let whole = try Tool.dump.run(["--calls"] + Self.symbols + [Self.recording])
        let some = try Tool.dump.run(["--calls", "--function", "handle_trap"] + Self.symbols + [Self.recording])
        let lines = whole.output.split(separator: "\n")
        let selected = some.output.split(separator: "\n")
        #expect(some.status == 0 && selected.count > 10 && selected.count < lines.count / 10)
        // The same lines, depth and all.
        #expect(Set(selected).isSubset(of: Set(lines)))
        #expect(selected.filter { $0.hasSuffix(" handle_trap") } == lines.filter { $0.hasSuffix(" handle_trap") })
        #expect(some.errors == whole.errors)
    }

    @Test(arguments: [
        ["--kind", "ret"], ["--function", "handle_trap"], ["--from", "handle_trap", "--to", "leave_user"],
    ])
    func foldedCountsWhatIsSelected(selection: [String]) throws {
        let oracle = try BranchOracle(Self.recording)
        let wanted = Set(try select(Self.symbols + selection).counters)
        var expected: UInt64 = 0
        for (before, branch) in zip(oracle.branches, oracle.branches.dropFirst()) where wanted.contains(branch.clock) {
            expected += branch.icount - before.icount
        }
        let result = try Tool.dump.run(["--folded"] + Self.symbols + selection + [Self.recording])
        let counts = result.output.split(separator: "\n").compactMap {
            $0.split(separator: " ").last.flatMap { UInt64($0) }
        }
        #expect(result.status == 0 && expected > 0 && counts.reduce(0, +) == expected, "\(selection)")
    }

    /// With --instructions the function's own instructions are shown, and no others.
    @Test func instructionsOfAFunction() throws {
        func rows(_ arguments: [String]) throws -> [[String: Any]] {
            let all = arguments + Self.symbols + ["--instructions", "--format", "jsonl", Self.recording]
            let result = try Tool.dump.run(all)
            #expect(result.status == 0, "\(result.errors)")
            return try result.output.split(separator: "\n").dropFirst().map {
                try #require(try JSONSerialization.jsonObject(with: Data($0.utf8)) as? [String: Any])
            }
        }
        func addresses(_ rows: [[String: Any]]) -> [UInt64] {
            rows.compactMap { $0["kind"] as? String == "instruction" ? $0["address"] as? String : nil }
                .compactMap { UInt64($0.dropFirst(2), radix: 16) }
        }
        let part = ["--range", "1080000:1090000"]
        let all = addresses(try rows(part))
        let shell = try Tool(path: "/bin/sh").run(["-c", "nm -S '\(Self.guest)' | grep ' handle_trap$'"])
        let symbol = shell.output.split(separator: " ").prefix(2).compactMap { UInt64($0, radix: 16) }
        let range = symbol[0]..<symbol[0] + symbol[1]
        let expected = all.filter(range.contains)
        #expect(expected.count > 10)
        #expect(addresses(try rows(part + ["--function", "handle_trap"])) == expected)
    }

    @Test func refusals() throws {
        let cases: [([String], String)] = [
            (
                Self.symbols + ["--function", "fibonaci"],
                "fibonaci: no function of that name in the --symbols files; there is fibonacci"
            ),
            (Self.symbols + ["--function", "zzz"], "zzz: no function of that name in the --symbols files"),
            (Self.symbols + ["--from", "Handle_trap"], "there is handle_trap"),
            (Self.symbols + ["--from", "handle_trap+0x5000"], "handle_trap has only 415 bytes"),
            (["--function", "fibonacci"], "--symbols FILE"), (["--to", "fibonacci:5"], "--symbols FILE"),
            (["--kind", "jump"], "--kind"), (["--from", ":5"], "--from"), (["--from", "12x"], "--from"),
            (["--from", "0x12g"], "--from"), (["--from", "foo:"], "--from"),
        ]
        for (arguments, words) in cases {
            let result = try Tool.dump.run(arguments + [Self.recording])
            #expect(result.status == 2 && result.output.isEmpty, "\(arguments)")
            #expect(result.errors.contains(words), "\(arguments): \(result.errors)")
        }
        let bare = try LogFixture("options features=branches\nbranch 0x1000 -> 0x2000 unknown")
        let result = try Tool.dump.run(["--kind", "ret", bare.log])
        #expect(result.status == 2 && result.errors.contains("no classes of branches"))
    }
}
