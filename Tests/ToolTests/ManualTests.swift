// SPDX-License-Identifier: GPL-2.0-or-later

import Foundation
import TestSupport
import Testing

/// The man pages and completions, which are made from the tools' own help.
@Suite struct ManualTests {
    static let tools = ["bts-dump", "tt-analyze", "tt-dap", "tt-gdb", "tt-record", "tt-replay"]

    private static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .appendingPathComponent("../..").standardized.path

    @Test(arguments: tools)
    func manPagesAreUpToDate(_ name: String) throws {
        let script =
            "'\(Tool(name).path)' --experimental-dump-help | python3 '\(Self.root)/scripts/generate-manual.py'"
        let made = try Tool(path: "/bin/bash").run(["-o", "pipefail", "-c", script])
        #expect(made.status == 0, "\(made.errors)")
        let committed = try String(contentsOfFile: "\(Self.root)/docs/man/\(name).1", encoding: .utf8)
        #expect(made.output == committed, "docs/man/\(name).1 is stale: `make docs` updates it")
        #expect(committed.contains(".SH NAME\n\(name.replacingOccurrences(of: "-", with: "\\-")) \\- "))
        #expect(committed.contains(".SH EXIT STATUS\n"))
    }

    @Test(.enabled(if: access("/usr/bin/man", X_OK) == 0), arguments: tools)
    func manPagesAreWithoutWarnings(_ name: String) throws {
        let page = "\(Self.root)/docs/man/\(name).1"
        let result = try Tool(path: "/bin/sh").run([
            "-c", "MANROFFSEQ= man --warnings -E UTF-8 -l -Tutf8 -Z '\(page)' 2>&1 >/dev/null",
        ])
        #expect(result.output.isEmpty)
    }

    @Test(arguments: tools)
    func bashTakesTheCompletions(_ name: String) throws {
        let directory = try TemporaryDirectory()
        let made = try Tool(name).run(["--generate-completion-script", "bash"])
        #expect(made.status == 0)
        let file = directory.file(name)
        try made.output.write(toFile: file, atomically: true, encoding: .utf8)
        let script = "source '\(file)' && complete -p '\(name)'"
        let taken = try Tool(path: "/bin/bash").run(["--norc", "-c", script])
        #expect(taken.status == 0, "\(taken.errors)")
        #expect(taken.output.contains(name))
    }
}
