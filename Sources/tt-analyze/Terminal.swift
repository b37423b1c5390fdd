// SPDX-License-Identifier: GPL-2.0-or-later

@preconcurrency import Glibc
import ToolSupport

/// The terminal that reports are written to.
enum Terminal {
    /// The columns of the terminal that standard output is; 80 if it is none.
    static var width: Int {
        var size = winsize()
        guard Output.standard.isTerminal, ioctl(STDOUT_FILENO, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0 else {
            return 80
        }
        return Int(size.ws_col)
    }

    /// Writes text to standard output, through the user's pager if that is a terminal.
    ///
    /// The pager is $PAGER, or `less`, which shows a short text at once. An empty $PAGER and `cat` mean none.
    static func write(_ text: String) {
        guard Output.standard.isTerminal, let command = pager else {
            Output.standard.write(text)
            return
        }
        Output.standard.flush()
        setenv("LESS", "FRX", 0)
        guard let pipe = popen(command, "w") else {
            Output.standard.write(text)
            return
        }
        let previous = signal(SIGPIPE, SIG_IGN)
        var text = text
        text.withUTF8 { _ = fwrite($0.baseAddress, 1, $0.count, pipe) }
        // 127: the shell does not find the pager.
        let status = pclose(pipe)
        signal(SIGPIPE, previous)
        if status >> 8 & 0xff == 127 { Output.standard.write(text) }
    }

    private static var pager: String? {
        if let term = getenv("TERM"), String(cString: term) == "dumb" { return nil }
        let command = getenv("PAGER").map { String(cString: $0) } ?? "less"
        return command.isEmpty || command == "cat" ? nil : command
    }
}
