// SPDX-License-Identifier: GPL-2.0-or-later

import Alignment
import LogFormat
import TestSupport
import Testing

/// Verdicts on small logs that a reader can check by hand.
@Suite("Verdicts")
struct VerdictTests {
    static let start = """
        options kind=recording uuid=00112233445566778899aabbccddeeff features=branches,icount,labels,causes,accesses
        branch 0x1000 -> 0x1100 call! +3
        branch 0x1110 -> 0x1120 jcc! +2
        """

    static let middle = """
        event interrupt ip=0x1120 info=32 value=0x9000
        branch 0x1120 -> 0x9000 none +0
        access port-read ip=0x9004 info=1 address=0x60 value=0x1c
        branch 0x9010 -> 0x1120 iret +4
        """

    static let end = """
        branch 0x1130 -> 0x1005 ret +5
        """

    /// Another path after the middle, without the interrupt.
    static func log(_ parts: String...) -> String { parts.joined(separator: "\n") }

    static var whole: String { log(start, middle, end) }

    func compare(_ original: String, _ replay: String) throws -> AlignmentResult {
        try Pair(original, replay).compareBothWays()
    }

    @Test func identical() throws {
        let alignment = try compare(VerdictTests.whole, VerdictTests.whole)
        #expect(alignment.verdict == .identical)
        #expect(alignment.vcpus.first?.branchesCompared == 5)
        #expect(alignment.vcpus.first?.eventsCompared == 2)
        #expect(alignment.caveatKinds == [.dataNotSeen])
        #expect(alignment.divergence == nil)
    }

