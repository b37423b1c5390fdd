// SPDX-License-Identifier: GPL-2.0-or-later

import ArgumentParser
import BranchAnalysis
import LogFormat
import LogTools
import Symbolize
import ToolSupport

@main
struct BTSDump: ParsableCommand {
    static func main() { ToolMain.run(BTSDump.self) }

    static let configuration = CommandConfiguration(
        commandName: "bts-dump",
        abstract: "Print the branches of a trace log.",
        discussion: """
            One branch a row: its counter, from and to with full addresses, the class of the instruction at from, the \
            instruction count. With ! behind the class the instruction's own target explains the branch; with * \
            behind the row no branch instruction explains it: an interrupt, an exception or a fault.

            A log may have parts that are damaged or that its recorder left out (mode digest). They are passed over, \
            said on standard error and counted.

            EXAMPLES
              bts-dump --symbols vmlinux --around 533717582:50 run1
              bts-dump --symbols vmlinux --symbols init@0x555555554000 --format csv run1
              bts-dump --symbols vmlinux --calls --depth 20 --range 533000000: run1
              bts-dump --symbols vmlinux --folded run1 | flamegraph.pl > run1.svg
              bts-dump run1 | grep -c 'ret '

            EXIT STATUS
              0 printed
              2 trouble: the log cannot be read, is damaged, or holds no branches
            """,
        version: ToolVersion.current)

    @Argument(
        help: ArgumentHelp("A log, or a state directory that holds ttd.log.", valueName: "log"), completion: .file())
    var path: String

    @OptionGroup var symbols: SymbolOptions
    @OptionGroup var range: RangeOptions
    @OptionGroup var calls: CallOptions

    @Option(help: ArgumentHelp("Only this vCPU. (default: all, one after the other)", valueName: "n"))
    var vcpu: UInt16?

    @Flag(help: "In text, source lines beside the names.")
    var lines = false

    @Flag(help: "Print the instructions between the branches, from the code of the --symbols files (not as csv).")
    var instructions = false

    @OptionGroup var instructionOptions: InstructionOptions

    @Option(help: "How rows are printed; jsonl and csv keep their fields from version to version.")
    var format = RowFormat.text

    func run() throws {
        var health = LogHealth()
        let log = try health.open(path)
        if let vcpu, !log.vcpus.contains(vcpu) {
            throw RuntimeError(
                "\(log.path): has no vCPU \(vcpu); it has \(log.vcpus.map(String.init).joined(separator: ", "))")
        }
        guard log.header.features.contains(.branches) else {
            throw RuntimeError(
                "\(log.path): holds no branches (mode \(log.header.mode)); tt-analyze events prints the rest")
        }
        if calls.isChosen { return try dumpCalls(log, &health) }
        let (from, to) = range.bounds
        let symbolizer = try symbols.symbolizer(for: log, from: from, to: to, checks: !instructions)
        if instructions { return try dumpInstructions(log, symbolizer, &health) }
        var rows = BranchRows(log, format: format, symbolizer: symbolizer, lines: lines)
        rows.begin(log: log)
        let width = log.counterWidth
        for vcpu in vcpu.map({ [$0] }) ?? log.vcpus {
            var branches = log.branches(vcpu: vcpu, from: from, to: to)
            while branches.nextBatch({ rows.write($0, $1, vcpu: vcpu, width: width) }) {}
            health.add(branches.skipped)
        }
        rows.finish()
        try health.finish()
        if rows.count == 0 && health.elidedRecords > 0 { throw ToolStatus.trouble.exitCode }
    }

    private func dumpInstructions(_ log: LogFile, _ symbolizer: Symbolizer?, _ health: inout LogHealth) throws {
        guard let symbolizer else {
            throw RuntimeError("--instructions needs --symbols FILE, whose code it disassembles")
        }
        guard format != .csv else { throw RuntimeError("--instructions has no format csv") }
        let source = InstructionDump.Source(
            path: log.path, machine: log.header.machine, vcpuCount: log.vcpus.count,
            hasIcount: log.header.features.contains(.icount), hasLabels: log.header.features.contains(.labels),
            counterWidth: log.counterWidth, log: log)
        var dump = try InstructionDump(
            source, symbolizer, isJSON: format == .jsonl, lines: lines, syntax: instructionOptions.syntax)
        for vcpu in vcpu.map({ [$0] }) ?? log.vcpus {
            dump.begin(vcpu: vcpu)
            var branches = log.branches(vcpu: vcpu, from: range.bounds.from, to: range.bounds.to)
            while branches.nextBatch({ dump.add($0, $1) }) {}
            health.add(branches.skipped)
        }
        dump.finish()
        try health.finish()
    }
}

/// A reason to end with status 2 that is neither usage nor a file's fault.
struct RuntimeError: Error, CustomStringConvertible {
    var description: String
    init(_ description: String) { self.description = description }
}
