// SPDX-License-Identifier: GPL-2.0-or-later

import Alignment
import Formatting
@preconcurrency import Glibc
import LogFormat
import Reporting
import RunDirectory
import Symbolize
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
    /// The largest output that is continued, in bytes.
    private static let outputLimit = 1 << 30

    /// Compares the pairs that the output does not have.
    ///
    /// - Returns: The table of all pairs.
    func run() throws -> FleetTable {
        var table = FleetTable()
        let file = try openOutput()
        defer { close(file) }
        var done = try continueOutput(file, &table)
        var alignmentOptions = try options.alignmentOptions()
        alignmentOptions.contextCount = 1
        alignmentOptions.stackReach = 0
        let progress = Progress("comparing", unit: "pairs", total: UInt64(list.pairs.count))
        var symbolizer: Symbolizer?
        while done < list.pairs.count {
            let batch = done..<min(done + Parallel.threadCount * Fleet.pairsOfThread, list.pairs.count)
            var lines = compare(batch, alignmentOptions)
            if options.symbols.isGiven, symbolizer == nil, let line = lines.first(where: { $0.ip != nil }) {
                let log = try LogFile.open(path: line.original)
                symbolizer = try Comparison.symbolizer(options.symbols, options.symbols.files, log, isGiven: true)
            }
            var text = ""
            for index in lines.indices {
                if let ip = lines[index].ip, let label = symbolizer?.symbolize(ip.rawValue)?.label, !label.isEmpty {
                    lines[index].symbol = label
                }
                text += try lines[index].json() + "\n"
                table.add(lines[index])
            }
            try write(text, file)
            done = batch.upperBound
            progress.update(fraction: Double(done) / Double(list.pairs.count))
        }
        progress.finish()
        SymbolOptions.finish(symbolizer)
        return table
    }

    // MARK: Comparing

    private func compare(_ batch: Range<Int>, _ alignmentOptions: AlignmentOptions) -> [FleetLine] {
        let threads = min(Parallel.threadCount, batch.count)
        let results = Parallel.Results<FleetLine>(batch.count)
        let pairs = list.pairs
        Parallel.run(threads) { thread in
            for index in stride(from: batch.lowerBound + thread, to: batch.upperBound, by: threads) {
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

    // MARK: The output

    /// Opens the output and locks it, so that two calls do not write to one file.
    private func openOutput() throws -> Int32 {
        let file = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0o666)
        guard file >= 0 else {
            throw DivergeError("\(path.onOneLine): cannot be opened: \(String(cString: strerror(errno)))")
        }
        guard flock(file, LOCK_EX | LOCK_NB) == 0 else {
            close(file)
            throw DivergeError("\(path.onOneLine): another tt-analyze is writing to it")
        }
        return file
    }

    /// Checks the lines that the output has, and cuts off an incomplete last one.
    ///
    /// - Returns: The number of pairs that are done.
    private func continueOutput(_ file: Int32, _ table: inout FleetTable) throws -> Int {
        let bytes = try PlainFile(path, what: "output").contents(limit: Fleet.outputLimit)
        let end = bytes.lastIndex(of: UInt8(ascii: "\n")).map { $0 + 1 } ?? 0
        var done = 0
        for text in bytes[..<end].split(separator: UInt8(ascii: "\n")) {
            guard let line = try? FleetLine(json: String(decoding: text, as: UTF8.self)), line.index == done,
                done < list.pairs.count, list.pairs[done] == PairList.Pair(original: line.original, replay: line.replay)
            else {
                throw DivergeError(
                    "\(path.onOneLine), line \(done + 1): not the line of pair \(done) of this list; remove the file, or "
                        + "name another one")
            }
            table.add(line)
            done += 1
        }
        guard end == bytes.count || ftruncate(file, off_t(end)) == 0 else {
            throw DivergeError("\(path.onOneLine): cannot be cut: \(String(cString: strerror(errno)))")
        }
        return done
    }

    private func write(_ text: String, _ file: Int32) throws {
        var bytes = Array(text.utf8)[...]
        while !bytes.isEmpty {
            let written = bytes.withUnsafeBytes { Glibc.write(file, $0.baseAddress, $0.count) }
            guard written > 0 else {
                if errno == EINTR { continue }
                throw DivergeError("\(path.onOneLine): cannot be written: \(String(cString: strerror(errno)))")
            }
            bytes = bytes.dropFirst(written)
        }
    }
}
