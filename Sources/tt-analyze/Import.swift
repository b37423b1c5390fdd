// SPDX-License-Identifier: GPL-2.0-or-later

import ArgumentParser
import Formatting
import Glibc
import LogFormat
import LogViews
import RunDirectory
import ToolSupport

struct Import: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "import",
        abstract: "Write a trace of another tool as a log.",
        discussion: """
            Reads the text of perf script (Intel PT, BTS, LBR), rows of branches and events as CSV or JSON lines, QEMU's \
            replay.bin and raw BTS records, and writes a log that every command reads. The content of the file decides which format it has. The other commands read \
            these formats too, and import them each time.

            The log's attributes name the source: its name, size and SHA-256, and the format.

            EXAMPLES
              perf script --itrace=b -F +addr,+flags > branches.txt
              tt-analyze import branches.txt -o branches.log
              bts-dump --format jsonl run1 > rows.jsonl; tt-analyze import rows.jsonl -o copy.log
              tt-analyze import --force run1/replay.bin -o inputs.log

            EXIT STATUS
              0 done
              2 trouble: the file cannot be read, or parts of it are damaged; what can be read is in the log
            """)

    @Argument(help: ArgumentHelp("The file to read.", valueName: "input"), completion: .file())
    var input: String

    @Option(
        name: [.customShort("o"), .long],
        help: ArgumentHelp(
            "The log to write. In a directory (a name that ends with / makes one) it is ttd.log.", valueName: "file|dir"
        ), completion: .file())
    var output: String

    @Flag(help: "Replace an existing file.")
    var force = false

    func run() throws {
        if output.hasSuffix("/") { _ = mkdir(output, 0o777) }
        let path = LogFile.resolve(path: output)
        if !force && access(path, F_OK) == 0 {
            throw RuntimeError("\(path): already exists; --force replaces it")
        }
        try OutputFile.refuse(path, overInputs: [input])
        let hashing = Progress("hashing", unit: "B", total: 0)
        var hashed: UInt64 = 0
        let identity = try FileIdentity(of: input, what: "input") { count in
            hashed &+= count
            hashing.update(hashed)
        }
        hashing.finish()
        let progress = Progress("importing", unit: "B", total: identity.size)
        defer { progress.finish() }
        let attributes = [("import.sha256", identity.sha256), ("import.tool", "tt-analyze \(ToolVersion.current)")]
        let summary = try importLog(input, to: path, replacing: force, attributes: attributes) {
            progress.update(fraction: $0)
        }
        progress.finish()
        var health = LogHealth(report: Diagnostics.report)
        health.add(summary.skipped)
        let vcpus = summary.vcpuCount == 1 ? "" : " of \(summary.vcpuCount) vCPUs"
        Diagnostics.note(
            "\(path): \(summary.branches) branches, \(summary.events) events\(vcpus), from \(summary.format.name)")
        try health.finish()
        if summary.branches == 0 && summary.events == 0 {
            throw RuntimeError("\(input): holds no branches and no events")
        }
    }
}
