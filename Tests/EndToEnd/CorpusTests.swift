// SPDX-License-Identifier: GPL-2.0-or-later

import RunDirectory
import TestSupport
import Testing

@testable import ReplaySession

/// The quick part of the corpus of divergences (Tests/Corpus): pairs of runs that differ in a known way.
extension EndToEndTests {
    @Test func eachQuickCaseOfTheCorpusIsAnsweredRight() throws {
        let scratch = try temporaryDirectory()
        try #require(!Products.plugin.isEmpty)
        let directory = Products.tool("").dropLast()
        let result = try run(
            "/usr/bin/env",
            [
                "TT_BIN=\(directory)", "TTD_PLUGIN=\(Products.plugin)", "python3",
                "\(Products.root)/Tests/Corpus/corpus.py",
                "--quick", "--work", scratch.file("corpus"),
            ], seconds: 300)
        #expect(result.status == 0, "\(result)")
        let last = result.out.split(separator: "\n").last ?? ""
        let cases = Int(last.prefix { $0.isNumber }) ?? 0
        #expect(cases >= 12, "\(result)")
        #expect(!result.out.contains("**no**"), "\(result)")
    }
}
