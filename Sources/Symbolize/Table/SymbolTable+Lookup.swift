// SPDX-License-Identifier: GPL-2.0-or-later

import Glibc

extension SymbolTable.View {
    typealias Region = SymbolTable.Region
    typealias Segment = SymbolTable.Segment

    /// Where in `segments` an address of the file stands; `nil` where nothing is known.
    @inline(__always)
    func index(of address: UInt64) -> Int? {
        guard let region = region(of: address) else { return nil }
        return index(UInt32(truncatingIfNeeded: address &- region.base), in: region)
    }

    @inline(__always)
    private func region(of address: UInt64) -> Region? {
        if regions.count == 1 {
            return address &- regions[0].base < regions[0].span ? regions[0] : nil
        }
        return searchRegion(address)
    }

    private func searchRegion(_ address: UInt64) -> Region? {
        var low = 0
        var high = regions.count
        while low < high {
            let middle = (low &+ high) / 2
            if regions[middle].base <= address { low = middle &+ 1 } else { high = middle }
        }
        guard low > 0, address &- regions[low - 1].base < regions[low - 1].span else { return nil }
        return regions[low - 1]
    }

    @inline(__always)
    private func index(_ offset: UInt32, in region: Region) -> Int? {
        let bucket = offset &>> region.shift
        guard bucket < region.bucketCount else { return nil }
        return index(offset, from: buckets[Int(region.firstBucket) &+ Int(bucket)], in: region)
    }

    /// Goes on from a bucket's entry.
    @inline(__always)
    private func index(_ offset: UInt32, from entry: UInt32, in region: Region) -> Int? {
        let end = Int(region.firstStart) &+ Int(region.startCount)
        let index = Int(entry)
        guard index >= Int(region.firstStart), index < end else { return nil }
        // Starts are few in a bucket. Eight are compared at once, without a branch that nobody could predict.
        guard index &+ 9 <= end else { return search(offset, from: index, to: end) }
        let next = starts.start + (index &+ 1)
        var count = 0
        for lane in 0..<8 { count &+= next[lane] <= offset ? 1 : 0 }
        return count < 8 ? index &+ count : search(offset, from: index &+ 8, to: end)
    }

    /// The segments of many addresses of a table with one region, as indices; all ones where nothing is known.
    func indices(
        _ addresses: UnsafePointer<UInt64>, _ count: Int, slide: UInt64,
        into indices: UnsafeMutableBufferPointer<UInt32>
    ) {
        let region = regions[0]
        for at in 0..<count {
            let offset = addresses[at] &- slide &- region.base
            let bucket = offset &>> UInt64(region.shift)
            let isInside = offset < region.span && bucket < UInt64(region.bucketCount)
            indices[at] = isInside ? buckets[Int(region.firstBucket) &+ Int(bucket)] : .max
        }
        for at in 0..<count where indices[at] != .max {
            let offset = UInt32(truncatingIfNeeded: addresses[at] &- slide &- region.base)
            indices[at] = self.index(offset, from: indices[at], in: region).map(UInt32.init) ?? .max
        }
    }

    /// The last start at or before `offset`, by halves.
    private func search(_ offset: UInt32, from first: Int, to end: Int) -> Int {
        var (low, high) = (first, end)
        while high &- low > 1 {
            let middle = (low &+ high) / 2
            if starts[middle] <= offset { low = middle } else { high = middle }
        }
        return low
    }

    /// The segment that an address (of the file, not of the run) lies in.
    @inline(__always)
    func segment(at address: UInt64) -> Segment {
        guard let index = index(of: address) else { return .empty }
        return segments[index]
    }

    /// How many addresses from this one on lie in the same segment.
    func room(after address: UInt64) -> UInt64 {
        guard let region = region(of: address), let index = index(of: address) else { return 0 }
        let end = Int(region.firstStart) &+ Int(region.startCount)
        let next = index &+ 1 < end ? UInt64(starts[index &+ 1]) : region.span
        let offset = address &- region.base
        return next > offset ? next &- offset : 0
    }

    /// The name behind an id, as it stands in the table.
    func text(_ id: StringPool.ID) -> UnsafePointer<CChar> {
        let offset = Int(id) < names.count ? Int(id) : names.count - 1
        return UnsafeRawPointer(names.start + offset).assumingMemoryBound(to: CChar.self)
    }

    /// The name behind an id; bytes that are not UTF-8 come out repaired.
    func name(_ id: StringPool.ID) -> String { String(cString: text(id)) }

    /// What an address of the file is; `nil` where nothing is known.
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
            let offset = address &- function.low
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
        var low = 0
        var high = symbols.count
        while low < high {
            let middle = (low &+ high) / 2
            if symbols[middle].address < address { low = middle &+ 1 } else { high = middle }
        }
        var found: [String] = []
        while low < symbols.count, symbols[low].address == address {
            let name = name(symbols[low].name)
            if !found.contains(name) { found.append(name) }
            low &+= 1
        }
        return found
    }

    /// Where the symbol that holds at `address` ends.
    private func end(after address: UInt64) -> UInt64 {
        guard let region = region(of: address), var index = index(of: address) else { return address }
        let owner = segments[index].symbol
        let end = Int(region.firstStart) &+ Int(region.startCount)
        while index < end, segments[index].symbol == owner { index &+= 1 }
        return index < end ? region.base &+ UInt64(starts[index]) : region.base &+ region.span
    }
}

extension SymbolTable {
    /// Longer inline chains are damage.
    static let chainLimit = 512
}
