// SPDX-License-Identifier: GPL-2.0-or-later

import LogFormat
import LogViews
import Symbolize
import ToolSupport

extension DumpView {
    /// All views; the first one that the options choose is shown.
    static let all = [calls, folded, instructions, edges, coverage, perfetto, profile, extract]

    /// One branch a row.
    static let branches = DumpView(
        formats: [.text, .jsonl, .csv], styles: BranchStyle.allCases, folds: true, isChosen: { _ in false },
        show: { run in
            let text = run.options.text
            var view = BranchRows(
                to: run.output.sink, format: run.format, symbolizer: run.symbolizer, style: text.style,
                lines: text.lines, folds: run.options.folding.isOn)
            return try run.run(&view)
        })

    static let calls = DumpView(
        option: "--calls", formats: [.text, .jsonl], needsWholeSymbols: true, needsLabels: true,
        isChosen: { $0.calls.calls },
        show: { run in
            var view = CallTreeDump(
                to: run.output, format: run.format, symbolizer: run.symbolizer, depthLimit: run.options.calls.depth)
            return try run.run(&view)
        })

    static let folded = DumpView(
        option: "--folded", formats: [.text, .jsonl], needsWholeSymbols: true, needsLabels: true,
        isChosen: { $0.calls.folded },
        show: { run in
            let hasIcount = run.walk.views.allSatisfy(\.hasIcount)
            var view = FoldedDump(
                to: run.output, format: run.format, symbolizer: run.symbolizer, hasIcount: hasIcount)
            return try run.run(&view)
        })

    static let instructions = DumpView(
        option: "--instructions", formats: [.text, .jsonl], symbolNeed: "whose code it disassembles",
        needsWholeSymbols: true, isChosen: { $0.instructions }, show: showInstructions)

    static let edges = DumpView(
        option: "--edges", formats: [.text, .jsonl, .csv], styles: [.plain, .gdb, .inline], needsWholeSymbols: true,
        isChosen: { $0.counts.edges },
        show: { run in
            let (text, order) = (run.options.text, run.options.counts.sort)
            var view = EdgeDump(
                to: run.output.sink, format: run.format, symbolizer: run.symbolizer, style: text.style,
                lines: text.lines, order: order)
            return try run.run(&view)
        })

    static let coverage = DumpView(
        option: "--coverage", formats: [.text, .jsonl, .csv], symbolNeed: "whose functions and lines it counts",
        needsWholeSymbols: true, isChosen: { $0.counts.coverage },
        show: { run in
            guard let symbolizer = run.symbolizer else { return 0 }
            let form = run.options.chosenFormat.map { CoverageDump.Form.rows($0) } ?? .lcov
            var view = CoverageDump(
                symbolizer, to: run.output, machine: run.walk.machine, form: form, order: run.options.counts.sort)
            return try run.run(&view)
        })

    static let perfetto = DumpView(
        option: "--perfetto", formats: [], needsWholeSymbols: true, needsLabels: true,
        isChosen: { $0.exports.perfetto },
        show: { run in
            var view = TraceJSONDump(
                to: run.output, symbolizer: run.symbolizer, depthLimit: run.options.calls.depth)
            return try run.run(&view)
        })

    static let profile = DumpView(
        option: "--fdo", formats: [], symbolNeed: "the program to optimise", needsLabels: true,
        isChosen: { $0.exports.fdo != nil },
        show: { run in
            guard let format = run.options.exports.fdo, let symbolizer = run.symbolizer,
                let program = run.options.symbols.inputPrograms.first ?? symbolizer.modules.first?.path
            else { return 0 }
            var view = ProfileDump(to: run.output, format: format, symbolizer: symbolizer, program: program)
            return try run.run(&view)
        })

    static let extract = DumpView(
        option: "--extract", formats: [], isChosen: { $0.extraction.extract != nil }, show: showExtract)

    private static func showInstructions(_ run: consuming DumpRun) throws -> UInt64 {
        guard let symbolizer = run.symbolizer else { return 0 }
        let isJSON =
            switch run.format {
            case .jsonl: true
            case .text, .csv: false
            }
        // The instructions of a function, and not the branches from and to it.
        run.walk.selection.functions = nil
        var view = try InstructionDump(
            symbolizer, to: run.output, machine: run.walk.machine, isJSON: isJSON,
            lines: run.options.text.lines, syntax: run.options.instructionOptions.syntax,
            functions: try run.options.selection.functionRanges(symbolizer))
        _ = try run.run(&view)
        return view.rowCount
    }

    private static func showExtract(_ run: consuming DumpRun) throws -> UInt64 {
        let options = run.options.extraction
        guard let path = options.extract else { return 0 }
        try OutputFile.refuse(path, overInputs: run.walk.views.map(\.path) + run.options.symbols.inputs)
        let writer = try RawBTSWriter(path: path, form: options.extended ? .extended : .plain, replaces: options.force)
        var view = BranchExtract(writer, report: run.output.report)
        return try run.run(&view, isQuiet: false)
    }
}
