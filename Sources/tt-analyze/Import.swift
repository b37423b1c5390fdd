// SPDX-License-Identifier: GPL-2.0-or-later

import ArgumentParser
import Formatting
import Glibc
import LogFormat
import LogViews
import RunDirectory
import Symbolize
import ToolSupport

struct Import: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "import",
        abstract: "Write a trace of another tool as a log.",
        discussion: """
            Reads the text of perf script (Intel PT, BTS, LBR), rows of branches and events as CSV or JSON lines, QEMU's \
            replay.bin, Xen's trace buffers, logs of XenTT and raw BTS records, and writes a log that every command \
            reads. The content of the file decides which format it has. The other commands read these formats too \
            (except XenTT's), and import them each time.

            The log's attributes name the source: its name, size and SHA-256, and the format.

            EXAMPLES
              perf script --itrace=b -F +addr,+flags > branches.txt
              tt-analyze import branches.txt -o branches.log
              bts-dump --format jsonl run1 > rows.jsonl; tt-analyze import rows.jsonl -o copy.log
              tt-analyze import --force run1/replay.bin -o inputs.log
              tt-analyze import --layout-from xen-syms state/ttd.log -o ttd.log

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

    @Option(
        help: ArgumentHelp(
            "For a log of XenTT: a binary with debug information that defines its struct ttd_rec.", valueName: "elf"),
        completion: .file())
    var layoutFrom: String?

    @Flag(help: "Replace an existing file.")
    var force = false

    func run() throws {
        if output.hasSuffix("/") { _ = mkdir(output, 0o777) }
        let path = LogFile.resolve(path: output)
        if !force && access(path, F_OK) == 0 {
            throw RuntimeError("\(path): already exists; --force replaces it")
        }
        try OutputFile.refuse(path, overInputs: [input] + (layoutFrom.map { [$0] } ?? []))
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
        let layout = try layoutFrom.map(recordLayout)
        let summary = try importLog(input, to: path, layout: layout, replacing: force, attributes: attributes) {
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

    /// The layout of XenTT's records in a binary.
    private func recordLayout(_ path: String) throws -> RecordLayout {
        guard let found = try StructLayout.find("ttd_rec", in: path) else {
            throw RuntimeError("\(path): its debug information defines no struct ttd_rec")
        }
        let event = found.members.first { $0.name == "event.event" || $0.name == "event" }
        // Where the member is a plain number, the enumeration that names branches is that of the events.
        let ofBranches = found.enumerations.first { $0.values.contains { $0.contains("HW_BRANCHES") } }
        let names = event.map(\.enumerators).flatMap { $0.isEmpty ? ofBranches : $0 } ?? [:]
        let members = found.members.map { member in
            (
                member.name,
                RecordLayout.Member(
                    offset: Int(clamping: member.offset), size: Int(clamping: member.size),
                    bits: member.bits.map { Int(clamping: $0.lowerBound)..<Int(clamping: $0.upperBound) })
            )
        }
        return try RecordLayout(
            file: path, size: Int(clamping: found.size), members: members,
            eventNames: Dictionary(names.map { (UInt64(bitPattern: $0.key), $0.value) }) { first, _ in first })
    }
}
