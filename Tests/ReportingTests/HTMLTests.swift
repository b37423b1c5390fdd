// SPDX-License-Identifier: GPL-2.0-or-later

import Alignment
import Foundation
import LogFormat
import TestSupport
import Testing

@testable import Reporting

/// The page of HTML, as far as it needs no browser (Tests/Browser has the rest).
@Suite("HTML reports") struct HTMLTests {
    /// Aligns two assembled logs and makes the document of a report in a file.
    private func document(_ original: String, _ replay: String, context: Int = 4) throws -> DivergenceDocument {
        let directory = try TemporaryDirectory()
        let paths = (directory.file("a.log"), directory.file("b.log"))
        try assemble(original, to: paths.0)
        try assemble(replay.replacingOccurrences(of: "kind=recording", with: "kind=replay"), to: paths.1)
        let logs = (try LogFile(path: paths.0), try LogFile(path: paths.1))
        var options = AlignmentOptions()
        options.contextCount = context
        return DivergenceDocument(
            try align(logs.0, logs.1, options: options), original: ReportedRun(logs.0), replay: ReportedRun(logs.1),
            content: DocumentContent(hasDetails: true))
    }

    private var whole: String { ReportTests.code + "\n" + ReportTests.end }
    private var other: String { ReportTests.code + "\n" + ReportTests.otherEnd }

    @Test func textIsEscapedByCodeUnits() {
        // As characters, `<` and `"` with a combining mark are others than `<` and `"`.
        #expect(HTMLText.escaped("<\u{301}a \"\u{301}'&>") == "&lt;\u{301}a &quot;\u{301}&#39;&amp;&gt;")
        var json = ScriptJSON()
        json.string("</script><!--\u{2028}\"\\\u{0}é😀&")
        #expect(
            !json.text.dropFirst().dropLast().contains { "<>&\"".contains($0) }
                && json.text.utf8.allSatisfy { $0 < 0x7f })
        let read = try? JSONDecoder().decode(String.self, from: Data(json.text.utf8))
        #expect(read == "</script><!--\u{2028}\"\\\u{0}é😀&")
    }

    @Test func thePageIsWholeAndItsPolicyNamesItsOwnParts() throws {
        let page = try HTMLReport(document(whole, other)).text()
        #expect(page.hasPrefix("<!DOCTYPE html>\n<html lang=\"en\">") && page.hasSuffix("</html>\n"))
        // A name that a template asks for and that has no value prints `false`.
        #expect(!page.contains(">false<") && !page.contains(" false\"") && !page.contains("{{"))
        #expect(page.contains("default-src 'none'; style-src 'sha256-"))
        for word in ["http:", "https:", "url(//", "@import", " src=", "<link"] {
            let places = page.components(separatedBy: word).count - 1
            // The name space of SVG is no address that a browser opens.
            #expect(places == page.components(separatedBy: "\(word)//www.w3.org/2000/svg").count - 1, "\(word)")
        }
    }

    /// The clock of Xen's logs counts exits.
    @Test func thePageSaysWhatPositionsCount() throws {
        for (clock, word) in [("", "brctr"), ("clock=synchronous-entries ", "exit")] {
            let logs = [whole, other].map { $0.replacingOccurrences(of: "options ", with: "options \(clock)") }
            let page = try HTMLReport(document(logs[0], logs[1])).text()
            #expect(
                page.contains("<body data-clock=\"\(word)\">") && page.contains("<th scope=\"col\">from \(word)</th>"))
        }
    }

    @Test func everyVerdictHasAPage() throws {
        for replay in [whole, other, ReportTests.code] {
            let document = try document(whole, replay)
            let page = try HTMLReport(document).text()
            #expect(
                page.contains(HTMLText.escaped(document.title)) && page.contains(HTMLText.escaped(document.summary)))
        }
    }

    @Test func rowsAreAligned() throws {
        let document = try document(whole, other)
        let divergence = try #require(document.vcpus.first?.divergence)
        let rows = StreamRows(divergence)
        let common = rows.rows[..<rows.divergenceRow]
        #expect(common.allSatisfy { $0.state == .both && $0.replay == nil })
        #expect(common.count { $0.original?.list == .commonBranches } == divergence.lastCommonBranches.count)
        let next = rows.rows[rows.divergenceRow...]
        #expect(next.first?.state == .different)
        #expect(next.compactMap(\.original).filter { $0.list == .originalBranches }.map(\.index) == [0, 1, 2])
        #expect(next.compactMap(\.replay).filter { $0.list == .replayBranches }.map(\.index) == [0, 1])
        #expect(next.contains { $0.replay?.list == .replayEvents && $0.state == .different })
    }

    @Test func theStripSaysWhereTheLogsDiffer() throws {
        let same = try #require(try document(whole, whole).strip)
        #expect(same.branches.map(\.state) == [.equal] && same.from == Counter(0))
        let different = try #require(try document(whole, other).strip)
        #expect(different.branches.map(\.state) == [.different])
        #expect(different.branches.first?.original == Counter(12) && different.branches.first?.replay == Counter(11))
    }

    @Test func theCallsOfTheWindowAddUp() throws {
        let document = try document(whole, other)
        let window = try #require(document.vcpus.first?.divergence?.window)
        #expect(window.unit == "instructions" && window.originalBranches == Counter(3))
        func check(_ node: DivergenceDocument.CallWindow.Node) {
            #expect(node.children.reduce(0) { $0 + $1.original.rawValue } <= node.original.rawValue)
            #expect(node.children.reduce(0) { $0 + $1.replay.rawValue } <= node.replay.rawValue)
            node.children.forEach(check)
        }
        check(window.root)
        #expect(try DivergenceDocument(json: document.json()) == document)
    }

    @Test func sourcesOutsideTheTreeAreNotRead() throws {
        let directory = try TemporaryDirectory()
        let tree = directory.file("tree")
        for name in ["tree/sub", "secret"] {
            try FileManager.default.createDirectory(atPath: directory.file(name), withIntermediateDirectories: true)
        }
        try "int a;\n\tint b;\n".write(toFile: "\(tree)/sub/a.c", atomically: true, encoding: .utf8)
        try "secret".write(toFile: directory.file("secret/key.c"), atomically: true, encoding: .utf8)
        symlink(directory.file("secret/key.c"), "\(tree)/link.c")
        let sources = SourceTree(directories: [tree], prefixes: [("/build", tree)])
        for name in ["/build/sub/a.c", "/elsewhere/sub/a.c", "sub/a.c", "./sub/../sub/a.c", "a/b/sub/a.c"] {
            #expect(sources.lines(of: name)?.lines.first == "int a;", "\(name)")
        }
        for name in ["../secret/key.c", "/build/../secret/key.c", "link.c", "/build/link.c", "sub", "", "/", "none.c"] {
            #expect(sources.lines(of: name) == nil, "\(name)")
        }
        #expect(SourceTree.shown("\tint b;") == "        int b;")
    }
}
