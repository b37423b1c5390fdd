// SPDX-License-Identifier: GPL-2.0-or-later

/// What gdb calls an address: `x/i` prints `<foo+12>`.
public struct DebuggerName: Hashable, Sendable, CustomStringConvertible {
    /// The function's or symbol's linkage name.
    public var name: String
    /// Bytes from the beginning of the function; below 0 in a part that the compiler split off and that was placed before it.
    public var offset: Int64

    /// `foo`, `foo+12`, `foo-34`.
    public var description: String {
        offset == 0 ? name : offset > 0 ? "\(name)+\(offset)" : "\(name)\(offset)"
    }
}

extension Symbolizer {
    /// The name that gdb gives an address of the run, as its `x/i` and `p/a` show it; `nil` if gdb shows none.
    ///
    /// gdb knows functions from DWARF and *minimal symbols* from the symbol table. The function that contains the address
    /// has the word, unless another symbol begins at the very address. `docs/bts-dump.md` says what is left out of gdb's
    /// rules.
    public func debuggerName(_ address: UInt64) -> DebuggerName? {
        for (index, module) in modules.enumerated() where module.range.contains(address) {
            let name = table(index)?.view.debuggerName(address &- UInt64(bitPattern: module.slide))
            if let name { return name }
        }
        return nil
    }
}

extension SymbolTable.View {
    fileprivate func debuggerName(_ address: UInt64) -> DebuggerName? {
        let function = function(at: address)
        let symbol = minimalSymbol(at: address)
        let isFunction =
            if let function, let symbol {
                symbol.address < address || function.entry == address
            } else {
                function != nil
            }
        if isFunction, let function {
            return DebuggerName(
                name: name(function.name), offset: Int64(bitPattern: address &- function.entry))
        }
        return symbol.map {
            DebuggerName(name: name($0.name), offset: Int64(bitPattern: address &- $0.address))
        }
    }

    /// The function of DWARF that contains an address, not one inlined into it.
    private func function(at address: UInt64) -> (name: StringPool.ID, entry: UInt64)? {
        guard let function = outermost(of: segment(at: address).node), let node = nodes[checked: function],
            node.name != 0
        else { return nil }
        return (node.name, entry(of: function))
    }

    /// The function that a node was inlined into; itself when it is a function.
    func outermost(of node: UInt32) -> UInt32? {
        var found = node
        for _ in 0..<SymbolTable.chainLimit {
            guard let function = nodes[checked: found] else { return nil }
            guard function.isInlined else { return found }
            found = function.parent
        }
        return nil
    }

    /// Where a function is entered: at its lowest address, unless that is a part that was split off (`foo.cold`).
    func entry(of function: UInt32) -> UInt64 {
        let lowest = lows[checked: function] ?? 0
        guard let part = symbol(at: lowest).map({ name($0.name) }), let dot = part.firstRange(of: ".cold") else {
            return lowest
        }
        let whole = String(part[..<dot.lowerBound])
        for range in ranges(named: whole) where outermost(of: segment(at: range.lowerBound).node) == function {
            return range.lowerBound
        }
        return lowest
    }

    /// The best symbol that begins at an address.
    private func symbol(at address: UInt64) -> FunctionSymbol? {
        let index = firstSymbol(from: address)
        return index < symbols.count && symbols[index].address == address ? symbols[index] : nil
    }

    // MARK: - Minimal symbols

    /// More symbols than this are not gone through for one address.
    private static let walkLimit = 4096

    /// The symbol of the symbol table that gdb chooses: the last one at or before the address, of several at one address
    /// the one whose name is last in order; but sized ones before labels, and a label only where the sized symbol before
    /// it has ended.
    private func minimalSymbol(at address: UInt64) -> FunctionSymbol? {
        guard let section = textRange(at: address) else { return nil }
        var symbols = SymbolsDownward(self, from: address, downTo: section.low)
        var label: FunctionSymbol?
        for place in 0..<SymbolTable.View.walkLimit {
            guard let symbol = symbols[place] else { break }
            let before = symbols[place + 1]
            // The global one of two that are otherwise the same.
            if let before, symbol.isLocal, !before.isLocal, before.size == symbol.size,
                before.address == symbol.address
            {
                continue
            }
            if symbol.size == 0 {
                label = label ?? symbol
                continue
            }
            // An outer symbol that reaches further.
            if let before, address >= symbol.end, address < before.end { continue }
            return address < symbol.end ? symbol : label
        }
        return label
    }

    private func textRange(at address: UInt64) -> SymbolTable.TextRange? {
        for index in 0..<text.count where text[index].low <= address && address < text[index].high {
            return text[index]
        }
        return nil
    }
}

extension FunctionSymbol {
    fileprivate var isLocal: Bool { rank & 3 == 0 }
    fileprivate var end: UInt64 {
        let (end, overflow) = address.addingReportingOverflow(size)
        return overflow ? .max : end
    }
}

/// The symbols of a table from an address downward; of those at one address the names in descending order.
private struct SymbolsDownward {
    /// Of more symbols at one address the rest is left out.
    private static let groupLimit = 4096

    private let view: SymbolTable.View
    private let lowest: UInt64
    private var found: [FunctionSymbol] = []
    /// Symbols below this one have not been looked at.
    private var next: Int

    init(_ view: SymbolTable.View, from address: UInt64, downTo lowest: UInt64) {
        self.view = view
        self.lowest = lowest
        next = address == .max ? view.symbols.count : view.firstSymbol(from: address &+ 1)
    }

    subscript(place: Int) -> FunctionSymbol? {
        mutating get {
            while found.count <= place, next > 0, view.symbols[next - 1].address >= lowest { addGroup() }
            return place < found.count ? found[place] : nil
        }
    }

    private mutating func addGroup() {
        let end = next
        let address = view.symbols[end - 1].address
        while next > 0, view.symbols[next - 1].address == address { next -= 1 }
        let group = (next..<end).prefix(SymbolsDownward.groupLimit).map { view.symbols[$0] }
        found += group.count == 1 ? group : group.sorted { bytes($1).lexicographicallyPrecedes(bytes($0)) }
    }

    private func bytes(_ symbol: FunctionSymbol) -> [UInt8] { Array(view.name(symbol.name).utf8) }
}
