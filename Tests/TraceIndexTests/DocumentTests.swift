// SPDX-License-Identifier: GPL-2.0-or-later

import Foundation
import TestSupport
import Testing
import TraceIndex

/// docs/sql.md lists the views and columns that the code makes.
@Suite struct DocumentTests {
    private static let marker = "<!-- views -->\n"

    /// TT_RECORD_SNAPSHOTS=1 records the list again, and fails on purpose.
    @Test func theDocumentListsTheViews() throws {
        let url = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().appendingPathComponent("docs/sql.md")
        let text = try String(contentsOf: url, encoding: .utf8)
        let place = try #require(text.range(of: DocumentTests.marker))
        let expected = "\n" + SchemaText.markdown
        if ProcessInfo.processInfo.environment["TT_RECORD_SNAPSHOTS"] != nil {
            try (text[..<place.upperBound] + expected).write(to: url, atomically: true, encoding: .utf8)
            Issue.record("docs/sql.md written")
            return
        }
        #expect(text[place.upperBound...] == expected)
    }

    @Test func theJSONDocumentIsJSON() throws {
        let document = try #require(
            JSONSerialization.jsonObject(with: Data(SchemaText.json.utf8)) as? [String: Any])
        let views = try #require(document["views"] as? [[String: Any]])
        #expect(views.count == SchemaText.views.count)
    }

    @Test func namesAreUnique() {
        let names = SchemaText.views.map(\.name)
        #expect(Set(names).count == names.count)
        for view in SchemaText.views {
            let columns = view.columns.map(\.name)
            #expect(Set(columns).count == columns.count, "\(view.name)")
        }
    }
}
