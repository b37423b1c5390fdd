// SPDX-License-Identifier: GPL-2.0-or-later

import CPrefetch
import CTTLog
import Glibc

/// Everything that one file says about its addresses, flattened into sorted tables: built in one pass, then only read,
/// by any number of threads. The bytes are the same in memory and in a cache file:
///
///     offset  size  field
///          0     8  magic "TTSYMTB" and a NUL
///          8     4  version, 4
///         12     4  size of this header, 512
///         16     8  size of the file
///         24     8  XXH3-64 of the header from offset 32 on
///         32    16  key: what the table was made from (SymbolCache.Key)
///         48     8  lowest address of code
///         56     8  one past the highest address of code
///         64     8  lowest address of a loaded segment (all ones: not known)
///         72     4  DWARF functions and inlined copies
///         76     4  function symbols
///         80     4  bit 0: the file has DWARF; bit 1: names have other bytes than printable ASCII
///        128  24×8  sections: offset, number of elements, XXH3-64 of the bytes
///
/// All numbers are little-endian. The sections, in this order, each beginning at a multiple of 64:
///
///     0  regions   {base u64, span u64, first segment u32, segments u32, first block u32, blocks u32}, by base
///     1  blocks    {starts u64, first u32, 0 u32}, one for each 64 bytes of a region from its base on: bit n of `starts`
///                  is set where a segment begins at the block's byte n; `first` numbers the first segment that does, or
///                  would
///     2  segments  {symbol u32, node u32, file u32, line u32}; all ones: no symbol, no node; 0: no file, no line
///     3  nodes     {name u32, call file u32, call line u32, parent u32}; parent all ones: a function
///     4  lows      u64: the lowest address of the code of the node with the same number
///     5  symbols   {address u64, size u64, name u32, rank u32}, by address
///     6  names     for each its length in a byte (255: it goes on to the NUL), its bytes and a NUL; named by the offset
///                  of its first byte; offset 0 is the empty name; ends with a NUL
///     7  text      {low u64, high u64}: the addresses of code
///     8  covered   {low u64, high u64}: the addresses for which the table is made, by low, apart from each other; one
///                  range from 0 to all ones when it is whole
///     9  units     u64: where the headers of the units are that the table is made of, ascending, when it is not whole
///
/// So the segment of an address is found by counting bits: a lookup touches one block, one segment and, for each frame
/// of the chain, one node. A region ends where nothing is known for a while, so that empty blocks do not outweigh the
/// table; after its last block the last segment holds. Header and the last byte of `names` are checked when a table is
/// opened; every other number is checked before it is used as an index: a checksum does not stop a hostile file.
struct SymbolTable: @unchecked Sendable {
    /// What holds over one stretch of addresses; `Boundary.none` where something is not known.
    struct Segment: Equatable, Sendable, BitwiseCopyable {
        var symbol: UInt32
        var node: UInt32
        var file: StringPool.ID
        var line: UInt32

        static let empty = Segment(symbol: Boundary.none, node: Boundary.none, file: 0, line: 0)
    }

    struct Region: Sendable, BitwiseCopyable {
        var base: UInt64
        /// Bytes from the base to one past what the last segment holds for.
        var span: UInt64
        var firstSegment: UInt32
        var segmentCount: UInt32
        var firstBlock: UInt32
        var blockCount: UInt32
    }

    /// Where segments begin in 64 bytes of code.
    struct Block: Sendable, BitwiseCopyable {
        /// A bit for each byte, the lowest one for the lowest address.
        var starts: UInt64
        /// The number of the first segment that begins here, or would.
        var first: UInt32
        var reserved: UInt32 = 0

        /// Bytes of code, as a power of two.
        static let shift: UInt64 = 6

        /// The segment that holds at a byte of the block.
        @inline(__always)
        func index(_ byte: UInt64) -> UInt32 {
            let upToHere = starts & ((2 &<< (byte & 63)) &- 1)
            return first &+ UInt32(truncatingIfNeeded: upToHere.nonzeroBitCount) &- 1
        }
    }

