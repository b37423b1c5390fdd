// SPDX-License-Identifier: GPL-2.0-or-later

import BranchAnalysis
import Formatting
import LogFormat
import Symbolize

/// `--sort`: the order of rows with counts.
public enum CountOrder: String, CaseIterable, Sendable {
    /// The highest count first.
    case count
    /// By address; by file and line.
    case address
}

/// `bts-dump --edges`: the distinct branches and how often each was taken, all vCPUs and all inputs together.
///
///     text   1234  0xffffffff81000010 <foo+0x10> -> 0xffffffff81000400 <bar>  call!
///     jsonl  {"count":"1234","from":"0x…","to":"0x…","label":"call","static":true,"discontinuity":false,
///             "fromPlace":{…},"toPlace":{…}}
///     csv    count,from,to,label,static,discontinuity[,from_symbol,from_source,to_symbol,to_source]
///
/// Branches are distinct when they differ in from, to or class, `!` included.
public struct EdgeDump: BranchView, ~Copyable {
    /// The name, version and columns of the rows, without those of places.
    public static let schema = RowSchema(
        "bts-dump edges", version: 1, columns: ["count", "from", "to", "label", "static", "discontinuity"])

    private var edges: PairCounts
    private var paths: [String] = []
    private var rows: BranchRows
    private let order: CountOrder

    /// - Parameters:
    ///   - lines: in text, source lines beside the names.
    ///   - limit: the number of distinct branches that are counted; further ones are not.
    public init(
        to sink: any TextSink, format: RowFormat, symbolizer: Symbolizer?, style: BranchStyle, lines: Bool,
        order: CountOrder, limit: Int = 1 << 22
    ) {
        self.order = order
        edges = PairCounts(limit: limit)
        rows = BranchRows(to: sink, format: format, symbolizer: symbolizer, style: style, lines: lines)
    }

    /// Begins the branches of an input.
    public mutating func begin(_ input: ViewInput) { paths.append(input.path) }

    /// Takes selected branches.
    public mutating func add(_ batch: borrowing BranchBatch, _ range: Range<Int>) {
        let first = range.lowerBound
        edges.add(
            first: batch.from + first, second: batch.to + first, tags: batch.label + first, count: range.count)
    }

    /// Writes the rows. Throws ``ViewError/tooMany(what:limit:leftOut:)`` after them if there were more distinct branches
    /// than can be counted; the counts of the rows are right.
    public mutating func finish() throws {
        var pairs = edges.pairs()
        if order == .count {
            pairs.sort {
                $0.count != $1.count
                    ? $0.count > $1.count : ($0.first, $0.second, $0.tag) < ($1.first, $1.second, $1.tag)
            }
        }
        rows.writeEdges(pairs, logs: paths)
        if edges.leftOut > 0 {
            throw ViewError.tooMany(what: "branches", limit: edges.limit, leftOut: UInt64(edges.leftOut))
        }
    }
}
