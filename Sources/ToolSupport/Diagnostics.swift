// SPDX-License-Identifier: GPL-2.0-or-later

import Formatting
@preconcurrency import Glibc

/// Messages of a tool, separate from its data: on standard error, after the tool's name.
///
/// Messages hold names from files; control characters in them are escaped here.
public enum Diagnostics {
    /// The name that the tool was called by, without its directory.
    public static let toolName: String = {
        let path = CommandLine.arguments.first ?? "tool"
        return path.split(separator: "/").last.map(String.init) ?? path
    }()

    /// Prints an error, and the remedy for a limit on open files.
    public static func error(_ message: String) {
        let isLimit = message.contains(Diagnostics.tooManyFiles)
        print(["error: \(message)\(isLimit ? "; raise the limit with `ulimit -n`" : "")"])
    }

    /// Prints an error that takes several lines.
    public static func error(lines: [String]) {
        print(lines.enumerated().map { $0.offset == 0 ? "error: \($0.element)" : $0.element })
    }

    /// Prints a warning.
    public static func warning(_ message: String) { print(["warning: \(message)"]) }

    /// Prints a notice of a library.
    public static func report(_ notice: Notice) {
        switch notice.severity {
        case .note: note(notice.text)
        case .warning: warning(notice.text)
        case .error: error(notice.text)
        }
    }

    /// Prints a note.
    public static func note(_ message: String) { print([message]) }

    private static let tooManyFiles = String(cString: strerror(EMFILE))

    /// Prints lines in one write, so that messages of two processes do not mix.
    private static func print(_ lines: [String]) {
        Progress.clearLine()
        let text = "\(toolName): " + lines.map { $0.onOneLine + "\n" }.joined()
        let bytes = Array(text.utf8)
        _ = bytes.withUnsafeBytes { write(STDERR_FILENO, $0.baseAddress, $0.count) }
    }
}
