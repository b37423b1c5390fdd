// SPDX-License-Identifier: GPL-2.0-or-later

import Foundation
import Testing

/// Compares a text with the golden file of that name in `Snapshots/`.
///
/// With TT_RECORD_SNAPSHOTS=1 in the environment the file is recorded again, and the test fails on purpose: a run that
/// records checks nothing.
func expectSnapshot(_ text: String, _ name: String, sourceLocation: SourceLocation = #_sourceLocation) throws {
    let file = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("Snapshots/\(name)")
    if ProcessInfo.processInfo.environment["TT_RECORD_SNAPSHOTS"] == "1" {
        try FileManager.default.createDirectory(
            at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
        try text.write(to: file, atomically: true, encoding: .utf8)
        Issue.record("recorded Snapshots/\(name)", sourceLocation: sourceLocation)
        return
    }
    let expected = (try? String(contentsOf: file, encoding: .utf8)) ?? ""
    guard text != expected else { return }
    let (ours, theirs) = (text.split(separator: "\n"), expected.split(separator: "\n"))
    let line =
        zip(ours, theirs).enumerated().first { $0.element.0 != $0.element.1 }?.offset ?? min(ours.count, theirs.count)
    Issue.record(
        """
        Snapshots/\(name), line \(line + 1):
          expected: \(line < theirs.count ? theirs[line] : "(end)")
          found:    \(line < ours.count ? ours[line] : "(end)")
        TT_RECORD_SNAPSHOTS=1 records it again.
        """, sourceLocation: sourceLocation)
}
