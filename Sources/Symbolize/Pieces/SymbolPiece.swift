// SPDX-License-Identifier: GPL-2.0-or-later

import CElfutils
import Formatting

/// A part of a symbol file: the functions that some addresses touch, with their symbols, lines and inlined copies.
///
/// ``elf(code:sites:)`` writes it as a small ELF file with DWARF 4. A symbolizer and other tools (gdb, eu-addr2line)
/// answer for the addresses of the piece as the whole file does. Functions are taken whole, so that offsets from the
/// beginning of a function or of an inlined copy stay the same.
///
///     if let piece = symbolizer.piece(module: 0, touching: [0xffff_ffff_8100_1234..<0xffff_ffff_8100_1244]) {
///         let bytes = piece.elf { address, count in code.bytes(at: address, count: count) }
///     }
public struct SymbolPiece: Sendable {
    /// A function symbol.
    struct Symbol: Sendable {
        var address: UInt64
        var size: UInt64
        var name: String
        var rank: UInt32
    }

    /// A function or an inlined copy, and its addresses in the piece.
    struct Node: Sendable {
        var name: String
        var callFile: String
        var callLine: UInt32
        /// An index into the nodes; nil for a function.
        var parent: Int?
        var ranges: [Range<UInt64>] = []
    }

    /// A stretch of one source position.
    struct Line: Sendable {
        var range: Range<UInt64>
        var file: String
        var line: UInt32
    }

    /// The addresses of the file that the piece answers for, ascending, apart from each other.
    public internal(set) var ranges: [Range<UInt64>] = []
    /// The GNU build ID of the file; empty if it has none.
    public internal(set) var buildID: [UInt8] = []
    /// The file's processor.
    public internal(set) var machine = Machine.x86_64
    /// Whether the file is of the 64-bit ELF class.
    var is64 = true
    /// Whether it is position-independent (`ET_DYN`).
    var isShared = false
    /// The lowest address of a loaded segment of the file.
    var lowestSegment: UInt64?
    var symbols: [Symbol] = []
    var nodes: [Node] = []
    var lines: [Line] = []

    /// ``buildID`` as hexadecimal digits.
    public var buildIDText: String { hexadecimalText(buildID) }

    /// Whether the piece answers for a part of a range of the file's addresses, and not for all of it.
    public func cuts(_ range: Range<UInt64>) -> Bool {
        let index = ranges.partitioningIndex { $0.upperBound > range.lowerBound }
        guard index < ranges.count, ranges[index].overlaps(range) else { return false }
        return ranges[index].clamped(to: range) != range
    }

    /// The source files that lines or inlined calls of the piece are in, in alphabetical order.
    public var sourceFiles: [String] {
        Set(lines.map(\.file) + nodes.map(\.callFile)).subtracting([""]).sorted()
    }
}

extension Symbolizer {
    /// The part of a module that some addresses touch; nil if the module knows none of them.
    ///
    /// - Parameters:
    ///   - module: An index into ``modules``.
    ///   - touched: Addresses of the run, in any order. Each function that has one of them is taken whole.
    public func piece(module: Int, touching touched: [Range<UInt64>]) throws(SymbolError) -> SymbolPiece? {
        let all = modules
        guard all.indices.contains(module) else { return nil }
        let info = all[module]
        let slide = UInt64(bitPattern: info.slide)
        let inRange = touched.map { $0.clamped(to: info.range) }.filter { !$0.isEmpty }.joinedRanges()
        guard !inRange.isEmpty else { return nil }
        _ = try lookup(for: inRange.flatMap { [$0.lowerBound, $0.upperBound - 1] })
        guard let table = outline(module) else { return nil }
        let own = inRange.map { ($0.lowerBound &- slide)..<($0.upperBound &- slide) }.filter { !$0.isEmpty }
        var maker = PieceMaker(table.view)
        guard var piece = maker.make(own) else { return nil }
        if let image = try? ELFImage(path: info.path, machine: nil, mustBeLinked: false) {
            piece.buildID = image.buildID
            piece.machine = image.machine
            piece.is64 = gelf_getclass(image.handle) == Int32(ELFCLASS64)
            var header = GElf_Ehdr()
            piece.isShared = gelf_getehdr(image.handle, &header) != nil && header.e_type == UInt16(ET_DYN)
        }
        piece.lowestSegment = table.lowestSegment
        return withExtendedLifetime(table) { piece }
    }
}

/// Cuts a piece out of a table.
private struct PieceMaker {
    private let view: SymbolTable.View
    /// The names that were taken, by their numbers.
    private var names: [UInt32: String] = [0: ""]
    private var nodeIndex: [UInt32: Int] = [:]
    private var piece = SymbolPiece()

    /// A function that is longer is cut: the table or the file is damaged, or the symbol is no function.
    private static let functionLimit: UInt64 = 1 << 20
    /// What is kept of it on both sides of an address.
    private static let cutRadius: UInt64 = 1 << 12
    /// Stretches with a smaller gap become one.
    private static let joinDistance: UInt64 = 64
    /// A piece has no more stretches: each is a section.
    private static let rangeLimit = 40_000
    /// Functions that lie in several places are followed so often.
    private static let rounds = 4

    init(_ view: SymbolTable.View) { self.view = view }

    mutating func make(_ touched: [Range<UInt64>]) -> SymbolPiece? {
        var covered = joined(touched.flatMap(functions))
        for _ in 0..<PieceMaker.rounds {
            let missing = beginnings(of: covered).filter { !covered.containsSorted($0) }
            if missing.isEmpty { break }
            covered = joined(covered + missing.flatMap { functions($0..<$0 &+ 1) })
        }
        piece.ranges = Array(covered.prefix(PieceMaker.rangeLimit))
        let view = view
        for range in piece.ranges { view.forEachSegment(in: range) { add($0, $1, $2) } }
        guard !piece.lines.isEmpty || !piece.nodes.isEmpty || addSymbols() else { return nil }
        if piece.symbols.isEmpty { _ = addSymbols() }
        for index in piece.nodes.indices { piece.nodes[index].ranges = piece.nodes[index].ranges.joinedRanges() }
        return piece
    }

