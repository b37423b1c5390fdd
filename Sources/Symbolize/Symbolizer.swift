// SPDX-License-Identifier: GPL-2.0-or-later

import Formatting
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
/// looking up an address touches no DWARF any more. For few addresses of a large file see
/// ``Reading/onDemand(smallest:largestPart:)``. Files are asked in the order in which they were added. All calls are safe
/// from any thread.
public final class Symbolizer: Sendable {
    private struct Module: Sendable {
        var info: ModuleInfo
        var table: SymbolTable
        /// What makes more of the table, while it is not whole.
        var rest: TableOnDemand?
        var warningsWhenAdded: Int
        /// Whether the range was given; else it is where the code is.
        var hasOwnRange: Bool

        mutating func move(slide: Int64) {
            info.slide = slide
            if !hasOwnRange { info.range = Symbolizer.range(of: table, slide: slide) }
        }

        /// The stretches of addresses of the run that have code, ascending.
        var code: [Range<UInt64>] {
            let slide = UInt64(bitPattern: info.slide)
            return (0..<table.view.text.count).compactMap { index in
                let (low, high) = (table.view.text[index].low &+ slide, table.view.text[index].high &+ slide)
                return low < high ? (low..<high).clamped(to: info.range) : nil
            }.filter { !$0.isEmpty }
        }
    }

    private struct State: Sendable {
        var modules: [Module] = []
        var lookup = SymbolLookup([])
        var demangles = true
        /// Whether any file was not read whole.
        var isGrowing = false

        mutating func prepare(for addresses: some Collection<UInt64>) throws(SymbolError) {
            guard isGrowing else { return }
            var isChanged = false
            for index in modules.indices {
                guard let rest = modules[index].rest else { continue }
                let (range, slide) = (modules[index].info.range, UInt64(bitPattern: modules[index].info.slide))
                let own = addresses.lazy.filter { range.contains($0) }.map { $0 &- slide }
                isChanged = try rest.extend(to: own) || isChanged
                update(index)
            }
            if isChanged { updateLookup() }
        }

        /// Reads the rest of a file.
        mutating func complete(_ index: Int) {
            guard let rest = modules[index].rest else { return }
            // What the file has of names serves still.
            do { try rest.complete() } catch { return }
            update(index)
            updateLookup()
        }

        /// Takes over what has become of a module's table. A file that ran at several addresses has one table.
        mutating func update(_ index: Int) {
            guard let rest = modules[index].rest else { return }
            modules[index].table = rest.table
            modules[index].info.warnings = rest.warnings
            if rest.isWhole { modules[index].rest = nil }
        }

        mutating func updateLookup() {
            lookup = SymbolLookup(
                modules.map { ($0.info.range, $0.info.slide, $0.table) }, demangles: demangles)
            isGrowing = modules.contains { $0.rest != nil }
        }
    }

    /// How much of a file is read when it is added.
    public enum Reading: Hashable, Sendable {
        /// All of it.
        case whole
        /// What ``Symbolizer/lookup(for:)`` asks for, when the file has at least `smallest` bytes of debug entries and no
        /// whole table of it is kept; all of it when more than `largestPart` of the entries are asked for, or when one
        /// question after the other asks for more. ``Symbolizer/symbolize(_:)`` asks for one address; names and slides
        /// need no entries; ``Symbolizer/lookup`` and what it is made from know what was asked for before.
        case onDemand(smallest: Int = Symbolizer.largeDebugInfo, largestPart: Double = 1.0 / 16)
    }

    /// So many bytes of debug entries take a tenth of a second to read.
    public static let largeDebugInfo = 1 << 24

    private let state = Mutex(State())
    private let cache: SymbolCache
    private let reading: Reading

    /// Makes a symbolizer without files.
    ///
    /// - Parameters:
    ///   - cache: Where tables are kept between runs.
    ///   - reading: How much of a file is read when it is added.
    ///   - demangles: Whether names for people are demangled. Linkage names are there in any case.
    public init(cache: SymbolCache = .off, reading: Reading = .whole, demangles: Bool = true) {
        self.cache = cache
        self.reading = reading
        self.demangles = demangles
        state.withLock { $0.demangles = demangles }
    }

    /// Whether names for people are demangled.
    public let demangles: Bool

    /// Makes a symbolizer with the same options and without files.
    public func withoutFiles() -> Symbolizer { Symbolizer(cache: cache, reading: reading, demangles: demangles) }

