// SPDX-License-Identifier: GPL-2.0-or-later

import Formatting
import Symbolize

/// The functions that hold addresses, each looked up once.
struct FunctionNames: ~Copyable {
    private struct Edge: Hashable {
        var from: UInt64
        var to: UInt64
    }

    /// The number of entries at which a cache is emptied: memory stays bounded for any log.
    private static let limit = 1 << 18
    /// Longer names are cut.
    private static let scalarLimit = 256

    private let lookup: SymbolLookup?
    private var entries: [UInt64: UInt64] = [:]
    private var labels: PlaceCache
    private var jumps: [Edge: Bool] = [:]

    init(_ symbolizer: Symbolizer?) {
        let lookup = symbolizer?.symbolLookup
        self.lookup = lookup
        labels = PlaceCache(placeLimit: FunctionNames.limit) { address in
            FunctionNames.name(address, lookup)?.onOneLine ?? RowText.hex(address)
        }
    }

    var hasSymbols: Bool { lookup != nil }

    /// The first address of the function that holds an address; the address itself if that is not known.
    mutating func entry(of address: UInt64) -> UInt64 {
        guard let lookup else { return address }
        if let known = entries[address] { return known }
        if entries.count >= FunctionNames.limit { entries = [:] }
        let entry = lookup.symbol(lookup.find(address)).map { address &- $0.offset } ?? address
        entries[address] = entry
        return entry
    }

    /// Appends `foo`, `foo+0x12` or the address to a row of text.
    @inline(__always)
    mutating func appendLabel(_ address: UInt64, to rows: inout TextBuffer) { labels.append(address, to: &rows) }

    /// The function's name and the offset; `nil` if no function is known.
    func name(_ address: UInt64) -> String? { FunctionNames.name(address, lookup) }

    private static func name(_ address: UInt64, _ lookup: SymbolLookup?) -> String? {
        guard let lookup, let (name, offset) = lookup.displayedSymbol(lookup.find(address)) else { return nil }
        let cut =
            name.unicodeScalars.count > scalarLimit
            ? String(String.UnicodeScalarView(name.unicodeScalars.prefix(scalarLimit - 1))) + "…" : name
        return offset == 0 ? cut : "\(cut)+\(RowText.hex(offset))"
    }

    /// Whether a jump goes to the beginning of another function, and not to a part that the compiler split off.
    mutating func isTailCall(from: UInt64, to: UInt64) -> Bool {
        guard hasSymbols else { return false }
        let edge = Edge(from: from, to: to)
        if let known = jumps[edge] { return known }
        if jumps.count >= FunctionNames.limit { jumps = [:] }
        let result = isOtherFunction(from: from, to: to)
        jumps[edge] = result
        return result
    }

    private mutating func isOtherFunction(from: UInt64, to: UInt64) -> Bool {
        guard entry(of: to) == to, entry(of: from) != to, let target = linkageName(to) else { return false }
        let source = linkageName(entry(of: from)) ?? ""
        return FunctionNames.whole(source) != FunctionNames.whole(target)
    }

    private func linkageName(_ address: UInt64) -> String? { lookup.flatMap { $0.symbol($0.find(address))?.name } }

    /// The linkage name of a function whose ``name(_:)`` is demangled; `nil` for others.
    func hiddenLinkageName(_ address: UInt64) -> String? {
        guard let lookup, case let hit = lookup.find(address), let name = lookup.symbol(hit)?.name,
            lookup.displayedSymbol(hit)?.name != name
        else { return nil }
        return name
    }

    /// `foo` of `foo.cold`, `foo.part.0`.
    private static func whole(_ name: String) -> Substring { name.prefix { $0 != "." } }
}
