// SPDX-License-Identifier: GPL-2.0-or-later

import Formatting

/// The data block from which the page's script draws the branch streams and the strip.
///
///     strings   every text once
///     lists     the lists of records: where they are in the document, and their records
///     rows      [state, list, index, list, index]: the original's record and the replay's, -1 for none
///     strip     the stretches of both runs, as in the document
struct StreamData {
    let document: DivergenceDocument
    let base: String
    let rows: StreamRows?
    private var numbers: [String: Int] = [:]
    private var strings: [String] = []

    init(_ document: DivergenceDocument, base: String, rows: StreamRows?) {
        self.document = document
        self.base = base
        self.rows = rows
    }

    /// The JSON text.
    mutating func json() -> String {
        var json = ScriptJSON()
        json.raw("{\"lists\":")
        let lists = rows.map { rows in StreamRows.List.allCases.map { records($0, rows.divergence) } } ?? []
        json.list(zip(StreamRows.List.allCases, lists)) { json, entry in
            json.raw("{\"path\":")
            json.string("\(base)/\(entry.0.path)")
            json.raw(",\"event\":")
            json.number(entry.0.isOfEvents ? 1 : 0)
            json.raw(",\"records\":")
            json.list(entry.1) { json, record in json.list(record) { $0.number($1) } }
            json.raw("}")
        }
        json.raw(",\"rows\":")
        json.list(rows?.rows ?? []) { json, row in
            let numbers = [
                row.state.rawValue, row.original?.list.rawValue ?? -1, row.original?.index ?? -1,
                row.replay?.list.rawValue ?? -1, row.replay?.index ?? -1,
            ]
            json.list(numbers) { $0.number($1) }
        }
        json.raw(",\"divergenceRow\":")
        json.number(rows?.divergenceRow ?? 0)
        json.raw(",\"divergence\":")
        json.string(rows?.divergence.original.brctr.description ?? "")
        json.raw(",\"strip\":")
        writeStrip(&json)
        json.raw(",\"strings\":")
        json.list(strings) { $0.string($1) }
        json.raw("}")
        return json.text
    }

    // MARK: Records

    private mutating func number(_ text: String?) -> Int {
        guard let text, !text.isEmpty else { return -1 }
        if let known = numbers[text] { return known }
        numbers[text] = strings.count
        strings.append(text.onOneLine)
        return strings.count - 1
    }

    /// The records of a list, as numbers of strings. Branches: brctr, icount, from, fromSymbol, to, toSymbol, label, source,
    /// toSource. Events: brctr, icount, kind, ip, symbol, details.
    private mutating func records(
        _ list: StreamRows.List, _ divergence: DivergenceDocument.DivergenceItem
    ) -> [[Int]] {
        switch list {
        case .commonBranches: divergence.lastCommonBranches.map { record($0) }
        case .originalBranches: divergence.originalNext.branches.map { record($0) }
        case .replayBranches: divergence.replayNext.branches.map { record($0) }
        case .commonEvents: divergence.lastCommonEvents.map { record($0) }
        case .originalEvents: divergence.originalNext.events.map { record($0) }
        case .replayEvents: divergence.replayNext.events.map { record($0) }
        }
    }

    private mutating func record(_ branch: DivergenceDocument.BranchItem) -> [Int] {
        [
            number(branch.brctr.description), number(branch.icount?.description), number(branch.from.description),
            number(branch.fromSymbol), number(branch.to.description), number(branch.toSymbol), number(branch.label),
            number(branch.source), number(branch.toSource),
        ]
    }

    private mutating func record(_ event: DivergenceDocument.EventItem) -> [Int] {
        [
            number(event.brctr.description), number(event.icount?.description), number(event.kind),
            number(event.ip?.description), number(event.symbol), number(event.details),
        ]
    }

    // MARK: The strip

    private func writeStrip(_ json: inout ScriptJSON) {
        guard let strip = document.strip else { return json.raw("null") }
        json.raw("{\"from\":")
        json.string(strip.from.description)
        json.raw(",\"to\":")
        json.string(strip.to.description)
        json.raw(",\"branches\":")
        json.list(strip.branches) { StreamData.write($1, to: &$0) }
        json.raw(",\"events\":")
        json.list(strip.events) { StreamData.write($1, to: &$0) }
        json.raw("}")
    }

    private static func write(_ stretch: DivergenceDocument.StripItem.Stretch, to json: inout ScriptJSON) {
        json.list([
            stretch.from.description, stretch.to.description, stretch.state.rawValue, stretch.original.description,
            stretch.replay.description,
        ]) { $0.string($1) }
    }
}
