// SPDX-License-Identifier: GPL-2.0-or-later

@preconcurrency import Glibc

/// The capabilities of the user's terminal.
public enum Terminal {
    /// Whether the terminal understands control sequences: TERM is set and is not `dumb`.
    public static var hasControls: Bool {
        let name = environment("TERM")
        return !name.isEmpty && name != "dumb"
    }

    /// The number of columns: of COLUMNS, of the terminal on standard output, or `fallback`.
    public static func width(fallback: Int = 80) -> Int {
        if let columns = Int(environment("COLUMNS")), columns > 0 { return columns }
        var size = winsize()
        if ioctl(STDOUT_FILENO, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0 { return Int(size.ws_col) }
        return fallback
    }

    /// An environment variable; empty if it is not set.
    static func environment(_ name: String) -> String { getenv(name).map { String(cString: $0) } ?? "" }
}
