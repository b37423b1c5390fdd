// SPDX-License-Identifier: GPL-2.0-or-later

import Alignment
import ArgumentParser
import BugBundle
import Formatting
import Glibc
import ToolSupport

struct Open: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "open",
        abstract: "Work with a bundle (.ttbug) that tt-analyze report wrote.",
        usage: """
            tt-analyze open [<options>] <bundle>
            tt-analyze open <bundle> <subcommand> [<arguments> ...]
            """,
        discussion: """
            The bundle is checked and unpacked into the user's cache ($XDG_CACHE_HOME/tt-analyze/bundles), once. \
            Without a subcommand its contents are listed. A subcommand of tt-analyze, or bts-dump, works on the \
            bundle's logs and symbols: the words original and replay name its runs. Without them, diverge, report and \
            sql take both runs, other subcommands the original.

            The cache keeps the bundles that were opened last, 4 GiB in all.

            EXAMPLES
              tt-analyze open bug.ttbug
              tt-analyze open bug.ttbug diverge
              tt-analyze open bug.ttbug events replay --kind interrupt
              tt-analyze open bug.ttbug sql "SELECT * FROM divergence"
              tt-analyze open bug.ttbug bts-dump --instructions original
              tt-analyze open --verify bug.ttbug

            EXIT STATUS
              0 done; with --verify: the slices show what the report says
              1 with --verify: they do not; with diverge and report: the runs differ
              2 trouble: a bundle that is damaged, incomplete or hostile
            """)

    @Argument(help: "The bundle.", completion: .file(extensions: ["ttbug"]))
    var bundle: String

    @Argument(
        parsing: .captureForPassthrough,
        help: ArgumentHelp("A subcommand with its arguments.", valueName: "subcommand"))
    var command: [String] = []

    @Flag(help: "Make the verdict again from the slices, and compare it with the report.")
    var verify = false

    @Option(help: "How the contents are printed.")
    var format = DocumentFormat.text

    func validate() throws {
        if verify, !command.isEmpty { throw ValidationError("--verify takes no subcommand.") }
        if let first = command.first, first.hasPrefix("-") {
            throw ValidationError("Options of open stand before the bundle: tt-analyze open \(first) \(bundle)")
        }
    }

    func run() throws {
        let opened = try BundleCache.standard.open(bundle)
        if verify { return try verify(opened) }
        if command.isEmpty { return try list(opened) }
        let line = try BundleCommand(opened, command)
        if line.isOtherTool {
            opened.staysInNextProgram()
            throw OtherTool.run(line.words)
        }
        if let note = line.note { Diagnostics.note(note) }
        var parsed = try TTAnalyze.parseAsRoot(line.words)
        try withExtendedLifetime(opened) { try parsed.run() }
    }

    private func verify(_ opened: OpenedBundle) throws {
        let mismatches = try opened.verify()
        for mismatch in mismatches {
            Output.standard.line(
                "\(mismatch.what): the report has \(mismatch.reported), the slices show \(mismatch.found)".onOneLine)
        }
        if mismatches.isEmpty {
            Output.standard.line("the slices show what the report says: \(opened.manifest.summary)".onOneLine)
        }
        if opened.manifest.zoom != nil {
            Output.standard.line("not verified: the zoom; it needs guests that run, not slices of logs")
        }
        if !mismatches.isEmpty { throw ExitCode(1) }
    }

    private func list(_ opened: OpenedBundle) throws {
        switch format {
        case .text: for line in BundleText(opened).lines { Output.standard.line(line.onOneLine) }
        case .json: Output.standard.line(String(decoding: try opened.manifest.json().dropLast(), as: UTF8.self))
        }
    }
}

/// The contents of a bundle as text.
private struct BundleText {
    private(set) var lines: [String] = []

    init(_ opened: OpenedBundle) {
        let manifest = opened.manifest
        lines.append("verdict: \(manifest.verdict): \(manifest.summary)")
        if let zoom = manifest.zoom { lines.append("zoom: \(zoom) (the chain is in report.txt)") }
        lines.append("written by: \(manifest.tool)\(manifest.isRedacted ? ", without the contents of events" : "")")
        for side in [Side.original, .replay] {
            let run = opened.run(side)
            let clocks = run.isWhole ? "the whole log" : "brctr \(run.from) to \(run.to)"
            lines.append("\(side.rawValue): \(opened.path(side)) (\(clocks); \(run.recorder))")
        }
        for file in manifest.symbolFiles {
            lines.append(
                "symbols and code of \(file.name): \(opened.directory)/\(file.member)"
                    + (file.buildID.isEmpty ? "" : " (build ID \(file.buildID))"))
        }
        for name in ["report.html", "report.txt", "report.json", "orig.run", "replay.run"] {
            if let path = opened.member(name) { lines.append("\(name): \(path)") }
        }
        for source in manifest.sources { lines.append("source \(source.path): \(opened.directory)/\(source.member)") }
        for item in manifest.missing { lines.append("not in it: \(item.what): \(item.why)") }
        for warning in manifest.warnings { lines.append("warning: \(warning)") }
    }
}

/// Another program of this package.
private enum OtherTool {
    /// Replaces this process by a program that is installed beside it, or that the search path has.
    ///
    /// - Returns: why that failed.
    static func run(_ words: [String]) -> any Error {
        var arguments: [UnsafeMutablePointer<CChar>?] = words.map { strdup($0) }
        arguments.append(nil)
        var path = [CChar](repeating: 0, count: 4096)
        let count = readlink("/proc/self/exe", &path, path.count - 1)
        if count > 0 {
            let own = String(decoding: path.prefix(count).map { UInt8(bitPattern: $0) }, as: UTF8.self)
            if let slash = own.lastIndex(of: "/") { execv("\(own[..<slash])/\(words[0])", arguments) }
        }
        execvp(words[0], arguments)
        return RuntimeError("cannot run \(words[0]): \(String(cString: strerror(errno)))")
    }
}