    /// A function or an inlined copy: what a walk up a chain needs of it.
    struct Node: Sendable, BitwiseCopyable {
        var name: StringPool.ID
        /// The place of the call that was inlined (inlined copies only).
        var callFile: StringPool.ID
        var callLine: UInt32
        /// The node that this one was inlined into; `FunctionNode.noParent` for a function.
        var parent: UInt32

        var isInlined: Bool { parent != FunctionNode.noParent }
    }

    /// One array of plain values.
    struct Column<Element: BitwiseCopyable>: @unchecked Sendable, BitwiseCopyable {
        let start: UnsafePointer<Element>
        let count: Int

        /// The element, or `nil` past the end.
        @inline(__always)
        subscript(checked index: UInt32) -> Element? { Int(index) < count ? start[Int(index)] : nil }

        @inline(__always)
        subscript(index: Int) -> Element { start[index] }

        /// Asks for an element that will be read soon.
        @inline(__always)
        func prefetch(_ index: UInt32) {
            if Int(index) < count { CPrefetch.prefetch(start + Int(index)) }
        }
    }

    /// The sections, for lookups: plain pointers, so that hot loops count no references.
    struct View: @unchecked Sendable, BitwiseCopyable {
        let regions: Column<Region>
        let blocks: Column<Block>
        let segments: Column<Segment>
        let nodes: Column<Node>
        let lows: Column<UInt64>
        let symbols: Column<FunctionSymbol>
        let names: Column<UInt8>
        let text: Column<TextRange>
        let covered: Column<TextRange>
        let units: Column<UInt64>
        /// Whether names have other bytes than printable ASCII: they are escaped for people.
        let needsEscapes: Bool
    }

    let view: View
    /// The addresses of the file's code, from the lowest to one past the highest.
    let low: UInt64
    let high: UInt64
    /// The lowest address of a loaded segment.
    let lowestSegment: UInt64?
    let functionCount: Int
    let hasDWARF: Bool
    /// Keeps the memory.
    private let owner: AnyObject

    struct TextRange: Sendable, BitwiseCopyable {
        var low: UInt64
        var high: UInt64

        init(_ range: Range<UInt64>) { (low, high) = (range.lowerBound, range.upperBound) }
    }

    /// What a whole table covers.
    static let everything: [Range<UInt64>] = [0..<UInt64.max]

    var isWhole: Bool { covered == SymbolTable.everything }

    /// Where the headers of the units are that a table is made of that is not whole.
    var units: Set<UInt64> { Set((0..<view.units.count).map { view.units[$0] }) }

    /// The addresses of the file that the table is made for; see ``TableOnDemand``.
    var covered: [Range<UInt64>] {
        (0..<view.covered.count).compactMap { index in
            let range = view.covered[index]
            return range.low < range.high ? range.low..<range.high : nil
        }.joinedRanges()
    }

    // MARK: - Header

    static let magic: UInt64 = 0x0042_544d_5953_5454
    static let version: UInt32 = 4
    static let headerSize = 512
    static let sectionCount = 10

