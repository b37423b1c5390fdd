// SPDX-License-Identifier: GPL-2.0-or-later

import Formatting
import Glibc

/// What an address is, as numbers: the answer of ``SymbolLookup/find(_:)``. Its texts are made on demand.
public struct SymbolHit: Hashable, Sendable, BitwiseCopyable {
    /// The address in the file's own terms (the slide taken off).
    public var address: UInt64
    /// The module, an index into ``Symbolizer/modules``; all ones when no file knows the address.
    public var module: UInt32
    var symbol: UInt32
    var node: UInt32
    var file: UInt32
    /// The source line; 0 when it is not known.
    public var line: UInt32

    static let unknown = SymbolHit(
        address: 0, module: .max, symbol: Boundary.none, node: Boundary.none, file: 0, line: 0)

    /// Whether any file knows the address.
    public var isKnown: Bool { module != .max }
    /// Whether there is a function, from DWARF or from the symbol table.
    public var hasFunction: Bool { node != Boundary.none || symbol != Boundary.none }
}

/// One level of an inline chain, as numbers.
public struct FrameHit: Hashable, Sendable, BitwiseCopyable {
    var module: UInt32
    var node: UInt32
    var name: UInt32
    var file: UInt32
    /// The source line; 0 when it is not known.
    public var line: UInt32
    /// Whether this is a function inlined into the next frame.
    public var isInlined: Bool

    /// Whether the source file is known.
    public var hasFile: Bool { file != 0 }
}

/// The modules of a ``Symbolizer`` as they are at one moment, for hot loops: no lock, no allocation, any thread.
///
///     let lookup = symbolizer.lookup
///     for address in addresses {
///         let hit = lookup.find(address)
///         counts[hit.line] += 1
///         lookup.forEachFrame(hit) { frame in ... lookup.withFunctionName(frame) { ... } }
///     }
public struct SymbolLookup: @unchecked Sendable {
    /// A stretch of addresses of the run, and the modules that answer there, in order.
    struct Piece {
        var low: UInt64
        var high: UInt64
        var first: Int32
        var count: Int32
    }

    struct Candidate {
        var slide: UInt64
        var module: UInt32
        var table: SymbolTable.View
    }

    /// Keeps the memory of the pieces and candidates.
    private final class Storage {
        let pieces: UnsafeMutableBufferPointer<Piece>
        let candidates: UnsafeMutableBufferPointer<Candidate>
        let views: UnsafeMutableBufferPointer<SymbolTable.View>
        /// Keeps what the views point into.
        let tables: [SymbolTable]

        init(_ pieces: [Piece], _ candidates: [Candidate], _ tables: [SymbolTable]) {
            self.tables = tables
            views = .allocate(capacity: tables.count)
            _ = views.initialize(from: tables.map(\.view))
            self.pieces = .allocate(capacity: pieces.count)
            _ = self.pieces.initialize(from: pieces)
            self.candidates = .allocate(capacity: candidates.count)
            _ = self.candidates.initialize(from: candidates)
        }

        deinit {
            pieces.deallocate()
            candidates.deallocate()
            views.deallocate()
        }
    }

    private let storage: Storage
    let pieces: UnsafeMutableBufferPointer<Piece>
    let candidates: UnsafeMutableBufferPointer<Candidate>
    let tables: UnsafeMutableBufferPointer<SymbolTable.View>
    private let slides: [UInt64]
    private let demangles: Bool

    init(_ modules: [(range: Range<UInt64>, slide: Int64, table: SymbolTable)], demangles: Bool = true) {
        self.demangles = demangles
        let edges = Set(modules.flatMap { [$0.range.lowerBound, $0.range.upperBound] }).sorted()
        var pieces: [Piece] = []
        var candidates: [Candidate] = []
        for (low, high) in zip(edges, edges.dropFirst()) {
            let first = candidates.count
            for (index, module) in modules.enumerated() where module.range.contains(low) {
                candidates.append(
                    Candidate(
                        slide: UInt64(bitPattern: module.slide), module: UInt32(index), table: module.table.view))
            }
            if candidates.count > first {
                pieces.append(
                    Piece(low: low, high: high, first: Int32(first), count: Int32(candidates.count - first)))
            }
        }
        storage = Storage(pieces, candidates, modules.map(\.table))
        self.pieces = storage.pieces
        self.candidates = storage.candidates
        tables = storage.views
        slides = modules.map { UInt64(bitPattern: $0.slide) }
    }

