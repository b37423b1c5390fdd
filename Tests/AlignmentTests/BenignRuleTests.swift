// SPDX-License-Identifier: GPL-2.0-or-later

import Alignment
import LogFormat
import Reporting
import TestSupport
import Testing

@Suite("Rules about benign differences, and ignored code")
struct BenignRuleTests {
    /// A pair of lines for each standard rule: the logs differ in this line only, and only the rule allows it.
    static let cases: [String: (String, String)] = [
        "unseen-instruction": ("branch 0x1110 -> 0x1120 jcc! +2", "branch 0x1110 -> 0x1120 unknown +2"),
        "unseen-instruction-of-event": (
            "event discontinuity ip=0x1120 info=0 value=0x9000", "event discontinuity ip=0x1120 info=31 value=0x9000"
        ),
        "unknown-number": (
            "event interrupt ip=0x1120 info=32 value=0x9000", "event interrupt ip=0x1120 info=4294967295 value=0x9000"
        ),
    ]

    private func log(_ line: String) -> String {
        """
        options features=branches,icount,labels,causes,accesses,access-values
        branch 0x1000 -> 0x1100 call! +3
        \(line)
        branch 0x1120 -> 0x1140 jmp! +4
        """
    }

    @Test("each standard rule allows its difference, is counted, and is needed", arguments: BenignRule.standard)
    func standard(rule: BenignRule) throws {
        let (a, b) = try #require(BenignRuleTests.cases[rule.name], "\(rule.name) has no case")
        let pair = try Pair(log(a), log(b))
        let allowed = try pair.compareBothWays()
        #expect(allowed.verdict == .identical)
        #expect(allowed.statistics.benign == [rule.name: 1])
        #expect(allowed.caveats.contains { $0.kind == .benign && $0.text.contains(rule.reason) })
        var options = AlignmentOptions()
        options.rules = BenignRule.standard.filter { $0 != rule }
        #expect(try pair.compareBothWays(options).verdict.exitStatus == 1)
    }

    @Test("rules of a file: contents of events, by kind and by address")
    func file() throws {
        let rules = try BenignRule.rules(
            json: """
                {"rules": [
                    {"name": "clock", "reason": "the clock runs", "contents": ["rdtsc"]},
                    {"name": "rtc", "reason": "the RTC is the host's", "contents": ["port-read"], "address": "0x71"}
                ]}
                """)
        var options = AlignmentOptions()
        options.rules = BenignRule.standard + rules
        func access(_ port: Int, _ value: Int) -> String {
            log("access port-read ip=0x1104 info=1 address=\(port) value=\(value)")
        }
        let rtc = try Pair(access(0x71, 1), access(0x71, 2)).compareBothWays(options)
        #expect(rtc.verdict == .identical)
        #expect(rtc.statistics.benign == ["rtc": 1])
        #expect(try Pair(access(0x60, 1), access(0x60, 2)).compareBothWays(options).verdict == .payload)
        #expect(try Pair(access(0x71, 1), access(0x71, 2)).compareBothWays().verdict == .payload)
        let tsc = (log("access rdtsc ip=0x1104 value=1"), log("access rdtsc ip=0x1104 value=2"))
        #expect(try Pair(tsc.0, tsc.1).compareBothWays(options).statistics.benign == ["clock": 1])
        // A rule is never about a position.
        let moved = log("access rdtsc ip=0x1104 +1 value=1")
        #expect(try Pair(tsc.0, moved).compareBothWays(options).verdict.exitStatus == 1)
    }

