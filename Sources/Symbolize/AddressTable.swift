// SPDX-License-Identifier: GPL-2.0-or-later

/// Everything that one ELF file says about its addresses, flattened into sorted tables: built in one pass, then only
/// read, by any number of threads.
///
/// - `starts[i]` begins the stretch of addresses that `segments[i]` describes, up to `starts[i + 1]`. The first start is
///   the first address that anything is known about.
/// - `buckets` is an index over `starts`: for each run of `1 << bucketShift` bytes from `starts[0]` on, how many starts
///   lie at or before its first byte. The search within a bucket is short.
/// - `nodes`: functions and inlined copies; `symbols`: function symbols by address; `names`: all texts.
///
/// All of them are plain arrays of plain values, so that a cache file can hold them as they stand in memory. Every
/// number in them is checked before it is used as an index: a table may come from a damaged file.
struct AddressTable: Sendable {
    /// What holds over one stretch of addresses; `Boundary.none` where something is not known.
    struct Segment: Equatable, Sendable, BitwiseCopyable {
        var symbol: UInt32
        var node: UInt32
        var file: StringPool.ID
        var line: UInt32
    }

    var starts: [UInt64] = []
    var segments: [Segment] = []
    var buckets: [UInt32] = []
    var bucketShift: UInt64 = 6
    var nodes: [FunctionNode] = []
    var symbols: [FunctionSymbol] = []
    var names = StringPool()

    /// The segment that an address (of the file, not of the run) lies in; `nil` where nothing is known.
    func segment(at address: UInt64) -> Segment? {
        guard let first = starts.first, address >= first else { return nil }
        var low = 0
        var high = starts.count
        let bucket = (address &- first) >> bucketShift
        if bucket < UInt64(buckets.count) {
            low = min(Int(buckets[Int(bucket)]), high)
            if bucket + 1 < UInt64(buckets.count) { high = min(Int(buckets[Int(bucket) + 1]) + 1, high) }
        }
        // The number of starts at or before the address.
        while low < high {
            let middle = (low + high) / 2
            if starts[middle] <= address { low = middle + 1 } else { high = middle }
        }
        guard low > 0, low <= segments.count else { return nil }
        let segment = segments[low - 1]
        let isEmpty = segment.symbol == Boundary.none && segment.node == Boundary.none && segment.file == 0
        return isEmpty ? nil : segment
    }

    /// What an address of the file is; `nil` where nothing is known.
    func describe(_ address: UInt64, module: String) -> Symbolized? {
        guard let segment = segment(at: address) else { return nil }
        var result = Symbolized(module: module, symbol: nil, offset: 0, frames: [])
        if Int(segment.symbol) < symbols.count {
            let symbol = symbols[Int(segment.symbol)]
            result.symbol = names[symbol.name]
            result.offset = address &- symbol.address
        }
        result.frames = frames(segment, at: address, symbol: result.symbol)
        return result
    }

    /// The inline chain. Each frame's position is that of its own code: the innermost one's comes from the line table,
    /// the next ones' from the call that was inlined.
    private func frames(_ segment: Segment, at address: UInt64, symbol: String?) -> [SourceFrame] {
        var frames: [SourceFrame] = []
        var position = SourcePosition(file: segment.file, line: segment.line)
        var node = segment.node
        while Int(node) < nodes.count, frames.count < AddressTable.chainLimit {
            let function = nodes[Int(node)]
            frames.append(
                frame(function.name, position, isInlined: function.isInlined, offset: address &- function.low))
            guard function.isInlined else { break }
            position = SourcePosition(file: function.callFile, line: function.callLine)
            node = function.parent
        }
        if frames.isEmpty && segment.file != 0 {
            frames.append(
                SourceFrame(
                    function: symbol ?? "??", file: names[segment.file], line: Int(segment.line), isInlined: false))
        }
        return frames
    }

    private func frame(
        _ name: StringPool.ID, _ position: SourcePosition, isInlined: Bool, offset: UInt64
    ) -> SourceFrame {
        SourceFrame(
            function: name == 0 ? "??" : names[name], file: position.file == 0 ? nil : names[position.file],
            line: Int(position.line), isInlined: isInlined,
            // Code that was split off below its function has no offset from it.
            offset: offset < (1 << 32) ? offset : nil)
    }

    private static let chainLimit = 512

    /// The address ranges of all function symbols with this name, in order. A symbol without a size gets what it holds
    /// in the table.
    func ranges(named name: String) -> [Range<UInt64>] {
        let bytes = Array(name.utf8)
        var found: [Range<UInt64>] = []
        for symbol in symbols where names.matches(symbol.name, bytes) {
            var (end, overflow) = symbol.address.addingReportingOverflow(symbol.size)
            if symbol.size == 0 { (end, overflow) = (self.end(after: symbol.address), false) }
            let range = symbol.address..<(overflow ? .max : max(end, symbol.address))
            if found.last != range { found.append(range) }
        }
        return found
    }

    /// The names of all function symbols at exactly this address, best first.
    func aliases(at address: UInt64) -> [String] {
        var low = 0
        var high = symbols.count
        while low < high {
            let middle = (low + high) / 2
            if symbols[middle].address < address { low = middle + 1 } else { high = middle }
        }
        var found: [String] = []
        while low < symbols.count, symbols[low].address == address {
            let name = names[symbols[low].name]
            if !found.contains(name) { found.append(name) }
            low += 1
        }
        return found
    }

    /// Where the symbol that holds at `address` ends.
    private func end(after address: UInt64) -> UInt64 {
        guard let owner = segment(at: address)?.symbol else { return address }
        guard var index = starts.firstIndex(where: { $0 > address }) else { return address }
        while index < segments.count, segments[index].symbol == owner { index += 1 }
        return index < starts.count ? starts[index] : address
    }
}
