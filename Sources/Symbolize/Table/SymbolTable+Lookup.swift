// SPDX-License-Identifier: GPL-2.0-or-later

import Formatting
import Glibc

extension SymbolTable.View {
    typealias Region = SymbolTable.Region
    typealias Segment = SymbolTable.Segment

    /// The index in `segments` of an address of the file; `nil` if nothing is known. Out of bounds in hostile tables.
    @inline(__always)
    func index(of address: UInt64) -> UInt32? {
        guard let number = region(of: address) else { return nil }
        return index(address &- regions[number].base, in: regions[number])
    }

    /// The same for an address that lies so many bytes into a region.
    @inline(__always)
    func index(_ offset: UInt64, in region: Region) -> UInt32? {
        guard offset &>> SymbolTable.Block.shift < UInt64(region.blockCount) else {
            return region.firstSegment &+ region.segmentCount &- 1
        }
        return blocks[checked: block(offset, in: region)]?.index(offset)
    }

    @inline(__always)
    func block(_ offset: UInt64, in region: Region) -> UInt32 {
        region.firstBlock &+ UInt32(truncatingIfNeeded: offset &>> SymbolTable.Block.shift)
    }

    @inline(__always)
    func region(of address: UInt64) -> Int? {
        if regions.count == 1 {
            return address &- regions[0].base < regions[0].span ? 0 : nil
        }
        return searchRegion(address)
    }

    private func searchRegion(_ address: UInt64) -> Int? {
        let next = (0..<regions.count).partitioningIndex { regions[$0].base > address }
        guard next > 0, address &- regions[next - 1].base < regions[next - 1].span else { return nil }
        return next - 1
    }

    /// The segment that an address (of the file, not of the run) lies in.
    @inline(__always)
    func segment(at address: UInt64) -> Segment {
        index(of: address).flatMap { segments[checked: $0] } ?? .empty
    }

    /// How many addresses from this one on lie in the same segment, or fewer: it looks only so far.
    func room(after address: UInt64) -> UInt64 {
        guard let number = region(of: address) else { return 0 }
        let region = regions[number]
        let offset = address &- region.base
        var block = offset &>> SymbolTable.Block.shift
        guard block < UInt64(region.blockCount) else { return region.span &- offset }
        // Starts after this byte.
        var mask = 0 &- (2 &<< (offset & 63))
        let limit = min(block &+ 64, UInt64(region.blockCount))
        while block < limit {
            guard let found = blocks[checked: region.firstBlock &+ UInt32(truncatingIfNeeded: block)] else { return 0 }
            let starts = found.starts & mask
            if starts != 0 {
                return block &<< SymbolTable.Block.shift &+ UInt64(starts.trailingZeroBitCount) &- offset
            }
            mask = .max
            block &+= 1
        }
        let end = block &<< SymbolTable.Block.shift
        return (block < UInt64(region.blockCount) ? min(end, region.span) : region.span) &- offset
    }

    /// The name with an id, as it is in the table.
    func text(_ id: StringPool.ID) -> UnsafePointer<CChar> {
        let offset = Int(id) < names.count ? Int(id) : names.count - 1
        return UnsafeRawPointer(names.start + offset).assumingMemoryBound(to: CChar.self)
    }

    /// The bytes of the name with an id.
    @inline(__always)
    func bytes(_ id: StringPool.ID) -> UnsafeBufferPointer<UInt8> {
        let offset = Int(id)
        guard offset > 0, offset < names.count else { return UnsafeBufferPointer(start: names.start, count: 0) }
        // A hostile table's lengths may go beyond its end.
        var length = Int(names[offset &- 1])
        if length >= min(Int(UInt8.max), names.count &- offset) { length = strlen(text(id)) }
        return UnsafeBufferPointer(start: names.start + offset, count: length)
    }

    /// The name with an id; bytes that are not UTF-8 come out repaired.
    func name(_ id: StringPool.ID) -> String { String(cString: text(id)) }

    /// What an address of the file is; `nil` if nothing is known.
    func describe(_ address: UInt64, module: String) -> Symbolized? {
        let segment = segment(at: address)
        guard segment != .empty else { return nil }
        var result = Symbolized(module: module, symbol: nil, offset: 0, frames: [])
        if let symbol = symbols[checked: segment.symbol] {
            result.symbol = name(symbol.name)
            result.offset = address &- symbol.address
        }
        result.frames = frames(segment, at: address, symbol: result.symbol)
        return result
    }

    /// The inline chain. Each frame's position is that of its own code: the innermost one's comes from the line table,
    /// the next ones' from the call that was inlined.
    private func frames(_ segment: Segment, at address: UInt64, symbol: String?) -> [SourceFrame] {
        var frames: [SourceFrame] = []
        var (file, line) = (segment.file, segment.line)
        var node = segment.node
        while frames.count < SymbolTable.chainLimit, let function = nodes[checked: node] {
            let offset = address &- (lows[checked: node] ?? 0)
            frames.append(
                SourceFrame(
                    function: function.name == 0 ? "??" : name(function.name), file: file == 0 ? nil : name(file),
                    line: Int(line), isInlined: function.isInlined,
                    // Code that was split off below its function has no offset from it.
                    offset: offset < (1 << 32) ? offset : nil))
            guard function.isInlined else { break }
            (file, line) = (function.callFile, function.callLine)
            node = function.parent
        }
        if frames.isEmpty && segment.file != 0 {
            frames.append(
                SourceFrame(
                    function: symbol ?? "??", file: name(segment.file), line: Int(segment.line), isInlined: false))
        }
        return frames
    }

    /// The address ranges of all function symbols with this name, in order. A symbol without a size gets what it holds
    /// in the table.
    func ranges(named wanted: String) -> [Range<UInt64>] {
        var found: [Range<UInt64>] = []
        guard !wanted.isEmpty, !wanted.utf8.contains(0) else { return [] }
        wanted.withCString { wanted in
            for index in 0..<symbols.count where strcmp(text(symbols[index].name), wanted) == 0 {
                let symbol = symbols[index]
                var (end, overflow) = symbol.address.addingReportingOverflow(symbol.size)
                if symbol.size == 0 { (end, overflow) = (self.end(after: symbol.address), false) }
                let range = symbol.address..<(overflow ? .max : max(end, symbol.address))
                if found.last != range { found.append(range) }
            }
        }
        return found
    }

    /// The names of all function symbols at exactly this address, best first.
    func aliases(at address: UInt64) -> [String] {
        var found: [String] = []
        var index = firstSymbol(from: address)
        while index < symbols.count, symbols[index].address == address {
            let name = name(symbols[index].name)
            if !found.contains(name) { found.append(name) }
            index &+= 1
        }
        return found
    }

    /// The index of the first symbol at or after an address; the number of symbols if there is none.
    func firstSymbol(from address: UInt64) -> Int {
        (0..<symbols.count).partitioningIndex { symbols[$0].address >= address }
    }

    /// Where the symbol that holds at `address` ends.
    private func end(after address: UInt64) -> UInt64 {
        let owner = segment(at: address).symbol
        var at = address
        // No table has more stretches than this.
        for _ in 0..<segments.count &+ blocks.count &+ regions.count {
            let room = room(after: at)
            guard room > 0, at &+ room > at else { break }
            at &+= room
            guard segment(at: at).symbol == owner else { break }
        }
        return at
    }
}

extension SymbolTable {
    /// Longer inline chains are damage.
    static let chainLimit = 512
}
