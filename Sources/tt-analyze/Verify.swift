// SPDX-License-Identifier: GPL-2.0-or-later

import ArgumentParser
import BranchAnalysis
import Formatting
import LogFormat
import LogViews
import MachineCode
import Symbolize
import ToolSupport

struct Verify: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "verify",
        abstract: "Check every byte of a log.",
        discussion: """
            Checks the headers against their checksums and against the directory, the bodies against their hashes, \
            the digests and chains against the records, and that no record is missing. Lists what is wrong, each \
            with its offset.

            EXAMPLES
              tt-analyze verify run1
              tt-analyze verify run1 >/dev/null && echo intact

            EXIT STATUS
              0 the log is intact
              2 it is damaged, or records were lost, or it cannot be read
            """)

    @Argument(
        help: ArgumentHelp("A log, or a state directory that holds ttd.log.", valueName: "log"), completion: .file())
    var path: String

    @OptionGroup var symbols: SymbolOptions

    @Option(help: "How it is printed.")
    var format = DocumentFormat.text

    func run() throws {
        let log = try LogFile(path: path)
        let code = try codeMap(for: log)
        let progress = Progress("verifying", unit: "B", total: log.fileSize)
        let result = log.verify { progress.update(fraction: $0) }
        progress.finish()
        let check = try code.map { try checkInstructions(log, $0) }
        let matches = try code.map { try CodeMatch.measure(log, $0) } ?? []
        for match in matches where !match.belongs { Diagnostics.warning("\(log.path): \(match)") }
        switch format {
        case .text:
            print(result, log)
            if let check { InstructionCheckText(check, matches).print() }
        case .json: try VerifyDocument(log, result, check, matches).print()
        }
        if !result.isIntact { throw ToolStatus.trouble.exitCode }
        if let check, check.unexplained > 0 { throw ToolStatus.different.exitCode }
    }

    /// The code of the files that `--symbols` names; `nil` without the option.
    private func codeMap(for log: LogFile) throws -> CodeMap? {
        guard symbols.isGiven else { return nil }
        guard log.header.features.contains(.branches) else {
            throw RuntimeError("\(log.path): holds no branches (mode \(log.header.mode)) to check against --symbols")
        }
        var code = try symbols.code(for: log)
        try code.findPatchSites(Disassembler())
        return code
    }

    private func checkInstructions(_ log: LogFile, _ code: CodeMap) throws -> InstructionCheck {
        let branches = log.vcpus.flatMap { log.chunks(.branch, vcpu: $0) }.reduce(0) { $0 &+ UInt64($1.count) }
        let progress = Progress("checking instructions", unit: " branches", total: branches)
        defer { progress.finish() }
        return try InstructionCheck.run(log, code) { progress.update($0) }
    }

    private func print(_ result: Verification, _ log: LogFile) {
        for damage in result.damage { Output.standard.line(damage.description) }
        let streams = [
            (LogStream.branch, "branches"), (.event, "events"), (.access, "accesses"), (.meta, "meta records"),
        ]
        let counts = streams.map { "\(result.recordsRead[$0.0] ?? 0) \($0.1)" }.joined(separator: ", ")
        Output.standard.line("\(log.path): \(result.chunks) chunks: \(counts) read")
        switch log.completeness {
        case .closed: break
        case .beingWritten: Output.standard.line("the log is being written: checked as far as it had come")
        case .unclosed: Output.standard.line("the log was not closed: its recorder was killed")
        }
        if result.elidedChunks > 0 {
            Output.standard.line(
                "\(result.elidedChunks) chunks were left out by the recorder: only their headers checked")
        }
        for (kind, count) in result.unknownKinds.sorted(by: { $0.key.rawValue < $1.key.rawValue }) {
            Output.standard.line("\(count) records of \(kind), which this version does not know")
        }
        if result.isIntact {
            Output.standard.line("intact")
        } else {
            let parts = result.damage.count
            Output.standard.line(
                "damaged: \(parts) part\(parts == 1 ? "" : "s"), \(result.recordsLost) records lost")
        }
    }
}

/// What `tt-analyze verify --format json` prints.
struct VerifyDocument: JSONDocument {
    struct Part: Encodable {
        var file: String
        var offset: String
        var length: String
        var what: String
        var lostRecords: String?
    }

    var schema = "tt-analyze verify"
    var version = 1
    var log: String
    var intact: Bool
    var chunks: Int
    var elidedChunks: Int
    var recordsRead: [String: String]
    var recordsLost: String
    var unknownKinds: [String: String]
    var damage: [Part]
    /// Only with `--symbols`.
    var instructions: InstructionCheckDocument?

    init(_ log: LogFile, _ result: Verification, _ check: InstructionCheck?, _ matches: [CodeMatch]) {
        instructions = check.map { InstructionCheckDocument($0, matches) }
        self.log = log.path
        intact = result.isIntact
        chunks = result.chunks
        elidedChunks = result.elidedChunks
        recordsRead = Dictionary(uniqueKeysWithValues: result.recordsRead.map { ($0.key.name, String($0.value)) })
        recordsLost = String(result.recordsLost)
        unknownKinds = Dictionary(uniqueKeysWithValues: result.unknownKinds.map { ($0.key.name, String($0.value)) })
        damage = result.damage.map {
            Part(
                file: $0.file, offset: String($0.offset), length: String($0.length), what: $0.what.description,
                lostRecords: $0.lostRecords.map { String($0) })
        }
    }
}
