// SPDX-License-Identifier: GPL-2.0-or-later

import Foundation

@testable import Symbolize

extension ScratchDirectory {
    /// The path of a file in here that need not exist yet.
    func path(_ name: String) -> String { url.appendingPathComponent(name).path }
}

/// A table that holds this and nothing else, however wild.
func makeTable(
    regions: [SymbolTable.Region], blocks: [SymbolTable.Block], segments: [SymbolTable.Segment],
    nodes: [SymbolTable.Node] = [], lows: [UInt64] = [], symbols: [FunctionSymbol] = [], names: [UInt8] = [0]
) -> SymbolTable? {
    let memory = TableMemory()
    let view = SymbolTable.View(
        regions: memory.keep(regions), blocks: memory.keep(blocks), segments: memory.keep(segments),
        nodes: memory.keep(nodes), lows: memory.keep(lows), symbols: memory.keep(symbols), names: memory.keep(names),
        text: memory.keep([]), covered: memory.keep(SymbolTable.everything.map { SymbolTable.TextRange($0) }),
        units: memory.keep([]), needsEscapes: true)
    return SymbolTable(
        view, low: 0, high: .max, lowestSegment: nil, functionCount: nodes.count, hasDWARF: true, owner: memory)
}
