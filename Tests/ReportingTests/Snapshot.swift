// SPDX-License-Identifier: GPL-2.0-or-later

import Foundation
import Testing

/// Compares a text with the golden file of a name. With `TT_RECORD_SNAPSHOTS=1` it writes the file instead and fails the
/// test, so that the variable is not left set.
func expectSnapshot(_ text: String, _ name: String, sourceLocation: SourceLocation = #_sourceLocation) {
    let path = URL(fileURLWithPath: #filePath).deletingLastPathComponent().path + "/Snapshots/\(name)"
    if ProcessInfo.processInfo.environment["TT_RECORD_SNAPSHOTS"] != nil {
        let directory = URL(fileURLWithPath: path).deletingLastPathComponent()
        try? FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        do {
            try Data(text.utf8).write(to: URL(fileURLWithPath: path))
            Issue.record("\(name) was recorded", sourceLocation: sourceLocation)
        } catch {
            Issue.record("\(name) cannot be written: \(error)", sourceLocation: sourceLocation)
        }
        return
    }
    guard let golden = try? String(contentsOfFile: path, encoding: .utf8) else {
        Issue.record("no golden file \(name): record it with TT_RECORD_SNAPSHOTS=1", sourceLocation: sourceLocation)
        return
    }
    let (expected, found) = (golden.components(separatedBy: "\n"), text.components(separatedBy: "\n"))
    let line = (0..<max(expected.count, found.count)).first { index in
        index >= expected.count || index >= found.count || expected[index] != found[index]
    }
    guard let line else { return }
    func shown(_ lines: [String]) -> String { line < lines.count ? lines[line] : "(nothing)" }
    Issue.record(
        "\(name), line \(line + 1): expected \(shown(expected).debugDescription), found \(shown(found).debugDescription)",
        sourceLocation: sourceLocation)
}
