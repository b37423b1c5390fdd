// SPDX-License-Identifier: GPL-2.0-or-later

import Formatting

/// A source position holds from an address on.
private typealias LineBoundary = LineRow

extension TableBuilder {
    /// Puts what the readers found together to one table.
    static func assemble(
        _ readers: [UnitReader], _ symbols: Symbols, text: [Range<UInt64>], lowestSegment: UInt64?,
        part: Part? = nil
    ) -> SymbolTable? {
        var names = symbols.names
        let maps = readers.map { names.absorb($0.names) }
        let memory = TableMemory()
        let (nodes, lows, firstNode) = joinNodes(readers, maps, memory)
        LinkageNames(readers, firstNode, symbols.symbols).apply(to: nodes, &names)

        let boundaries = Parallel.Results<[Boundary]>(1)
        let rows = Parallel.Results<[LineRow]>(1)
        let shared = Shared(readers: readers, maps: maps, firstNode: firstNode)
        Parallel.run(2) { part in
            if part == 0 { boundaries.put(shared.functionBoundaries(), at: 0) }
            if part == 1 { rows.put(shared.lineBoundaries(), at: 0) }
        }
        guard let byNode = boundaries.take().first, let byLine = rows.take().first else { return nil }

        var merge = TableMerge(capacity: symbols.boundaries.count + byNode.count + byLine.count, memory: memory)
        merge.run(symbols.boundaries, byNode, byLine)
        let (regions, blocks) = merge.index(memory)
        let view = SymbolTable.View(
            regions: memory.keep(regions), blocks: blocks, segments: merge.segmentColumn,
            nodes: SymbolTable.Column(start: UnsafePointer(nodes.baseAddress!), count: nodes.count), lows: lows,
            symbols: memory.keep(symbols.symbols), names: memory.keep(names.bytes),
            text: memory.keep(text.map { SymbolTable.TextRange($0) }),
            covered: memory.keep((part?.covered ?? SymbolTable.everything).map { SymbolTable.TextRange($0) }),
            units: memory.keep(part?.units ?? []), needsEscapes: names.needsEscapes)
        return SymbolTable(
            view, low: text.first?.lowerBound ?? 0, high: text.last?.upperBound ?? 0, lowestSegment: lowestSegment,
            functionCount: nodes.count, hasDWARF: part != nil || readers.contains { $0.compileUnits > 0 }, owner: memory
        )
    }

    /// All nodes, where their code begins, and the number of each reader's first.
    private static func joinNodes(
        _ readers: [UnitReader], _ maps: [[StringPool.ID]], _ memory: TableMemory
    ) -> (UnsafeMutableBufferPointer<SymbolTable.Node>, SymbolTable.Column<UInt64>, [UInt32]) {
        let count = readers.reduce(0) { $0 &+ $1.nodes.count }
        let nodes = memory.allocate(count, SymbolTable.Node.self)
        let lows = memory.allocate(count, UInt64.self)
        var firsts: [UInt32] = []
        var at = 0
        for (reader, map) in zip(readers, maps) {
            let first = UInt32(truncatingIfNeeded: at)
            firsts.append(first)
            for node in reader.nodes {
                nodes[at] = SymbolTable.Node(
                    name: map[Int(node.name)], callFile: map[Int(node.callFile)], callLine: node.callLine,
                    parent: node.isInlined ? node.parent &+ first : FunctionNode.noParent)
                lows[at] = node.low
                at &+= 1
            }
        }
        return (
            UnsafeMutableBufferPointer(start: nodes, count: count),
            SymbolTable.Column(start: UnsafePointer(lows), count: count), firsts
        )
    }
}

/// What the readers found, in the order of the units: which thread took which unit must not show.
private struct Shared: @unchecked Sendable {
    let readers: [UnitReader]
    let maps: [[StringPool.ID]]
    let firstNode: [UInt32]
    private let order: [(reader: Int, result: UnitReader.Result)]

    init(readers: [UnitReader], maps: [[StringPool.ID]], firstNode: [UInt32]) {
        self.readers = readers
        self.maps = maps
        self.firstNode = firstNode
        order = readers.indices.flatMap { reader in
            readers[reader].results.map { (reader: reader, result: $0) }
        }.sorted { $0.result.unit < $1.result.unit }
    }

    /// Which node each address belongs to.
    func functionBoundaries() -> [Boundary] {
        var intervals: [Interval] = []
        intervals.reserveCapacity(readers.reduce(0) { $0 &+ $1.intervals.count })
        for (reader, result) in order {
            let first = firstNode[reader]
            readers[reader].intervals.withUnsafeBufferPointer { source in
                for index in result.intervals {
                    var interval = source[index]
                    interval.value &+= first
                    intervals.append(interval)
                }
            }
        }
        return innermost(intervals)
    }

    private struct PlacedSequence: BitwiseCopyable {
        var sequence: LineSequence
        var reader: UInt32
    }

    /// Which source position holds from where on; file 0 where none does. At one address the last row holds, and the
    /// end of a sequence gives way to the beginning of another.
    func lineBoundaries() -> [LineRow] {
        var sequences: [PlacedSequence] = []
        for (reader, result) in order {
            for index in result.sequences {
                sequences.append(
                    PlacedSequence(sequence: readers[reader].sequences[index], reader: UInt32(reader)))
            }
        }
        let sorted = sortedOrder(sequences.count, key: { sequences[$0].sequence.low }, areInOrder: <).map {
            sequences[Int($0)]
        }
        let overlap = zip(sorted, sorted.dropFirst()).contains { $1.sequence.low < $0.sequence.end }
        var rows: [LineRow] = []
        rows.reserveCapacity(sequences.reduce(0) { $0 &+ Int($1.sequence.count) &+ 1 })
        func add(_ row: LineRow) {
            if let last = rows.last {
                if last.address == row.address { rows.removeLast() }
                if let last = rows.last, last.file == row.file, last.line == row.line { return }
            }
            rows.append(row)
        }
        if !overlap {
            for placed in sorted { forEachRow(placed) { row, _ in add(row) } }
            return rows
        }
        // Code that two units describe: row by row.
        var all: [(row: LineRow, isEnd: Bool)] = []
        for placed in sequences { forEachRow(placed) { all.append(($0, $1)) } }
        func areInOrder(_ first: Int, _ second: Int) -> Bool {
            (all[first].isEnd ? 0 : 1, first) < (all[second].isEnd ? 0 : 1, second)
        }
        let byAddress = sortedOrder(all.count, key: { all[$0].row.address }, areInOrder: areInOrder)
        for index in byAddress { add(all[Int(index)].row) }
        return rows
    }

    @inline(__always)
    private func forEachRow(_ placed: PlacedSequence, _ body: (LineRow, Bool) -> Void) {
        let first = Int(placed.sequence.first)
        readers[Int(placed.reader)].rows.withUnsafeBufferPointer { source in
            maps[Int(placed.reader)].withUnsafeBufferPointer { map in
                for index in first..<first &+ Int(placed.sequence.count) {
                    var row = source[index]
                    row.file = map[Int(row.file)]
                    body(row, false)
                }
            }
        }
        body(LineRow(address: placed.sequence.end, file: 0, line: 0), true)
    }
}