    @Test("a branch goes elsewhere")
    func otherTarget() throws {
        let other = VerdictTests.whole.replacingLine("branch 0x1110 -> 0x1120", with: "branch 0x1110 -> 0x1140 jcc! +2")
        let alignment = try compare(VerdictTests.whole, other)
        #expect(alignment.verdict == .controlFlow(.path))
        let divergence = try #require(alignment.divergence)
        #expect(divergence.original == RunPosition(clock: 1, icount: 3, ip: 0x1110))
        #expect(divergence.replay == divergence.original)
        #expect(
            divergence.difference?.fields == [.init(name: "to", original: .address(0x1120), replay: .address(0x1140))])
        #expect(divergence.context.lastBranches.map(\.from) == [0x1000])
        #expect(divergence.context.replay.nextBranches.map(\.to) == [0x1140, 0x9000, 0x1120, 0x1005])
        #expect(divergence.context.original.stack.frames.map(\.target) == [0x1100])
        #expect(alignment.vcpus[0][.path]?.clock == 1)
        #expect(alignment.vcpus[0][.event] == nil)
    }

    @Test("other code at the same addresses")
    func otherLabel() throws {
        let other = VerdictTests.whole.replacingLine("branch 0x1110", with: "branch 0x1110 -> 0x1120 jmp! +2")
        #expect(try compare(VerdictTests.whole, other).verdict == .controlFlow(.instruction))
    }

    @Test("a label that a recorder does not know is benign")
    func unknownLabel() throws {
        let other = VerdictTests.whole.replacingLine("branch 0x1110", with: "branch 0x1110 -> 0x1120 unknown +2")
        let alignment = try compare(VerdictTests.whole, other)
        #expect(alignment.verdict == .identical)
        #expect(alignment.statistics.benign == ["unseen-instruction": 1])
    }

    @Test("without rules, the same label is a difference")
    func noRules() throws {
        let other = VerdictTests.whole.replacingLine("branch 0x1110", with: "branch 0x1110 -> 0x1120 unknown +2")
        var options = AlignmentOptions()
        options.rules = []
        #expect(try Pair(VerdictTests.whole, other).compareBothWays(options).verdict == .controlFlow(.instruction))
    }

    @Test("the same branches, more instructions")
    func moreInstructions() throws {
        let other = VerdictTests.whole.replacingLine("branch 0x1110", with: "branch 0x1110 -> 0x1120 jcc! +9")
        let alignment = try compare(VerdictTests.whole, other)
        #expect(alignment.verdict == .controlFlow(.instructionCount))
        #expect(alignment.divergence?.difference?.clock == 1)
    }

    @Test("a missing interrupt: the verdict names the event, not the branch that it causes")
    func missingInterrupt() throws {
        let alignment = try compare(VerdictTests.whole, VerdictTests.log(VerdictTests.start, VerdictTests.end))
        #expect(alignment.verdict == .missingEvent)
        let difference = try #require(alignment.divergence?.difference)
        #expect(difference.clock == 2)
        guard case .event(let event) = difference.original else {
            Issue.record("an event is expected")
            return
        }
        #expect(event.kind == .interrupt)
        #expect(difference.replay == nil)
        #expect(alignment.vcpus[0][.path]?.clock == 2)
    }

    @Test func extraInterrupt() throws {
        let alignment = try compare(VerdictTests.log(VerdictTests.start, VerdictTests.end), VerdictTests.whole)
        #expect(alignment.verdict == .extraEvent)
        #expect(alignment.divergence?.difference?.clock == 2)
    }

    @Test("an interrupt comes two branches late, and its effects come late too")
    func lateInterrupt() throws {
        let before = "repeat 6 {\nbranch 0x1130 -> 0x1120 jcc! +5\n}"
        let late = VerdictTests.log(
            VerdictTests.start, "branch 0x1130 -> 0x1120 jcc! +5\nbranch 0x1130 -> 0x1120 jcc! +5",
            VerdictTests.middle, "repeat 4 {\nbranch 0x1130 -> 0x1120 jcc! +5\n}", VerdictTests.end)
        let alignment = try compare(
            VerdictTests.log(VerdictTests.start, VerdictTests.middle, before, VerdictTests.end), late)
        #expect(alignment.verdict == .movedEvent(transitions: 2, instructions: 10))
        #expect(alignment.divergence?.difference?.clock == 2)
    }

    @Test("a replay that stops where the original continues with an event has ended early")
    func endsBeforeEvent() throws {
        for end in ["run-end hung", "comparable-end +1 cut"] {
            let short = VerdictTests.log(VerdictTests.start, end)
            #expect(try compare(VerdictTests.whole + "\ncomparable-end shutdown", short).verdict == .replayEndedEarly)
        }
    }

    @Test func otherPayload() throws {
        let other = VerdictTests.whole.replacingLine(
            "access port-read", with: "access port-read ip=0x9004 info=1 address=0x60 value=0x9c")
        let alignment = try compare(VerdictTests.whole, other)
        #expect(alignment.verdict == .payload)
        #expect(
            alignment.divergence?.difference?.fields == [
                .init(name: "value", original: .word(0x1c), replay: .word(0x9c))
            ])
        #expect(alignment.divergence?.context.lastInputs.first?.original.kind == .interrupt)
    }

    @Test("a state digest that differs comes before everything else at its clock")
    func otherState() throws {
        func log(_ registers: String, _ memory: String, _ target: String) -> String {
            """
            options features=branches,icount,labels,state,state-memory
            branch 0x1000 -> 0x1100 call! +3
            event state info=0x11 value=\(registers) value=\(memory)
            branch 0x1110 -> \(target) jcc! +2
            """
        }
        let alignment = try compare(log("1", "2", "0x1120"), log("1", "3", "0x1140"))
        #expect(alignment.verdict == .state)
        #expect(alignment.divergence?.difference?.fields.map(\.name) == ["memory"])
        #expect(alignment.vcpus[0][.path]?.clock == 1)
    }

    @Test("two state digests are compared by the words that both have")
    func stateProjection() throws {
        func log(_ line: String) -> String {
            """
            options features=branches,icount,labels,state
            event state \(line)
            branch 0x1000 -> 0x1100 call! +3
            """
        }
        #expect(try compare(log("info=3 value=7 value=8"), log("info=2 value=8")).verdict == .identical)
        #expect(try compare(log("info=3 value=7 value=8"), log("info=2 value=9")).verdict == .state)
    }

    @Test func replayEndsEarly() throws {
        let short = VerdictTests.log(VerdictTests.start, VerdictTests.middle, "run-end hung nothing moved for 3 s")
        let alignment = try compare(VerdictTests.whole, short)
        #expect(alignment.verdict == .replayEndedEarly)
        #expect(alignment.divergence?.original.clock == 4)
        #expect(alignment.divergence?.endReason == "hung: nothing moved for 3 s")
    }

    /// A recorder that checks its replay ends the log with the exit that differs.
    @Test func aReplayThatItsEngineEndedHasNotEndedEarly() throws {
        func log(_ middle: String, _ end: String) -> String {
            """
            options features=causes clock=synchronous-entries recorder=xen mode=events
            event exit clock=0 ip=0x1000 registers=1 info=0x1010000 value=2
            \(middle)
            \(end)
            """
        }
        let whole = log(
            "event interrupt clock=1 info=0xf3\nevent exit clock=1 ip=0x2000 registers=2 info=0x4010000 value=2",
            "event exit clock=2 ip=0x2100 registers=3 info=0x9010000 value=1\nrun-end guest-shutdown")
        let lost = try compare(
            whole, log("event exit clock=1 ip=0x3000 registers=4 info=0x1000000", "run-end diverged x"))
        #expect(lost.verdict == .missingEvent)
        #expect(lost.divergence?.original.clock == 1)
        #expect(
            try compare(whole, log("event interrupt clock=1 info=0xf3", "run-end hung x")).verdict == .replayEndedEarly)
    }

    @Test func digestsOfMemoryNameThePage() throws {
        func log(_ digest: Int) -> String {
            "options features=causes,state-memory clock=synchronous-entries recorder=xen mode=events\n"
                + "event page-digests clock=5 address=0x200 value=1 value=\(digest) value=3"
        }
        let alignment = try compare(log(2), log(7))
        #expect(alignment.verdict == .payload)
        #expect(alignment.divergence?.difference?.fields.map(\.name) == ["page 0x201"])
    }

    @Test func originalEndsEarly() throws {
        let short = VerdictTests.log(VerdictTests.start, VerdictTests.middle)
        #expect(try compare(short, VerdictTests.whole).verdict == .originalEndedEarly)
    }

    @Test("what comes after a comparable end is not compared")
    func comparableEnd() throws {
        func log(_ tail: String) -> String { VerdictTests.log(VerdictTests.whole, "comparable-end shutdown", tail) }
        let first = log("branch 0x1 -> 0x2\nbranch 0x3 -> 0x4")
        let second = log("event interrupt info=3\nbranch 0x5 -> 0x6")
        #expect(try compare(first, second).verdict == .identical)
        #expect(try compare(first, VerdictTests.whole).verdict == .identical)
        let early = VerdictTests.log(VerdictTests.start, "comparable-end shutdown", VerdictTests.middle)
        #expect(try compare(first, early).verdict == .replayEndedEarly)
    }

    @Test("events at the comparable end's clock count if they begin before it")
    func eventsAtComparableEnd() throws {
        func log(_ info: String) -> String {
            VerdictTests.log(
                VerdictTests.start, "access rdtsc ip=0x1120 \(info)", "access rdtsc ip=0x1128 +4 info=\(info.count)",
                "comparable-end +3 shutdown")
        }
        #expect(try compare(log("info=0"), log("info=10")).verdict == .payload)
        #expect(try compare(log("info=1"), log("info=1 ")).verdict == .identical)
    }
}

extension String {
    /// The text in which each line with a beginning is replaced.
    func replacingLine(_ beginning: String, with line: String) -> String {
        split(separator: "\n", omittingEmptySubsequences: false)
            .map { $0.hasPrefix(beginning) ? Substring(line) : $0 }.joined(separator: "\n")
    }
}
