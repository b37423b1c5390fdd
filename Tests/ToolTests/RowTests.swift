// SPDX-License-Identifier: GPL-2.0-or-later

import Formatting
import Foundation
import Reporting
import Symbolize
import TestSupport
import Testing

@testable import LogViews

/// The pieces of rows.
@Suite struct RowTests {
    private func text(_ body: (inout TextBuffer) -> Void) -> String {
        var text = TextBuffer(capacity: 1)
        body(&text)
        return text.withBytes { String(decoding: $0, as: UTF8.self) }
    }

    @Test func numbersComeOutAsSwiftPrintsThem() {
        var numbers = RandomNumbers(seed: 5)
        var values: [UInt64] = [0, 1, 9, 10, 99, 100, 101, 999, 1000, 0xf, 0x10, 0xff, 0x100, .max, .max - 1, 1 << 63]
        for digits in 1...19 { values.append((0..<digits).reduce(1) { value, _ in value &* 10 }) }
        for _ in 0..<2000 { values.append(numbers.next() >> numbers.below(64)) }
        for value in values {
            #expect(text { $0.appendDecimal(value) } == String(value))
            #expect(text { $0.appendAddress(value) } == "0x" + String(value, radix: 16))
            let hex = String(value, radix: 16)
            #expect(text { $0.appendFullAddress(value) } == "0x" + String(repeating: "0", count: 16 - hex.count) + hex)
            let padded = text { $0.appendDecimal(value, width: 12) }
            #expect(padded.count == max(12, String(value).count))
            #expect(padded.drop { $0 == " " } == String(value))
        }
    }

    /// A cache that is cleared often returns the same as one that is not.
    @Test func smallCachesForgetAndKnowAgain() throws {
        let symbolizer = Symbolizer()
        try symbolizer.add("/proc/self/exe")
        let code = try #require(symbolizer.modules.first?.range)
        var numbers = RandomNumbers(seed: 6)
        var small = PlaceCache(symbolizer, style: .json, placeLimit: 3)
        var large = PlaceCache(symbolizer, style: .json)
        var named = 0
        for _ in 0..<30 {
            let address = code.lowerBound + numbers.below(UInt64(code.count))
            for _ in 0..<3 {
                let ours = text { small.append(address, to: &$0) }
                let theirs = text { large.append(address, to: &$0) }
                #expect(ours == theirs)
                #expect(ours == PlaceStyle.json.render(symbolizer.symbolize(address)))
                named += ours == "null" ? 0 : 1
            }
        }
        #expect(named > 0)
    }

    @Test func longNamesAreShortenedAndStayJSON() throws {
        let frame = SourceFrame(
            function: String(repeating: "\"", count: 3_000), file: String(repeating: "é", count: 500), line: 3,
            isInlined: true)
        let place = Symbolized(
            module: "m", symbol: String(repeating: "\u{1}", count: 7_000), offset: 1,
            frames: Array(repeating: frame, count: 300))
        let text = PlaceStyle.json.render(place)
        #expect(text.utf8.count <= PlaceCache.lengthLimit)
        let document = try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any]
        #expect((document?["frames"] as? [Any])?.count == 24)
        for style in [PlaceStyle.text(lines: true), .csv] {
            #expect(style.render(place).utf8.count <= PlaceCache.lengthLimit)
        }
        #expect(PlaceStyle.json.render(nil) == "null")
        #expect(PlaceStyle.text(lines: true).render(nil) == "")
        #expect(PlaceStyle.csv.render(nil) == ",")
    }

    @Test func controlCharactersAreWrittenOut() {
        #expect("plain é".onOneLine == "plain é")
        #expect("a\nb\u{1b}[m\u{7f}\u{9b}".onOneLine == "a\\x0ab\\x1b[m\\x7f\\x9b")
    }

    @Test func directionMarksAreWrittenOut() {
        #expect("a\u{202e}b\u{2028}".onOneLine == "a\\u{202e}b\\u{2028}")
    }

    /// A combining mark joins a quote to one character of Swift, and leaves it a quote to everybody else.
    @Test func quotesWithCombiningMarksAreQuotes() {
        #expect(RowText.csv("a\"\u{301},b") == "\"a\"\"\u{301},b\"")
        #expect(ShellWord.quoted("a'\u{301}; rm b") == "'a'\\''\u{301}; rm b'")
        #expect(RowText.json("a\"\u{301}\n\u{1}") == "\"a\\\"\u{301}\\n\\u0001\"")
    }

    @Test func documentsBeginWithTheirSchema() throws {
        struct Document: Encodable {
            var answer = [1, 2]
            var schema = "a schema"
            var version = 3
        }
        #expect(
            try JSONText.document(Document()) == """
                {
                  "schema" : "a schema",
                  "version" : 3,
                  "answer" : [
                    1,
                    2
                  ]
                }
                """)
    }
}
