// SPDX-License-Identifier: GPL-2.0-or-later

import Synchronization

/// Turns the addresses of a run into functions, source lines and inline chains, and names into addresses.
///
///     let symbolizer = Symbolizer()
///     try symbolizer.add("vmlinux")                                   // linked where it runs (ET_EXEC)
///     try symbolizer.add("init", slide: 0x5555_5555_4000)             // position-independent: where it was loaded
///     if let place = symbolizer.symbolize(0xffff_ffff_8100_1234) {
///         print(place.label, place.sourcePlace ?? "")                 // inlined+0x4 @ foo+0x12 file.c:33
///     }
///
/// A file is read once, when it is added, into a sorted table (`SymbolTable`), which a cache can keep between runs;
/// looking up an address touches no DWARF any more. Files are asked in the order in which they were added. All calls are safe from any thread.
public final class Symbolizer: Sendable {
    private struct Module: Sendable {
        var info: ModuleInfo
        var table: SymbolTable
        /// Whether the range was given; else it is where the code is.
        var hasOwnRange: Bool
    }

    private struct State: Sendable {
        var modules: [Module] = []
        var lookup = SymbolLookup([])

        mutating func updateLookup() {
            lookup = SymbolLookup(modules.map { ($0.info.range, $0.info.slide, $0.table) })
        }
    }

    private let state = Mutex(State())
    private let cache: SymbolCache

    /// - Parameter cache: Where tables are kept between runs.
    public init(cache: SymbolCache = .off) {
        self.cache = cache
    }

    /// Reads a linked ELF file (a kernel, a program, a shared library) with its separate debug information, or a text
    /// of symbols (System.map, /proc/kallsyms).
    ///
    /// - Parameters:
    ///   - path: The file.
    ///   - slide: What to add to the file's addresses to get those of the run: 0 for what runs where it was linked.
    ///   - range: The addresses of the run that this file answers for; all of its code when `nil`.
    ///   - machine: The processor that the file must be for (ELF `e_machine`; the log's header has it); any when `nil`.
    /// - Returns: The module as it stands in ``modules``, with warnings.
    @discardableResult
    public func add(
        _ path: String, slide: Int64 = 0, range: Range<UInt64>? = nil, machine: UInt16? = 62
    ) throws(SymbolError) -> ModuleInfo {
        try add(path, placement: .slide(slide), range: range, machine: machine)
    }

    private func add(
        _ path: String, placement: SymbolFile.Placement, range: Range<UInt64>?, machine: UInt16?
    ) throws(SymbolError) -> ModuleInfo {
        let (table, warnings) = try SymbolTable.load(path: path, machine: machine, cache: cache)
        let slide: Int64 =
            switch placement {
            case .slide(let slide): slide
            case .address(let address): Int64(bitPattern: address &- (table.lowestSegment ?? table.low))
            }
        var info = ModuleInfo(
            path: path, slide: slide, range: range ?? Symbolizer.range(of: table, slide: slide),
            symbolCount: table.view.symbols.count,
            functionCount: table.functionCount, warnings: warnings)
        return state.withLock { state in
            for other in state.modules where other.info.range.overlaps(info.range) {
                let common = other.info.range.clamped(to: info.range)
                info.warnings.append(
                    SymbolError(
                        file: path,
                        kind: .overlaps(other: other.info.path, from: common.lowerBound, to: common.upperBound)))
            }
            state.modules.append(Module(info: info, table: table, hasOwnRange: range != nil))
            state.updateLookup()
            return info
        }
    }

    /// Gives a module another slide, as found by ``estimateSlide(module:calls:alignment:)``. A range that was given
    /// stays; else the module answers for where its code is then.
    ///
    /// - Parameter module: An index into ``modules``; one that is not there changes nothing.
    public func move(module: Int, slide: Int64) {
        state.withLock { state in
            guard state.modules.indices.contains(module) else { return }
            state.modules[module].info.slide = slide
            if !state.modules[module].hasOwnRange {
                state.modules[module].info.range = Symbolizer.range(of: state.modules[module].table, slide: slide)
            }
            state.updateLookup()
        }
    }

    private static func range(of table: SymbolTable, slide: Int64) -> Range<UInt64> {
        let (low, high) = (table.low &+ UInt64(bitPattern: slide), table.high &+ UInt64(bitPattern: slide))
        return low..<max(low, high)
    }

    func table(_ module: Int) -> SymbolTable? {
        state.withLock { $0.modules.indices.contains(module) ? $0.modules[module].table : nil }
    }

    /// Reads a file as a command line names it.
    @discardableResult
    public func add(_ file: SymbolFile, machine: UInt16? = 62) throws(SymbolError) -> ModuleInfo {
        try add(file.path, placement: file.placement, range: file.range, machine: machine)
    }

    /// The files added so far, in order.
    public var modules: [ModuleInfo] { state.withLock { $0.modules.map(\.info) } }

    /// The modules added so far, for hot loops.
    public var lookup: SymbolLookup { state.withLock { $0.lookup } }

    /// What stands at an address of the run; `nil` when no file knows it.
    public func symbolize(_ address: UInt64) -> Symbolized? {
        let lookup = lookup
        let hit = lookup.find(address)
        guard hit.isKnown else { return nil }
        return lookup.describe(hit, module: state.withLock { $0.modules[Int(hit.module)].info.path })
    }

    /// The addresses of the run that a place `SYMBOL[+OFFSET]` names: one range for each symbol of that name (static
    /// functions may share one), from the offset to the symbol's end. Empty when there is no such symbol, or none that
    /// is that long.
    public func resolve(name: String) -> [Range<UInt64>] {
        let (symbol, offset) = Symbolizer.split(name)
        var found: [Range<UInt64>] = []
        for module in state.withLock({ $0.modules }) {
            let shift = UInt64(bitPattern: module.info.slide)
            for own in module.table.view.ranges(named: symbol) {
                let size = own.upperBound - own.lowerBound
                guard offset < size || (offset == 0 && size == 0) else { continue }
                let low = own.lowerBound &+ offset &+ shift
                let high = own.upperBound &+ shift
                if low <= high && module.info.range.contains(low) { found.append(low..<high) }
            }
        }
        return found
    }

    /// All function symbols that stand at exactly this address of the run, the preferred name first.
    public func aliases(at address: UInt64) -> [String] {
        for module in state.withLock({ $0.modules }) where module.info.range.contains(address) {
            let found = module.table.view.aliases(at: address &- UInt64(bitPattern: module.info.slide))
            if !found.isEmpty { return found }
        }
        return []
    }

    /// Splits `SYMBOL+OFFSET` (hexadecimal with `0x`, else decimal) at the last plus sign; a text that does not end in
    /// a number is all symbol.
    private static func split(_ name: String) -> (symbol: String, offset: UInt64) {
        guard let plus = name.lastIndex(of: "+"), plus != name.startIndex,
            let offset = parseNumber(name[name.index(after: plus)...])
        else { return (name, 0) }
        return (String(name[..<plus]), offset)
    }
}

/// A file that a ``Symbolizer`` has read.
public struct ModuleInfo: Hashable, Sendable {
    /// The file, as it was given.
    public var path: String
    /// What was added to the file's addresses.
    public var slide: Int64
    /// The addresses of the run that the file answers for.
    public var range: Range<UInt64>
    /// Function symbols of the ELF symbol table.
    public var symbolCount: Int
    /// Functions and inlined copies that DWARF describes.
    public var functionCount: Int
    /// What is wrong with the file although it serves; to be shown to the user.
    public var warnings: [SymbolError]
}
