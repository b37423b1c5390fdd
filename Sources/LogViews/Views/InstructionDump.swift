// SPDX-License-Identifier: GPL-2.0-or-later

import BranchAnalysis
import Formatting
import LogFormat
import MachineCode
import Symbolize

/// `bts-dump --instructions`: the instructions between branches, disassembled from the files of `--symbols`. Rows are those
/// of ``InstructionRows``.
public struct InstructionDump: BranchView, ~Copyable {
    /// The name and version of the rows.
    public static let schema = RowSchema("bts-dump instructions", version: 1)

    private var printer: InstructionPrinter
    private let code: CodeMap
    private let disassembler: Disassembler
    private let isJSON: Bool

    /// Reads the code of the symbolizer's files; reports those that have none.
    ///
    /// - Parameters:
    ///   - machine: ELF `e_machine` of the run; `nil` accepts both kinds of x86.
    ///   - lines: in text, source lines beside the names.
    ///   - functions: only instructions here; all if empty.
    public init(
        _ symbolizer: Symbolizer, to output: ViewOutput, machine: Machine?, isJSON: Bool, lines: Bool,
        syntax: Disassembler.Syntax,
        functions: AddressRanges = AddressRanges([])
    ) throws {
        let disassembler = try Disassembler(syntax: syntax)
        var (code, warnings) = CodeMap.of(symbolizer.modules, machine: machine)
        for warning in warnings { output.report(.warning(warning.description)) }
        try code.findPatchSites(disassembler)
        let style = InstructionRows.Style(isJSON: isJSON, showsVCPU: false, hasIcount: false, widths: (1, 1))
        let words = InstructionWords(
            code: code, disassembler: disassembler, symbolizer: symbolizer,
            style: isJSON ? .json : .text(lines: lines), isJSON: isJSON)
        printer = InstructionPrinter(
            InstructionWalk(hasIcount: false, code, disassembler),
            InstructionRows(to: output.sink, style, words, symbolizer, lines: lines), hasLabels: false,
            functions: functions)
        self.code = code
        self.disassembler = disassembler
        self.isJSON = isJSON
    }

    /// Begins the branches of an input.
    public mutating func begin(_ input: ViewInput) {
        printer.begin(input, InstructionWalk(hasIcount: input.hasIcount, code, disassembler))
        if isJSON {
            printer.rows.line(InstructionDump.schema.header(log: input.path))
        } else if let heading = input.heading {
            printer.rows.line(heading)
        }
    }

    /// Begins the branches of a vCPU.
    public mutating func begin(vcpu: UInt16) { printer.begin(vcpu: vcpu) }

    /// The stretches that these branches end.
    public mutating func add(_ batch: borrowing BranchBatch, _ range: Range<Int>) {
        for index in range { printer.add(batch, index, isWanted: true) }
    }

    /// The stretches that these branches end, not shown.
    public mutating func pass(_ batch: borrowing BranchBatch, _ range: Range<Int>) {
        for index in range { printer.add(batch, index, isWanted: false) }
    }

    /// Rows written so far.
    public var rowCount: UInt64 { printer.rows.count }

    /// Whether the output would stay the same with further branches.
    public var isOver: Bool { printer.rows.isClosed }

    /// Writes the rest to the sink.
    public mutating func finish() { printer.finish() }
}
