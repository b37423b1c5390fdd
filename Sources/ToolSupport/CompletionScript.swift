// SPDX-License-Identifier: GPL-2.0-or-later

/// Corrections to the completion scripts that ArgumentParser generates.
enum CompletionScript {
    /// Corrects the script for zsh of a command without subcommands.
    ///
    /// ArgumentParser adds the subcommand `help` to every root command, and so gives `_arguments` a rest argument beside
    /// the command's own; zsh refuses two. The lines of the subcommand are removed.
    static func corrected(_ script: String, hasSubcommands: Bool) -> String {
        guard script.hasPrefix("#compdef"), !hasSubcommands else { return script }
        let extra = ["'(-): :->command'", "'(-)*:: :->arg'"]
        return script.split(separator: "\n", omittingEmptySubsequences: false).filter { line in
            !extra.contains { line.drop { $0 == " " } == $0 }
        }.joined(separator: "\n")
    }
}
