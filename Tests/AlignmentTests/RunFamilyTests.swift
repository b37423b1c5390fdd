// SPDX-License-Identifier: GPL-2.0-or-later

import Alignment
import LogFormat
import TestSupport
import Testing

@Suite("Good runs against bad runs")
struct RunFamilyTests {
    private static let start = "options features=branches,icount,labels,causes\n" + OddLogTests.distinct(0, 60)

    private func logs(_ texts: [String], _ directory: TemporaryDirectory, _ name: String) throws -> [LogFile] {
        try texts.enumerated().map { index, text in
            let path = directory.file("\(name)\(index).log")
            try assemble(text, to: path)
            return try LogFile(path: path)
        }
    }

    private func family(_ good: [String], _ bad: [String]) throws -> RunFamily {
        let directory = try temporaryDirectory()
        return try RunFamily(good: logs(good, directory, "good"), bad: logs(bad, directory, "bad"))
    }

    private func run(_ middle: String, _ end: String) -> String {
        [RunFamilyTests.start, middle, OddLogTests.distinct(100, 60), end, OddLogTests.distinct(200, 60)]
            .joined(separator: "\n")
    }

    private let ok = "branch 0x70 -> 0x80 jcc! +2"
    private let wrong = "branch 0x70 -> 0x90 jcc! +2"

    @Test("the branch at which all bad runs leave all good runs")
    func critical() throws {
        let found = try family([run("", ok), run("", ok)], [run("", wrong), run("", wrong)])
        let critical = try #require(found.critical)
        #expect(critical.verdict == .controlFlow)
        #expect(critical.good.clock == 120 && critical.good.ip == 0x70)
        guard case .branch(let branch)? = critical.replay else {
            Issue.record("a branch is expected")
            return
        }
        #expect(branch.to == 0x90)
        #expect(found.groups.map(\.members) == [[2, 3], [0, 1]])
    }

    @Test("the reference is the good run with the longest prefix; a good run that parts earlier rules out one element")
    func reference() throws {
        let other = "branch 0x40 -> 0x50 jmp! +2"
        let found = try family([run(other, ok), run("", ok)], [run("", wrong)])
        #expect(found.reference == 1)
        #expect(found.members[0].verdict.kind == .controlFlow)
        #expect(found.members[0].agreesTo == 60)
        #expect(found.members[2].agreesTo == 120)
        #expect(found.critical == nil)
        // Bad runs that go different ways have no element in common.
        #expect(try family([run("", ok)], [run("", wrong), run("", "branch 0x70 -> 0xa0 jcc! +2")]).critical == nil)
    }

    @Test("an event that all bad runs lack")
    func event() throws {
        let interrupt = "event interrupt ip=0x1f0 info=32 value=0x9000\nbranch 0x1f0 -> 0x9000 none +0\n" + ok
        let found = try family([run("", interrupt), run("", interrupt)], [run("", ok)])
        #expect(found.critical?.verdict == .missingEvent)
        #expect(found.critical?.replay == nil)
    }
}
