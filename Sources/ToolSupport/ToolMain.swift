// SPDX-License-Identifier: GPL-2.0-or-later

import ArgumentParser
@preconcurrency import Glibc
import LogFormat
import LogViews
import RunDirectory

/// Runs a root command and ends the process with one of ``ToolStatus``.
///
/// ArgumentParser's own statuses (64 for usage, 1 for an error that nothing handles) become 2.
public enum ToolMain {
    /// Runs a command on the process's arguments, or on others.
    public static func run<Root: ParsableCommand>(_ root: Root.Type, arguments: [String]? = nil) -> Never {
        // A reader that went away is EPIPE, and a limit on the size of files is EFBIG: errors like a full disk.
        signal(SIGPIPE, SIG_IGN)
        signal(SIGXFSZ, SIG_IGN)
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
        if let code = error as? ExitCode { exit(code.rawValue) }
        let isRequestedText = root.exitCode(for: error) == .success
        if isRequestedText {
            // --help, --version, completion scripts.
            let hasSubcommands = !root.configuration.subcommands.isEmpty
            Output.standard.line(
                CompletionScript.corrected(root.message(for: error), hasSubcommands: hasSubcommands))
            Output.standard.flush()
            exit(ToolStatus.done.rawValue)
        }
        let text = lines(root, error)
        if text.count > 1 { Diagnostics.error(lines: text) } else { Diagnostics.error(text.first ?? "") }
        exit(ToolStatus.trouble.rawValue)
    }

    /// What an error of a command is for its user.
    public static func lines<Root: ParsableCommand>(_ root: Root.Type, _ error: any Error) -> [String] {
        switch error {
        case let error as RunError: error.textWithRemedy.split(separator: "\n").map(String.init)
        case let error as ViewError: [error.description + (error.advice.map { "; \($0)" } ?? "")]
        case let error as LogError: [error.description + (error.advice.map { "; \($0)" } ?? "")]
        case let error as DecodingError: [error.oneLine]
        case _ where root.exitCode(for: error) == .validationFailure: [usage(root, error)]
        default: [root.message(for: error)]
        }
    }

    /// The problem with the arguments, in one line with the command that explains them.
    private static func usage<Root: ParsableCommand>(_ root: Root.Type, _ error: any Error) -> String {
        let text = root.message(for: error).split(separator: "\n").map { $0.trimmed }.joined(separator: " ")
        let message = text.hasSuffix(".") ? String(text.dropLast()) : text
        // The words of the usage line before its first argument name the command.
        let usage = root.fullMessage(for: error).split(separator: "\n").first { $0.hasPrefix("Usage: ") }
        let words = usage?.dropFirst("Usage: ".count).split(separator: " ") ?? []
        let command = words.prefix { $0.first != "[" && $0.first != "<" && $0.first != "-" }.joined(separator: " ")
        return "\(message); see '\(command.isEmpty ? Diagnostics.toolName : command) --help'"
    }
}

extension Substring {
    fileprivate var trimmed: Substring {
        drop { $0 == " " }
    }
}

extension DecodingError {
    /// The problem of a JSON document and its place, without Swift's own words.
    var oneLine: String {
        func place(_ context: Context) -> String {
            let path = context.codingPath.map { $0.intValue.map { "[\($0)]" } ?? $0.stringValue }.joined(separator: ".")
            return path.isEmpty ? "the document" : path
        }
        return switch self {
        case .keyNotFound(let key, let context): "the JSON lacks \(key.stringValue) in \(place(context))"
        case .typeMismatch(_, let context), .valueNotFound(_, let context):
            "the JSON has a value of another type at \(place(context))"
        case .dataCorrupted(let context): "the JSON is malformed at \(place(context))"
        @unknown default: "the JSON cannot be read"
        }
    }
}

extension ToolStatus {
    /// The error that ends a command with this status and without a message.
    public var exitCode: ExitCode { ExitCode(rawValue) }
}
