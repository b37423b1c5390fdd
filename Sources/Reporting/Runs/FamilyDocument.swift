// SPDX-License-Identifier: GPL-2.0-or-later

import Alignment
import Formatting
import FoundationEssentials
import LogFormat

/// Good runs against bad runs, as data. Text and JSON are renderers of it.
public struct FamilyDocument: Codable, Hashable, Sendable {
    /// The schema's name: `tt-analyze diverge --against`.
    public static let schemaName = "tt-analyze runs"
    /// The version of the schema.
    public static let currentVersion = 1

    /// The schema's name.
    public var schema = FamilyDocument.schemaName
    /// The schema's version.
    public var version = FamilyDocument.currentVersion
    /// The good run that shares the longest prefix with a bad run.
    public var reference: String
    /// All runs, the good ones first.
    public var runs: [Run]
    /// The runs by the place at which they part from the reference.
    public var groups: [Group]
    /// The first element at which all good and all bad runs part; nil if there is none.
    public var critical: Critical?

    /// One run, compared with the reference.
    public struct Run: Codable, Hashable, Sendable {
        /// The log's path.
        public var path: String
        /// Whether the run is a good one.
        public var isGood: Bool
        /// The verdict against the reference.
        public var verdict: Verdict.Kind
        /// The place at which it parts from the reference; nil if it does not.
        public var brctr: Counter?
    }

    /// Runs that part from the reference at one place.
    public struct Group: Codable, Hashable, Sendable {
        /// The verdict.
        public var verdict: Verdict.Kind
        /// The verdict in words.
        public var title: String
        /// The place; nil for runs without a divergence.
        public var brctr: Counter?
        /// The address there.
        public var ip: HexWord?
        /// The symbol at `ip`.
        public var symbol: String?
        /// The number of good runs that part there.
        public var good: Int
        /// The number of bad runs that part there.
        public var bad: Int
    }

    /// The element at which all good and all bad runs part.
    public struct Critical: Codable, Hashable, Sendable {
        /// The verdict.
        public var verdict: Verdict.Kind
        /// The position in the good runs.
        public var goodBrctr: Counter
        /// The position in the bad runs.
        public var badBrctr: Counter
        /// The good runs' element there, in words.
        public var good: String
        /// The bad runs' element there, in words.
        public var bad: String
    }

    /// Whether a run differs from the reference: the exit status of a tool is then 1.
    public var isDifferent: Bool { runs.contains { $0.verdict != .identical } }

    /// Makes the document of a comparison.
    ///
    /// - Parameter run: describes the reference; its symbolizer names addresses.
    public init(_ family: RunFamily, reference run: ReportedRun) {
        let names = Names(symbolizer: run.symbolizer)
        reference = family.members[family.reference].path
        runs = family.members.map { member in
            Run(
                path: member.path, isGood: member.isGood, verdict: member.verdict.kind,
                brctr: member.divergence.map { Counter($0.difference?.clock ?? $0.original.clock) })
        }
        groups = family.groups.map { group in
            Group(
                verdict: group.verdict, title: family.members[group.members[0]].verdict.title,
                brctr: group.clock.map(Counter.init(_:)), ip: group.ip.map(HexWord.init(_:)),
                symbol: group.ip.flatMap(names.symbol), good: group.members.count { family.members[$0].isGood },
                bad: group.members.count { !family.members[$0].isGood })
        }
        critical = family.critical.map { found in
            Critical(
                verdict: found.verdict, goodBrctr: Counter(found.good.clock), badBrctr: Counter(found.bad.clock),
                good: FamilyDocument.text(found.original, names), bad: FamilyDocument.text(found.replay, names))
        }
    }

    private static func text(_ element: Element?, _ names: Names) -> String {
        switch element {
        case nil: return "nothing there"
        case .branch(let branch)?:
            return "\(RowText.hex(branch.from))\(ShortName.suffix(names.symbol(branch.from))) -> "
                + "\(RowText.hex(branch.to))\(ShortName.suffix(names.symbol(branch.to))) \(branch.label.name)"
        case .event(let event)?:
            let place = event.validity.contains(.ip) ? " at \(RowText.hex(event.ip))" : ""
            let symbol = event.validity.contains(.ip) ? ShortName.suffix(names.symbol(event.ip)) : ""
            let details = event.details { ShortName.suffix(names.symbol($0)) }
            return "\(event.kind.name)\(place)\(symbol)\(details.isEmpty ? "" : ": \(details)")"
        }
    }

    // MARK: Renderers

    /// The document as JSON text, with sorted keys and without a final newline.
    public func json() throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        return String(decoding: try encoder.encode(self), as: UTF8.self)
    }

    /// One JSON object a line, for each run.
    public func jsonLines() throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return try runs.map { String(decoding: try encoder.encode($0), as: UTF8.self) + "\n" }.joined()
    }

    /// The document as text for a terminal.
    public func text(_ style: TextStyle = TextStyle()) -> String {
        var page = TextPage(style)
        let bad = runs.count { !$0.isGood }
        page.line(page.styled("\(runs.count - bad) good and \(bad) bad runs", .bold))
        page.prose("reference: \(reference.onOneLine), the good run with the longest common prefix")
        page.heading("where the runs part from it")
        for group in groups {
            let place = group.brctr.map { "brctr \($0)" } ?? "nowhere"
            let address = group.ip.map { " \($0)\(ShortName.suffix(group.symbol))" } ?? ""
            page.pieces(
                ["  \(place.padded(to: 18)) \(group.good) good, \(group.bad) bad:", "\(group.title)\(address)"],
                hanging: 4)
        }
        page.heading("critical element")
        if let critical {
            page.prose("all bad runs differ from all good runs here first: \(critical.verdict.rawValue)")
            page.pieces(["  good  brctr \(critical.goodBrctr)", critical.good.onOneLine], hanging: 8)
            page.pieces(["  bad   brctr \(critical.badBrctr)", critical.bad.onOneLine], hanging: 8)
        } else {
            page.prose("none: there is no element at which all bad runs differ in one way from all good runs")
        }
        return page.text
    }
}
