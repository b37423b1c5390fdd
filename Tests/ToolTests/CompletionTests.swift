// SPDX-License-Identifier: GPL-2.0-or-later

import Foundation
import TestSupport
import Testing

/// The completion scripts, used by the real shells.
@Suite struct CompletionTests {
    /// A line, the word that it must complete to, and the tool.
    static let cases: [(tool: String, line: String, completed: String)] = [
        ("bts-dump", "bts-dump alp", "alpha.log"), ("bts-dump", "bts-dump --symbols be", "beta.elf"),
        ("bts-dump", "bts-dump --format js", "jsonl"), ("tt-analyze", "tt-analyze info alp", "alpha.log"),
        ("tt-analyze", "tt-analyze ver", "verify"), ("tt-analyze", "tt-analyze events --kind rdts", "rdtsc"),
        ("tt-record", "tt-record --kernel be", "beta.elf"), ("tt-replay", "tt-replay --over", "--overwrite"),
    ]

    /// A directory with two files, a completion script and the tools, and a path that begins with them.
    private struct Place {
        let directory = try! TemporaryDirectory()
        let script: String
        let path: String

        init(_ tool: String, shell: String) throws {
            for name in ["alpha.log", "beta.elf"] {
                try Data().write(to: URL(fileURLWithPath: directory.file(name)))
            }
            let made = try Tool(tool).run(["--generate-completion-script", shell])
            #expect(made.status == 0)
            script = directory.file("script")
            try made.output.write(toFile: script, atomically: true, encoding: .utf8)
            path = URL(fileURLWithPath: Tool.dump.path).deletingLastPathComponent().path
        }
    }

    @Test(arguments: cases)
    func bash(tool: String, line: String, completed: String) throws {
        let place = try Place(tool, shell: "bash")
        let program = """
            cd '\(place.directory.path)'; export PATH='\(place.path)':$PATH; source '\(place.script)'
            COMP_LINE='\(line)'; COMP_POINT=${#COMP_LINE}; read -ra COMP_WORDS <<<"$COMP_LINE"
            COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
            function=$(complete -p '\(tool)' | sed 's/.*-F \\([^ ]*\\).*/\\1/')
            "$function" '\(tool)' "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
            printf '%s\\n' "${COMPREPLY[@]}"
            """
        let result = try Tool(path: "/bin/bash").run(["--norc", "-c", program])
        #expect(result.output.split(separator: "\n").contains { $0 == completed }, "\(line): \(result)")
        #expect(result.errors.isEmpty, "\(result.errors)")
    }

    @Test(.enabled(if: access("/usr/bin/fish", X_OK) == 0), arguments: cases)
    func fish(tool: String, line: String, completed: String) throws {
        let place = try Place(tool, shell: "fish")
        let program = """
            cd '\(place.directory.path)'; set -x PATH '\(place.path)' $PATH; source '\(place.script)'; complete -C '\(line)'
            """
        let result = try Tool(path: "/usr/bin/fish").run(["--no-config", "-c", program])
        let words = result.output.split(separator: "\n").compactMap { $0.split(separator: "\t").first }
        #expect(words.contains { $0 == completed }, "\(line): \(result)")
    }

    /// zsh completes only in a terminal: its own zpty gives it one.
    @Test(.enabled(if: access("/usr/bin/zsh", X_OK) == 0), arguments: cases)
    func zsh(tool: String, line: String, completed: String) throws {
        let place = try Place(tool, shell: "zsh")
        let program = """
            zmodload zsh/zpty; export TERM=dumb PS1='> ' PATH='\(place.path)':$PATH; cd '\(place.directory.path)'
            zpty inner zsh -f -i
            zpty -w inner "unsetopt zle_bracketed_paste; autoload -Uz compinit; compinit -u -D; source '\(place.script)'"
            zpty -w inner "echo REA''DY"
            zpty -r -m inner answer '*READY'$'\\r*' || exit 3
            zpty -n -w inner '\(line)'$'\\t'
            for i in {1..100}; do
                zpty -r -t inner part && text+=$part
                [[ $text == *'\(completed)'* ]] && break
                sleep 0.05
            done
            zpty -d inner
            print -r -- "$text"
            """
        let result = try Tool(path: "/usr/bin/zsh").run(["-f", "-c", program])
        #expect(result.output.contains(completed), "\(line): \(result)")
        #expect(!result.output.contains("_arguments:"), "\(result.output)")
    }
}
