// SPDX-License-Identifier: GPL-2.0-or-later

import Foundation
import TestSupport
import Testing

/// `tt-analyze report`: a file with the same contents as the output of `diverge`.
@Suite("Reports of the tool") struct ReportToolTests {
    private static let inputs = [
        FixtureTests.path("recording.log"), FixtureTests.path("extra-turn.log"), "--symbols",
        FixtureTests.path("tiny.elf"), "--replay-symbols", FixtureTests.path("tiny-extra-turn.elf"),
    ]

    @Test func theNameDecidesAboutTheFormat() throws {
        let directory = try TemporaryDirectory()
        for (name, options, format) in [
            ("bug.json", [], "json"), ("bug.html", [], "html"), ("bug.txt", [], "text"),
            ("bug.out", ["--format", "json"], "json"),
        ] {
            let file = directory.file(name)
            let result = try Tool.analyze.run(["report"] + Self.inputs + options + ["-o", file])
            #expect(result.status == 1 && result.output.isEmpty, "\(result.errors)")
            if format == "html" {
                let page = try String(contentsOfFile: file, encoding: .utf8)
                #expect(page.hasPrefix("<!DOCTYPE html>") && page.hasSuffix("</html>\n"))
                continue
            }
            let shown = try Tool.analyze.run(["diverge"] + Self.inputs + ["--context", "500", "--format", format])
            if format == "text" {
                let text = try String(contentsOfFile: file, encoding: .utf8)
                #expect(text.hasPrefix("control flow differs\n"))
                #expect(text.split(separator: "\n").count > 20)
            } else {
                try Self.expectMembers(of: shown.output, in: try String(contentsOfFile: file, encoding: .utf8))
            }
        }
    }

    /// Each member of the first document is in the second one with the same value.
    private static func expectMembers(of first: String, in second: String) throws {
        let documents = try [first, second].map { text in
            try #require(try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: NSObject])
        }
        #expect(documents[0].count > 10)
        for (key, value) in documents[0] where key != "vcpus" { #expect(documents[1][key] == value, "\(key)") }
    }

    @Test func aReportReplacesAReportAndNeverAnInput() throws {
        let directory = try TemporaryDirectory()
        let log = directory.file("log.txt")
        try FileManager.default.copyItem(atPath: FixtureTests.path("recording.log"), toPath: log)
        let file = directory.file("bug.txt")
        for _ in 0..<2 {
            try Tool.analyze.run("report", log, log, "-o", file)
            #expect(try String(contentsOfFile: file, encoding: .utf8).hasPrefix("identical\n"))
        }
        let result = try Tool.analyze.run(["report", log, log, "-o", log])
        #expect(result.status == 2 && result.errors.contains("is the input"), "\(result.errors)")
        #expect(FileManager.default.contentsEqual(atPath: log, andPath: FixtureTests.path("recording.log")))
        let unknown = try Tool.analyze.run(["report", log, log, "-o", directory.file("bug.doc")])
        #expect(unknown.status == 2 && unknown.errors.contains(".json"), "\(unknown.errors)")
        let nowhere = try Tool.analyze.run(["report", log, log, "-o", directory.file("no/bug.txt")])
        #expect(nowhere.status == 2 && nowhere.errors.contains("/no: cannot be created"), "\(nowhere.errors)")
    }
}