    /// Reads a linked ELF file (a kernel, a program, a shared library) with its separate debug information, or a text
    /// of symbols (System.map, /proc/kallsyms).
    ///
    /// - Parameters:
    ///   - path: The file.
    ///   - slide: What to add to the file's addresses to get those of the run: 0 for what runs where it was linked.
    ///   - range: The addresses of the run that this file answers for; all of its code when `nil`.
    ///   - machine: The processor that the file must be for (ELF `e_machine`; the log's header has it); any when `nil`.
    /// - Returns: The module in ``modules``, with warnings.
    @discardableResult
    public func add(
        _ path: String, slide: Int64 = 0, range: Range<UInt64>? = nil, machine: Machine? = .x86_64
    ) throws(SymbolError) -> ModuleInfo {
        try add(SymbolFile(path: path, slide: slide, range: range), machine: machine)
    }

    /// Reads a file as a command line names it. A kernel module must have an address.
    @discardableResult
    public func add(_ file: SymbolFile, machine: Machine? = .x86_64) throws(SymbolError) -> ModuleInfo {
        let (path, placement, range) = (file.path, file.placement, file.range)
        let loaded = try SymbolTable.load(
            path: path, machine: machine, sections: file.moduleSections, cache: cache, reading: reading)
        let table = loaded.table
        let slide: Int64 =
            switch placement {
            case .linked: 0
            case .slide(let slide): slide
            case .address(let address): Int64(bitPattern: address &- (table.lowestSegment ?? table.low))
            }
        let info = ModuleInfo(
            path: path, slide: slide, range: range ?? Symbolizer.range(of: table, slide: slide),
            symbolCount: table.view.symbols.count,
            functionCount: table.functionCount, isKernelModule: loaded.isKernelModule, warnings: loaded.warnings)
        return state.withLock { state in
            state.modules.append(
                Module(
                    info: info, table: table, rest: loaded.rest, warningsWhenAdded: loaded.warnings.count,
                    hasOwnRange: range != nil))
            state.updateLookup()
            return info
        }
    }

    /// ``lookup``, after what files say about these addresses of the run was read, where they are read as they are asked.
    public func lookup(for addresses: some Collection<UInt64>) throws(SymbolError) -> SymbolLookup {
        // A closure of withLock does not throw a typed error.
        let result: Result<SymbolLookup, SymbolError> = state.withLock { state in
            do throws(SymbolError) {
                try state.prepare(for: addresses)
                return .success(state.lookup)
            } catch {
                return .failure(error)
            }
        }
        return try result.get()
    }

    /// Whether all files were read whole, at once or in the end.
    public var isWhole: Bool { state.withLock { !$0.isGrowing } }

    /// Keeps what was read as it was asked for the next run: call it when no more is asked.
    ///
    /// - Returns: What turned out to be wrong with the files since they were added.
    public func finish() -> [SymbolError] {
        state.withLock { state in
            var found: [SymbolError] = []
            for index in state.modules.indices {
                state.modules[index].rest?.keep()
                state.update(index)
                let module = state.modules[index]
                // A file that ran at several addresses is several modules.
                for warning in module.info.warnings.dropFirst(module.warningsWhenAdded) where !found.contains(warning) {
                    found.append(warning)
                }
            }
            return found
        }
    }

    /// Gives a module another slide, as found by ``estimateSlide(module:targets:alignment:)``. A range that was given
    /// stays; else the module answers for where its code is then.
    ///
    /// - Parameter module: An index into ``modules``; one that is not there changes nothing.
    public func move(module: Int, slide: Int64) {
        state.withLock { state in
            guard state.modules.indices.contains(module) else { return }
            state.modules[module].move(slide: slide)
            state.updateLookup()
        }
    }

    /// Adds a module once more, with another slide: a program that ran at several places.
    ///
    /// - Parameter module: An index into ``modules``; one that is not there changes nothing.
    public func repeatModule(_ module: Int, slide: Int64) {
        state.withLock { state in
            guard state.modules.indices.contains(module) else { return }
            var copy = state.modules[module]
            copy.move(slide: slide)
            state.modules.append(copy)
            state.updateLookup()
        }
    }

    /// Makes a module answer for no address: it is not known where it was loaded.
    ///
    /// - Parameter module: An index into ``modules``; one that is not there changes nothing.
    public func silence(module: Int) {
        state.withLock { state in
            guard state.modules.indices.contains(module) else { return }
            state.modules[module].info.range = 0..<0
            state.updateLookup()
        }
    }

    /// The addresses that a module's code has in the file, slide not added; `nil` if there is no such module.
    public func linkedRange(module: Int) -> Range<UInt64>? { outline(module).map { $0.low..<$0.high } }

    /// Whether a module cannot have run where it was linked to: a position-independent program or library, which are
    /// linked to addresses from 0 on, where no system lets a program run.
    public func isPositionIndependent(module: Int) -> Bool {
        outline(module)?.lowestSegment.map { $0 < Symbolizer.lowestAddress } ?? false
    }

    /// Linux's vm.mmap_min_addr.
    private static let lowestAddress: UInt64 = 0x10000

