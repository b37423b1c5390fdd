// SPDX-License-Identifier: GPL-2.0-or-later

import Alignment
import Foundation
import TestSupport
import Testing

@Suite("docs/divergence.md and the verdicts")
struct VerdictDocumentationTests {
    @Test("The page has a row for each verdict", arguments: Verdict.Kind.allCases)
    func verdicts(_ kind: Verdict.Kind) throws {
        let page = try String(contentsOfFile: packageRoot + "/docs/divergence.md", encoding: .utf8)
        #expect(page.contains("| `\(kind.rawValue)` |"))
    }
}
