// SPDX-License-Identifier: GPL-2.0-or-later

import BranchAnalysis
import LogFormat
import Symbolize
import ToolSupport

/// `bts-dump --instructions` of one input: the instructions between its branches, disassembled from the files of
/// `--symbols`. Rows are those of ``InstructionRows``.
public struct InstructionDump: ~Copyable {
    /// The version of the row format; goes up when a field changes its meaning or goes away.
    public static let schemaVersion = 1

    /// What branches come from.
    public struct Source {
        public var path: String
        /// ELF `e_machine`; `nil` when it is not known.
        public var machine: UInt16?
        public var vcpuCount: Int
        public var hasIcount: Bool
        public var hasLabels: Bool
        /// How many digits the largest branch counter has, and the largest instruction count.
        public var widths: (brctr: Int, icount: Int)
        /// `nil` for a foreign format.
        public var log: LogFile?

        public init(
            path: String, machine: UInt16?, vcpuCount: Int, hasIcount: Bool, hasLabels: Bool, counterWidth: Int,
            log: LogFile?
        ) {
            self.path = path
            self.machine = machine
            self.vcpuCount = vcpuCount
            self.hasIcount = hasIcount
            self.hasLabels = hasLabels
            self.log = log
            let icount = log?.vcpus.compactMap { vcpu in log?.chunks(.branch, vcpu: vcpu).last?.icountLast }.max()
            widths = (counterWidth, icount.map(RowBuffer.decimalDigits) ?? 1)
        }
    }

    private var printer: InstructionPrinter

    /// Reads the code of the symbolizer's files; warns of those that have none, and of those that do not belong to the log.
    ///
    /// - Parameters:
    ///   - lines: in text, source lines beside the names.
    ///   - functions: only instructions here; all when empty.
    public init(
        _ source: Source, _ symbolizer: Symbolizer, isJSON: Bool, lines: Bool, syntax: Disassembler.Syntax,
        functions: [Range<UInt64>] = []
    ) throws {
        let disassembler = try Disassembler(syntax: syntax)
        var (code, warnings) = CodeMap.of(symbolizer.modules, machine: source.machine)
        for warning in warnings { Diagnostics.warning(warning.description) }
        try code.findPatchSites(disassembler)
        if let log = source.log { try CodeMatch.warn(log, code) }
        let style = InstructionRows.Style(
            isJSON: isJSON, showsVCPU: source.vcpuCount > 1, hasIcount: source.hasIcount, widths: source.widths)
        let words = InstructionWords(
            code: code, disassembler: disassembler, symbolizer: symbolizer,
            style: isJSON ? .json : .text(lines: lines), isJSON: isJSON)
        printer = InstructionPrinter(
            InstructionWalk(hasIcount: source.hasIcount, code, disassembler),
            InstructionRows(style, words, symbolizer, lines: lines), hasLabels: source.hasLabels,
            functions: functions)
        if isJSON {
            Output.standard.line(
                "{\"schema\":\"bts-dump instructions\",\"version\":\(InstructionDump.schemaVersion),"
                    + "\"log\":\(RowText.json(source.path))}")
        }
    }

    /// The branches of a vCPU begin.
    public mutating func begin(vcpu: UInt16) { printer.begin(vcpu: vcpu) }

    /// The stretches that these branches end.
    public mutating func add(_ batch: borrowing BranchBatch, _ range: Range<Int>) {
        for index in range { printer.add(batch, index, isWanted: true) }
    }

    /// The stretch that one branch ends; not shown when it is not wanted.
    public mutating func add(_ batch: borrowing BranchBatch, _ index: Int, isWanted: Bool) {
        printer.add(batch, index, isWanted: isWanted)
    }

    /// Hands what is left to standard output.
    public mutating func finish() { printer.finish() }
}