    /// For each module the first one before it that has code at the same addresses, where that one wins.
    public var overlaps: [SymbolError] {
        let modules = state.withLock { $0.modules }
        return modules.indices.compactMap { index in
            let code = modules[index].code
            for other in modules[..<index] where other.info.range.overlaps(modules[index].info.range) {
                guard let common = other.code.firstCommonRange(code) else { continue }
                return SymbolError(
                    file: modules[index].info.path,
                    kind: .overlaps(other: other.info.path, from: common.lowerBound, to: common.upperBound))
            }
            return nil
        }
    }

    private static func range(of table: SymbolTable, slide: Int64) -> Range<UInt64> {
        let (low, high) = (table.low &+ UInt64(bitPattern: slide), table.high &+ UInt64(bitPattern: slide))
        return low..<max(low, high)
    }

    /// A module's whole table.
    func table(_ module: Int) -> SymbolTable? {
        state.withLock { state in
            guard state.modules.indices.contains(module) else { return nil }
            state.complete(module)
            return state.modules[module].table
        }
    }

    /// A module's table with all symbols, and perhaps without DWARF.
    func symbolTable(_ module: Int) -> SymbolTable? {
        let named = named
        return named.indices.contains(module) ? named[module].table : nil
    }

    /// A module's table, whole or not.
    func outline(_ module: Int) -> SymbolTable? {
        state.withLock { $0.modules.indices.contains(module) ? $0.modules[module].table : nil }
    }

    /// The files added so far, in order.
    public var modules: [ModuleInfo] { state.withLock { $0.modules.map(\.info) } }

    /// The modules added so far, for hot loops.
    public var lookup: SymbolLookup { state.withLock { $0.lookup } }

    /// The same for who asks for symbols alone (``SymbolLookup/symbol(_:)``): of files that are read as they are asked, all
    /// symbols and nothing else.
    public var symbolLookup: SymbolLookup {
        if isWhole { return lookup }
        return SymbolLookup(
            named.map { ($0.module.info.range, $0.module.info.slide, $0.table) }, demangles: demangles)
    }

    /// What an address of the run is; `nil` if no file knows it.
    public func symbolize(_ address: UInt64) -> Symbolized? {
        let lookup = (try? lookup(for: CollectionOfOne(address))) ?? lookup
        let hit = lookup.find(address)
        guard hit.isKnown else { return nil }
        let found = lookup.describe(hit, module: state.withLock { $0.modules[Int(hit.module)].info.path })
        return demangles ? found?.demangled() : found
    }

    /// The addresses of the run that a place `SYMBOL[+OFFSET]` names: one range for each symbol of that name (static
    /// functions may share one), from the offset to the symbol's end. A name of the source serves too, with parameters
    /// (`outer::over(int)`) or without (`outer::over`: all overloads). Empty when there is no such symbol, or none that
    /// is that long.
    public func resolve(name: String) -> [Range<UInt64>] {
        let (symbol, offset) = Symbolizer.split(name)
        let found = resolve(offset: offset) { $0.view.ranges(named: symbol) }
        guard found.isEmpty, SourceName.isPossible(symbol) else { return found }
        let wanted = SourceName(symbol)
        return resolve(offset: offset) { table in
            table.view.symbolNames(where: wanted.isName(of:)).flatMap { table.view.ranges(named: $0) }
        }
    }

    private func resolve(offset: UInt64, _ ranges: (SymbolTable) -> [Range<UInt64>]) -> [Range<UInt64>] {
        var found: [Range<UInt64>] = []
        for (module, table) in named {
            let shift = UInt64(bitPattern: module.info.slide)
            for own in ranges(table) {
                let size = own.upperBound - own.lowerBound
                guard offset < size || (offset == 0 && size == 0) else { continue }
                let low = own.lowerBound &+ offset &+ shift
                let high = own.upperBound &+ shift
                if low <= high && module.info.range.contains(low) { found.append(low..<high) }
            }
        }
        return found
    }

    /// All function symbols at exactly this address of the run, the preferred name first.
    public func aliases(at address: UInt64) -> [String] {
        for (module, table) in named where module.info.range.contains(address) {
            let found = table.view.aliases(at: address &- UInt64(bitPattern: module.info.slide))
            if !found.isEmpty { return found }
        }
        return []
    }

    /// The modules, each with a table that has all symbols.
    private var named: [(module: Module, table: SymbolTable)] {
        state.withLock { state in state.modules.map { ($0, $0.rest?.symbolTable ?? $0.table) } }
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
    /// Function symbols of the ELF symbol table, as far as they have been read.
    public var symbolCount: Int
    /// Functions and inlined copies that DWARF describes, as far as it has been read.
    public var functionCount: Int
    /// Whether it is a Linux kernel module: its names serve, its code does not.
    public var isKernelModule = false
    /// What is wrong with the file although it serves; to be shown to the user.
    public var warnings: [SymbolError]
}