    // MARK: - Addresses

    /// What an address of the run is.
    @inline(__always)
    public func find(_ address: UInt64) -> SymbolHit {
        guard let piece = piece(address) else { return .unknown }
        for index in Int(piece.first)..<Int(piece.first &+ piece.count) {
            let slide = candidates[index].slide
            let own = address &- slide
            let segment = candidates[index].table.segment(at: own)
            if segment != .empty {
                return SymbolHit(
                    address: own, module: candidates[index].module, symbol: segment.symbol, node: segment.node,
                    file: segment.file, line: segment.line)
            }
        }
        return .unknown
    }

    @inline(__always)
    func piece(_ address: UInt64) -> Piece? {
        if pieces.count == 1 {
            return address >= pieces[0].low && address < pieces[0].high ? pieces[0] : nil
        }
        return searchPiece(address)
    }

    private func searchPiece(_ address: UInt64) -> Piece? {
        let next = pieces.partitioningIndex { $0.low > address }
        guard next > 0, address < pieces[next - 1].high else { return nil }
        return pieces[next - 1]
    }

    // MARK: - What a hit means

    /// The inline chain, innermost first; the last one is the function itself. Assembly has one frame without a
    /// function of its own: the symbol's name and a line.
    @inline(__always)
    public func forEachFrame(_ hit: SymbolHit, _ body: (FrameHit) -> Void) {
        guard hit.isKnown else { return }
        let table = tables[Int(hit.module)]
        var (file, line) = (hit.file, hit.line)
        var node = hit.node
        var depth = 0
        while depth < SymbolTable.chainLimit, let function = table.nodes[checked: node] {
            body(
                FrameHit(
                    module: hit.module, node: node, name: function.name, file: file, line: line,
                    isInlined: function.isInlined))
            guard function.isInlined else { return }
            (file, line) = (function.callFile, function.callLine)
            node = function.parent
            depth &+= 1
        }
        if depth == 0, file != 0 || hit.symbol != Boundary.none {
            let name = table.symbols[checked: hit.symbol]?.name ?? 0
            body(FrameHit(module: hit.module, node: node, name: name, file: file, line: line, isInlined: false))
        }
    }

    /// The name of the function symbol that contains the address and the offset in it; `nil` if none does.
    public func symbol(_ hit: SymbolHit) -> (name: String, offset: UInt64)? {
        guard hit.isKnown, let symbol = tables[Int(hit.module)].symbols[checked: hit.symbol] else { return nil }
        return (tables[Int(hit.module)].name(symbol.name), hit.address &- symbol.address)
    }

    /// The same with the name as people read it: demangled, if the symbolizer demangles.
    public func displayedSymbol(_ hit: SymbolHit) -> (name: String, offset: UInt64)? {
        guard let (name, offset) = symbol(hit) else { return nil }
        return (demangles ? Demangler.demangle(name) ?? name : name, offset)
    }

    /// Whether the names of a hit's module may have control characters.
    @inline(__always)
    func needsEscapes(_ hit: SymbolHit) -> Bool { tables[Int(hit.module)].needsEscapes }

    /// Where, in the run, the code of a frame's function begins.
    func start(_ frame: FrameHit, of hit: SymbolHit) -> UInt64? {
        let table = tables[Int(hit.module)]
        let own = table.lows[checked: frame.node] ?? table.symbols[checked: hit.symbol]?.address
        return own.map { $0 &+ slides[Int(hit.module)] }
    }

    /// The bytes of a frame's function name, UTF-8; empty if it has none.
    public func withFunctionName<R>(_ frame: FrameHit, _ body: (UnsafeBufferPointer<UInt8>) -> R) -> R {
        withText(frame.name, module: frame.module, body)
    }

    /// The bytes of a frame's source file; empty if it is not known.
    public func withFile<R>(_ frame: FrameHit, _ body: (UnsafeBufferPointer<UInt8>) -> R) -> R {
        withText(frame.file, module: frame.module, body)
    }

    @inline(__always)
    private func withText<R>(_ id: UInt32, module: UInt32, _ body: (UnsafeBufferPointer<UInt8>) -> R) -> R {
        body(tables[Int(module)].bytes(id))
    }

    /// The whole answer with its texts.
    func describe(_ hit: SymbolHit, module: String) -> Symbolized? {
        hit.isKnown ? tables[Int(hit.module)].describe(hit.address, module: module) : nil
    }
}
