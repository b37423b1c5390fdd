// SPDX-License-Identifier: GPL-2.0-or-later

import ArgumentParser
import Formatting
@preconcurrency import Glibc
import LogViews
import RunDirectory

/// Runs a root command and ends the process with one of ``ToolStatus``.
///
/// ArgumentParser's own statuses (64 for usage, 1 for an error nobody handled) become 2.
public enum ToolMain {
    public static func run<Root: ParsableCommand>(_ root: Root.Type, arguments: [String]? = nil) -> Never {
        // A reader that goes away is seen as EPIPE by Output, which then ends the tool quietly.
        signal(SIGPIPE, SIG_IGN)
        do {
            var command = try root.parseAsRoot(arguments)
            try command.run()
            Output.standard.flush()
            exit(ToolStatus.done.rawValue)
        } catch {
            Output.standard.flush()
            end(root, error)
        }
    }

    private static func end<Root: ParsableCommand>(_ root: Root.Type, _ error: any Error) -> Never {
        if let status = error as? ToolStatus { exit(status.rawValue) }
        if let code = error as? ExitCode {
            exit(code.rawValue)
        }
        let isRequestedText = root.exitCode(for: error) == .success
        if isRequestedText {
            // --help, --version, completion scripts.
            Output.standard.write(root.message(for: error))
            Output.standard.write("\n")
            Output.standard.flush()
            exit(ToolStatus.done.rawValue)
        }
        if let error = error as? RunError {
            Diagnostics.error(error.textWithRemedy)
        } else if root.exitCode(for: error) == .validationFailure {
            Diagnostics.raw(root.fullMessage(for: error))
        } else {
            let advice = (error as? ViewError)?.advice.map { "; \($0)" } ?? ""
            Diagnostics.error(root.message(for: error) + advice)
        }
        exit(ToolStatus.trouble.rawValue)
    }
}

extension ToolStatus {
    /// The error that ends a command with this status and without a message.
    public var exitCode: ExitCode { ExitCode(rawValue) }
}