    @Test(
        "files that are no rules",
        arguments: [
            ("", "no file of rules"), ("{\"rules\": 3}", "no file of rules"),
            ("{\"rules\": [{\"name\": \"a\", \"reason\": \"b\"}]}", "exactly one of"),
            ("{\"rules\": [{\"name\": \"a\", \"reason\": \"b\", \"label\": \"c\"}]}", "no branch class"),
            ("{\"rules\": [{\"name\": \"a\", \"reason\": \"b\", \"contents\": [\"x\"]}]}", "no kind of event"),
            ("{\"rules\": [{\"name\": \"a\", \"reason\": \"b\", \"contents\": []}]}", "names no kind"),
            (
                "{\"rules\": [{\"name\": \"unknown-number\", \"reason\": \"b\", \"label\": \"ret\"}]}",
                "the name is taken"
            ),
        ])
    func badFile(json: String, problem: String) {
        let error = #expect(throws: BenignRuleError.self) { try BenignRule.rules(json: json) }
        #expect(error.map { "\($0)".contains(problem) } == true, "\(String(describing: error))")
    }

    // MARK: Ignored code

    /// A function at 0x5000 that loops some times, makes an access in each turn, and calls another function.
    private func work(_ turns: [Int], _ end: String) -> String {
        var lines = ["options features=branches,icount,labels,accesses,access-values"]
        for (call, count) in turns.enumerated() {
            lines.append("branch 0x1000 -> 0x5000 call! +3")
            for turn in 0..<count {
                lines.append("access rdtsc ip=0x5008 value=\(turn * 7 + call) +2")
                lines.append("branch 0x5010 -> 0x6000 call! +4")
                lines.append("branch 0x6010 -> 0x5015 ret +4")
                lines.append("branch 0x5020 -> 0x5008 jcc! +4")
            }
            lines.append("branch 0x5030 -> 0x1005 ret +4")
            lines.append("access port-read ip=0x1006 info=1 address=0x60 value=\(call) +1")
            lines.append("branch 0x1010 -> 0x1000 jmp! +2")
        }
        lines.append(OddLogTests.distinct(0, 40))
        lines.append(end)
        return lines.joined(separator: "\n")
    }

    private var ignoring: AlignmentOptions {
        var options = AlignmentOptions()
        options.ignoredCode = [IgnoredCode(name: "random", original: [0x5000..<0x5040], replay: [0x5000..<0x5040])]
        return options
    }

    @Test("a function that loops more often: passed at each call, with its events and its callees")
    func ignoredFunction() throws {
        let end = "branch 0x70 -> 0x80 ret +2"
        let pair = try Pair(work([2, 3, 4], end), work([2, 5, 1], end))
        #expect(try pair.compareBothWays().verdict.exitStatus == 1)
        let alignment = try pair.compareBothWays(ignoring)
        #expect(alignment.verdict == .identical)
        #expect(alignment.statistics.ignored == ["random": 2])
        #expect(alignment.caveats.contains { $0.kind == .ignored && $0.text.contains("2 differences") })
        // The records after it are compared at the shifted clocks.
        let other = try Pair(work([2, 3, 4], end), work([2, 5, 1], "branch 0x70 -> 0x90 ret +2"))
        let divergence = try #require(try other.compareBothWays(ignoring).divergence)
        #expect(divergence.verdict == .controlFlow(.path))
        #expect(divergence.original.ip == 0x70)
        #expect(divergence.replay.clock == divergence.original.clock - 3)
    }

    @Test("an input after ignored code is compared")
    func inputAfterIgnoredCode() throws {
        let end = "branch 0x70 -> 0x80 ret +2"
        let changed = work([2, 5, 1], end).replacingOccurrence(of: "address=0x60 value=2", with: "address=0x60 value=9")
        let alignment = try Pair(work([2, 3, 4], end), changed).compareBothWays(ignoring)
        #expect(alignment.verdict == .payload)
        #expect(alignment.divergence?.original.ip == 0x1006)
    }
}

extension String {
    /// The text with the first occurrence of a part replaced.
    fileprivate func replacingOccurrence(of part: String, with other: String) -> String {
        guard let range = firstRange(of: part) else { return self }
        return replacingCharacters(in: range, with: other)
    }

    private func firstRange(of part: String) -> Range<String.Index>? {
        indices.first { self[$0...].hasPrefix(part) }.map { $0..<index($0, offsetBy: part.count) }
    }

    private func replacingCharacters(in range: Range<String.Index>, with other: String) -> String {
        self[..<range.lowerBound] + other + self[range.upperBound...]
    }
}