    private func joined(_ ranges: [Range<UInt64>]) -> [Range<UInt64>] {
        var result: [Range<UInt64>] = []
        for range in ranges.joinedRanges() {
            if let last = result.last, range.lowerBound - last.upperBound < PieceMaker.joinDistance {
                result[result.count - 1] = last.lowerBound..<range.upperBound
            } else {
                result.append(range)
            }
        }
        return result
    }

    /// The whole functions that a range touches, and the range itself.
    private func functions(_ range: Range<UInt64>) -> [Range<UInt64>] {
        var found = [range]
        var last: UInt32?
        view.forEachSegment(in: range) { low, _, segment in
            guard let symbol = view.symbols[checked: segment.symbol], segment.symbol != last else { return }
            last = segment.symbol
            var end = symbol.address.addingReportingOverflow(symbol.size).partialValue
            if symbol.size == 0 { end = endOfLabel(segment.symbol, from: low) }
            guard symbol.address < end else { return }
            if end - symbol.address <= PieceMaker.functionLimit {
                found.append(symbol.address..<end)
            } else {
                found.append(symbol.address..<symbol.address &+ 1)
                found.append(
                    max(symbol.address, low &- min(low, PieceMaker.cutRadius))..<min(end, low &+ PieceMaker.cutRadius))
            }
        }
        return found.filter { !$0.isEmpty }
    }

    /// Where a symbol without a size ends.
    private func endOfLabel(_ symbol: UInt32, from: UInt64) -> UInt64 {
        var at = from
        while at &- from < PieceMaker.functionLimit {
            let room = view.room(after: at)
            guard room > 0, at &+ room > at, view.segment(at: at).symbol == symbol else { return at }
            at &+= room
        }
        return at
    }

    /// Where the symbols and the nodes of the covered addresses begin.
    private func beginnings(of covered: [Range<UInt64>]) -> [UInt64] {
        var seenNodes: Set<UInt32> = []
        var found: Set<UInt64> = []
        for range in covered {
            view.forEachSegment(in: range) { _, _, segment in
                if let symbol = view.symbols[checked: segment.symbol] { found.insert(symbol.address) }
                var node = segment.node
                while seenNodes.count < Int(UInt32.max), let function = view.nodes[checked: node],
                    seenNodes.insert(node).inserted
                {
                    if let low = view.lows[checked: node] { found.insert(low) }
                    guard function.isInlined else { break }
                    node = function.parent
                }
            }
        }
        return found.sorted()
    }

    private mutating func add(_ low: UInt64, _ high: UInt64, _ segment: SymbolTable.Segment) {
        guard segment != .empty else { return }
        if segment.file != 0 {
            let file = name(segment.file)
            if let last = piece.lines.last, last.range.upperBound == low, last.file == file, last.line == segment.line {
                piece.lines[piece.lines.count - 1].range = last.range.lowerBound..<high
            } else {
                piece.lines.append(SymbolPiece.Line(range: low..<high, file: file, line: segment.line))
            }
        }
        var next = index(of: segment.node, depth: 0)
        while let node = next {
            piece.nodes[node].ranges.append(low..<high)
            next = piece.nodes[node].parent
        }
    }

    /// The piece's node for a node of the table; parents come first.
    private mutating func index(of node: UInt32, depth: Int) -> Int? {
        if let known = nodeIndex[node] { return known }
        guard depth < SymbolTable.chainLimit, let function = view.nodes[checked: node] else { return nil }
        let parent = function.isInlined ? index(of: function.parent, depth: depth + 1) : nil
        let made = piece.nodes.count
        piece.nodes.append(
            SymbolPiece.Node(
                name: name(function.name), callFile: name(function.callFile), callLine: function.callLine,
                parent: parent))
        nodeIndex[node] = made
        return made
    }

    private mutating func name(_ id: UInt32) -> String {
        if let known = names[id] { return known }
        let text = view.name(id)
        names[id] = text
        return text
    }

    /// Adds the symbols at the covered addresses; returns whether there are any.
    private mutating func addSymbols() -> Bool {
        for range in piece.ranges {
            var index = view.firstSymbol(from: range.lowerBound)
            while index < view.symbols.count, view.symbols[index].address < range.upperBound {
                let symbol = view.symbols[index]
                piece.symbols.append(
                    SymbolPiece.Symbol(
                        address: symbol.address, size: symbol.size, name: view.name(symbol.name), rank: symbol.rank))
                index += 1
            }
        }
        return !piece.symbols.isEmpty
    }
}

extension SymbolTable.View {
    /// Calls `body` with the parts of a range of the file's addresses and what the table has there.
    fileprivate func forEachSegment(
        in range: Range<UInt64>, _ body: (UInt64, UInt64, SymbolTable.Segment) -> Void
    ) {
        var at = range.lowerBound
        while at < range.upperBound {
            let room = room(after: at)
            guard room > 0 else {
                // Nothing is known up to the next region.
                let next = (0..<regions.count).partitioningIndex { regions[$0].base > at }
                guard next < regions.count else { return }
                at = regions[next].base
                continue
            }
            let (end, overflow) = at.addingReportingOverflow(room)
            let high = overflow ? range.upperBound : min(end, range.upperBound)
            body(at, high, segment(at: at))
            at = high
        }
    }
}
