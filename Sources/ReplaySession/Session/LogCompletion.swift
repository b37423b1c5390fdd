// SPDX-License-Identifier: GPL-2.0-or-later

enum LogCompletion {
    static func complete(
        files: RunFiles, inputLog: String, manifest: Manifest, warnings: inout [String]
    ) -> LogSummary? { nil }
    static func differences(of log: LogSummary?, recording: RunFiles) -> [String] { [] }
}
