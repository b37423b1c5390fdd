// SPDX-License-Identifier: GPL-2.0-or-later

import Alignment
import LogFormat
import Reporting
import TestSupport
import Testing

@testable import Zoom

/// The zoom's part of reports: what a guest wrote is escaped, turns of a loop are folded, one side alone is named.
struct ZoomReportTests {
    private func document(_ result: ZoomResult) throws -> DivergenceDocument {
        let directory = try temporaryDirectory()
        let paths = (directory.file("original.log"), directory.file("replay.log"))
        try assemble(ReportTests.code + "\n" + ReportTests.end, to: paths.0)
        try assemble(ReportTests.code + "\n" + ReportTests.otherEnd, to: paths.1)
        let logs = (try LogFile(path: paths.0), try LogFile(path: paths.1))
        let runs = (ReportedRun(logs.0), ReportedRun(logs.1))
        let document = DivergenceDocument(
            try align(logs.0, logs.1), original: runs.0, replay: runs.1, content: DocumentContent(zoom: result))
        // What a reader of the JSON sees.
        return try DivergenceDocument(json: try document.json())
    }

    private static let hostile = ZoomResult.Task(
        name: "a\u{1b}[2Jb\n</p>", process: 7, group: 8, program: "/<script>\u{202e}x")

    @Test func textsOfTheGuestAreEscaped() throws {
        var result = ZoomResult()
        result.running = (Self.hostile, nil)
        let document = try document(result)
        #expect(document.zoom?.running?.original?.name == Self.hostile.name)
        let text = document.text()
        #expect(!text.contains("\u{1b}") && !text.contains("\u{202e}"), "\(text)")
        let words = text.split(whereSeparator: \.isWhitespace).joined(separator: " ")
        #expect(words.contains("running in the original: a") && words.contains("pid 7 of process 8"), "\(text)")
        let page = try HTMLReport(document).text()
        #expect(!page.contains("<script>\u{202e}") && !page.contains("b\n</p>") && page.contains("&lt;script"))
    }

    @Test func turnsOfALoopAreFolded() throws {
        var result = ZoomResult()
        result.onlySide = .replay
        let addresses = [0x10, 0x20, 0x20, 0x20, 0x20, 0x20, 0x30, 0x30] as [UInt64]
        result.chain = addresses.enumerated().map { number, ip in
            var link = ZoomResult.Link(role: .compute, index: number, icount: nil, ip: ip, instruction: "add")
            (link.register, link.replay) = ("rax", UInt64(number))
            return link
        }
        let text = try document(result).text()
        #expect(text.contains("the replay run again"), "\(text)")
        #expect(text.contains("… 3 more turns of it"), "\(text)")
        for shown in ["0x0", "0x1", "0x5", "0x6", "0x7"] {
            #expect(text.contains("rax: \(shown)\n"), "\(shown) in \(text)")
        }
        for hidden in ["0x2", "0x3", "0x4"] { #expect(!text.contains("rax: \(hidden)\n"), "\(hidden) in \(text)") }
    }

    @Test func theBranchThatWasFoundIsNamed() throws {
        var result = ZoomResult()
        result.parting = .init(ip: 0x1234, original: 0x1236, replay: 0x1300, icount: 77, clock: 11)
        let document = try document(result)
        #expect(document.zoom?.branch?.brctr?.rawValue == 11)
        let text = document.text().split(whereSeparator: \.isWhitespace).joined(separator: " ")
        #expect(text.contains("the paths part after 0x1234 brctr 11 icount 77: 0x1236 != 0x1300"), "\(text)")
    }
}
