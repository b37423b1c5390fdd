// SPDX-License-Identifier: GPL-2.0-or-later

import ArgumentParser
import BranchAnalysis
import Formatting
import LogFormat
import LogViews
import MachineCode
import Reporting
import ToolSupport

struct Verify: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "verify",
        abstract: "Check every byte of logs.",
        discussion: """
            Checks the headers against their checksums and against the directory, the bodies against their hashes, \
            the digests and chains against the records, and that no record is missing. Lists each damaged part, \
            with its offset. With --symbols, also checks the branches against the files' code.

            EXAMPLES
              tt-analyze verify run1
              tt-analyze verify run1 run1/replays/*
              tt-analyze verify run1 >/dev/null && echo intact

            EXIT STATUS
              0 all logs are intact
              1 with --symbols: branches contradict the files' code
              2 a log is damaged, lost records, or cannot be read
            """)

    @Argument(
        help: ArgumentHelp("Logs or run directories; each is checked.", valueName: "log"), completion: .file())
    var paths: [String]

    @OptionGroup var symbols: SymbolOptions

    @Option(help: "Format of the result: text, or a JSON document for each log.")
    var format = DocumentFormat.text

    func run() throws {
        var worst = ToolStatus.done
        for path in paths {
            do {
                let status = try verify(path)
                if status.rawValue > worst.rawValue { worst = status }
            } catch  where paths.count > 1 {
                Diagnostics.error("\(error)")
                worst = .trouble
            }
        }
        if worst != .done { throw worst }
    }

    private func verify(_ path: String) throws -> ToolStatus {
        let log = try LogFile.open(path: path)
        let code = try codeMap(for: log)
        let progress = Progress("verifying", unit: "B", total: log.fileSize)
        let result = log.verify { progress.update(fraction: $0) }
        progress.finish()
        let check = try code.map { try checkInstructions(log, $0) }
        let matches = try code.map { try CodeMatch.measure(log, $0) } ?? []
        for match in matches where !match.belongs { Diagnostics.warning("\(log.path): \(match)") }
        switch format {
        case .text:
            VerificationText(result, log, to: Output.standard).write()
            if let check { InstructionCheckText(check, matches, to: Output.standard).write() }
        case .json:
            Output.standard.line(try JSONText.document(VerificationDocument(log, result, check, matches)))
        }
        if !result.isIntact { return .trouble }
        return (check?.unexplained ?? 0) > 0 ? .different : .done
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
}
