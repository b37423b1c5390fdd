// SPDX-License-Identifier: GPL-2.0-or-later

import Formatting
@preconcurrency import Glibc

/// What a tool says beside its data: always on stderr, prefixed by the tool's name.
public enum Diagnostics {
    /// The name that the tool was called by, without its directory.
    public static let toolName: String = {
        let path = CommandLine.arguments.first ?? "tool"
        return path.split(separator: "/").last.map(String.init) ?? path
    }()

    public static func error(_ message: String) { raw("\(toolName): error: \(message)") }
    public static func warning(_ message: String) { raw("\(toolName): warning: \(message)") }
    /// Prints a notice of a library.
    public static func report(_ notice: Notice) {
        switch notice.severity {
        case .note: note(notice.text)
        case .warning: warning(notice.text)
        case .error: error(notice.text)
        }
    }

    public static func note(_ message: String) { raw("\(toolName): \(message)") }

    /// One line, as it is. Written whole, so that lines of two processes do not mix.
    public static func raw(_ line: String) {
        Progress.clearLine()
        var bytes = Array(line.utf8)
        bytes.append(UInt8(ascii: "\n"))
        _ = bytes.withUnsafeBytes { write(STDERR_FILENO, $0.baseAddress, $0.count) }
    }
}
