// SPDX-License-Identifier: GPL-2.0-or-later

import Alignment
import Formatting
import LogFormat
import Reporting
import RunDirectory
import Symbolize
import Synchronization
import ToolSupport

/// Compares many pairs of runs, several at a time, and writes one line for each pair in the list's order.
///
/// An output file with the lines of an earlier, interrupted call is continued.
struct Fleet {
    let list: PairList
    let options: CompareOptions
    /// The output: JSON lines.
    let path: String

    /// Pairs that one thread compares before their lines are written.
    private static let pairsOfThread = 8

    /// Compares the pairs that the output does not have.
    ///
    /// - Returns: The table of all pairs.
    func run() throws -> FleetTable {
        var table = FleetTable()
        let output = try FleetOutput(path)
        var done = try output.resume(list.pairs, &table)
        var alignmentOptions = try options.alignmentOptions()
        alignmentOptions.contextCount = 1
        alignmentOptions.stackReach = 0
        let progress = Progress("comparing", unit: "pairs", total: UInt64(list.pairs.count))
        var symbolizer: Symbolizer?
        while done < list.pairs.count {
            let batch = done..<min(done + Parallel.threadCount * Fleet.pairsOfThread, list.pairs.count)
            var lines = compare(batch, alignmentOptions)
            var text = ""
            for index in lines.indices {
                try name(&lines[index], &symbolizer)
                text += try lines[index].json() + "\n"
                table.add(lines[index])
            }
            try output.write(text)
            done = batch.upperBound
            progress.update(fraction: Double(done) / Double(list.pairs.count))
        }
        progress.finish()
        SymbolOptions.finish(symbolizer)
        return table
    }

    /// Adds the symbol of a line's place. The symbols are placed as the line's original has them: another pair can have
    /// another slide.
    private func name(_ line: inout FleetLine, _ symbolizer: inout Symbolizer?) throws {
        guard options.symbols.isGiven, let ip = line.ip else { return }
        let log = try LogFile.open(path: line.original)
        if symbolizer.map({ options.symbols.isPlacedElsewhere($0, in: log) }) ?? true {
            SymbolOptions.finish(symbolizer)
            symbolizer = try Comparison.symbolizer(options.symbols, options.symbols.files, log, isGiven: true)
        }
        if let label = symbolizer?.symbolize(ip.rawValue)?.label, !label.isEmpty { line.symbol = label }
    }

    // MARK: Comparing

    /// The next pair of a batch that no thread has taken.
    private final class Work: Sendable {
        let next: Atomic<Int>

        init(_ first: Int) { next = Atomic(first) }
    }

    /// Compares a batch. A thread that is done takes the next pair: pairs can differ much in size.
    private func compare(_ batch: Range<Int>, _ alignmentOptions: AlignmentOptions) -> [FleetLine] {
        let results = Parallel.Results<FleetLine>(batch.count)
        let (pairs, work) = (list.pairs, Work(batch.lowerBound))
        Parallel.run(min(Parallel.threadCount, batch.count)) { _ in
            while true {
                let index = work.next.add(1, ordering: .relaxed).oldValue
                guard index < batch.upperBound else { return }
                results.put(Fleet.line(index, pairs[index], alignmentOptions), at: index - batch.lowerBound)
            }
        }
        return results.take()
    }

    private static func line(_ index: Int, _ pair: PairList.Pair, _ options: AlignmentOptions) -> FleetLine {
        do {
            let logs = (try LogFile.open(path: pair.original), try LogFile.open(path: pair.replay))
            let alignment = try align(logs.0, logs.1, options: options)
            let settings = [pair.original, pair.replay].map {
                Comparison.manifest(of: $0).map(RunSetting.all) ?? []
            }
            let document = DivergenceDocument(
                alignment, original: ReportedRun(logs.0, settings: settings[0]),
                replay: ReportedRun(logs.1, settings: settings[1]))
            return FleetLine(index: index, original: pair.original, replay: pair.replay, document: document)
        } catch {
            return FleetLine(index: index, original: pair.original, replay: pair.replay, error: "\(error)")
        }
    }
}