    /// Makes a table of bytes in its format; `nil` if they are not, or are not for this key.
    init?(_ bytes: Bytes, key: SymbolCache.Key, owner: AnyObject) {
        guard let header = bytes.slice(0, UInt64(SymbolTable.headerSize)), header.load(0) == SymbolTable.magic,
            header.load(8) == SymbolTable.version, header.load(12) == UInt32(SymbolTable.headerSize),
            header.load(16) == UInt64(bytes.count),
            header.load(24) == ttlog_hash(header.start + 32, SymbolTable.headerSize - 32, 0),
            header.load(32) == key.first, header.load(40) == key.second
        else { return nil }
        func section<Element: BitwiseCopyable>(_ index: UInt64, _: Element.Type = Element.self) -> Column<Element>? {
            let entry = 128 &+ index &* 24
            guard let offset: UInt64 = header.load(entry), let count: UInt64 = header.load(entry &+ 8),
                let hash: UInt64 = header.load(entry &+ 16), offset % 64 == 0, count <= UInt64(bytes.count),
                let area = bytes.slice(offset, count &* UInt64(MemoryLayout<Element>.stride)),
                ttlog_hash(area.start, area.count, 0) == hash
            else { return nil }
            return Column(
                start: area.start.assumingMemoryBound(to: Element.self),
                count: area.count / MemoryLayout<Element>.stride)
        }
        guard let regions = section(0, Region.self), let blocks = section(1, Block.self),
            let segments = section(2, Segment.self), let nodes = section(3, Node.self),
            let lows = section(4, UInt64.self), let symbols = section(5, FunctionSymbol.self),
            let names = section(6, UInt8.self), let text = section(7, TextRange.self),
            let covered = section(8, TextRange.self), let units = section(9, UInt64.self),
            let low: UInt64 = header.load(48), let high: UInt64 = header.load(56), low <= high,
            let lowestSegment: UInt64 = header.load(64), let functions: UInt32 = header.load(72),
            let flags: UInt32 = header.load(80), flags <= 3
        else { return nil }
        self.init(
            View(
                regions: regions, blocks: blocks, segments: segments, nodes: nodes, lows: lows, symbols: symbols,
                names: names, text: text, covered: covered, units: units, needsEscapes: flags & 2 != 0),
            low: low, high: high, lowestSegment: lowestSegment == .max ? nil : lowestSegment,
            functionCount: Int(functions),
            hasDWARF: flags & 1 != 0, owner: owner)
    }

    /// Puts a table together; `nil` if its parts do not fit each other.
    init?(
        _ view: View, low: UInt64, high: UInt64, lowestSegment: UInt64?, functionCount: Int, hasDWARF: Bool,
        owner: AnyObject
    ) {
        let names = view.names
        guard view.lows.count == view.nodes.count, names.count > 0, names[names.count - 1] == 0 else { return nil }
        self.view = view
        self.low = low
        self.high = high
        self.lowestSegment = lowestSegment
        self.functionCount = functionCount
        self.hasDWARF = hasDWARF
        self.owner = owner
    }

    /// The header of a table with these sections: offset and number of elements are worked out here.
    func header(key: SymbolCache.Key) -> (header: [UInt8], sections: [(offset: Int, bytes: UnsafeRawBufferPointer)]) {
        var bytes = [UInt8](repeating: 0, count: SymbolTable.headerSize)
        func put(_ value: UInt64, at offset: Int) {
            for index in 0..<8 { bytes[offset + index] = UInt8(truncatingIfNeeded: value >> UInt64(index * 8)) }
        }
        var at = SymbolTable.headerSize
        var sections: [(offset: Int, bytes: UnsafeRawBufferPointer)] = []
        func add<Element>(_ column: Column<Element>) {
            let raw = UnsafeRawBufferPointer(
                start: column.start, count: column.count * MemoryLayout<Element>.stride)
            let entry = 128 + sections.count * 24
            put(UInt64(at), at: entry)
            put(UInt64(column.count), at: entry + 8)
            put(ttlog_hash(raw.baseAddress, raw.count, 0), at: entry + 16)
            sections.append((at, raw))
            at = (at + raw.count + 63) & ~63
        }
        add(view.regions)
        add(view.blocks)
        add(view.segments)
        add(view.nodes)
        add(view.lows)
        add(view.symbols)
        add(view.names)
        add(view.text)
        add(view.covered)
        add(view.units)
        put(SymbolTable.magic, at: 0)
        put(UInt64(SymbolTable.version) | UInt64(SymbolTable.headerSize) << 32, at: 8)
        put(UInt64(at), at: 16)
        put(key.first, at: 32)
        put(key.second, at: 40)
        put(low, at: 48)
        put(high, at: 56)
        put(lowestSegment ?? .max, at: 64)
        put(UInt64(UInt32(truncatingIfNeeded: functionCount)) | UInt64(view.symbols.count) << 32, at: 72)
        put((hasDWARF ? 1 : 0) | (view.needsEscapes ? 2 : 0), at: 80)
        put(bytes.withUnsafeBytes { ttlog_hash($0.baseAddress! + 32, $0.count - 32, 0) }, at: 24)
        return (bytes, sections)
    }
}
