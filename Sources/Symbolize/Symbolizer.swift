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
/// A file is read once, when it is added, into a sorted table (``AddressTable``); looking up an address touches no
/// DWARF any more. Files are asked in the order in which they were added. All calls are safe from any thread.
public final class Symbolizer: Sendable {
    private struct Module: Sendable {
        var info: ModuleInfo
        var table: AddressTable
    }

    private let loaded = Mutex<[Module]>([])

    public init() {}

    /// Reads a linked ELF file: a kernel, a program, a shared library.
    ///
    /// - Parameters:
    ///   - path: The file.
    ///   - slide: What to add to the file's addresses to get those of the run: 0 for what runs where it was linked.
    ///   - range: The addresses of the run that this file answers for; all of its code when `nil`.
    ///   - machine: The processor that the file must be for (ELF `e_machine`; the log's header has it).
    /// - Returns: The module as it stands in ``modules``, with warnings.
    @discardableResult
    public func add(
        _ path: String, slide: Int64 = 0, range: Range<UInt64>? = nil, machine: UInt16 = 62
    ) throws(SymbolError) -> ModuleInfo {
        let image = try ELFImage(path: path, machine: machine)
        var warnings: [SymbolError] = []
        let table = AddressTable(image, warnings: &warnings)
        guard !table.starts.isEmpty else { throw SymbolError(file: path, kind: .noSymbols) }
        let shift = UInt64(bitPattern: slide)
        let low = (image.text.first?.lowerBound ?? 0) &+ shift
        let high = (image.text.last?.upperBound ?? 0) &+ shift
        var info = ModuleInfo(
            path: path, slide: slide, range: range ?? low..<max(low, high), symbolCount: table.symbols.count,
            functionCount: table.nodes.count, warnings: warnings)
        return loaded.withLock { modules in
            for other in modules where other.info.range.overlaps(info.range) {
                let common = other.info.range.clamped(to: info.range)
                info.warnings.append(
                    SymbolError(
                        file: path,
                        kind: .overlaps(other: other.info.path, from: common.lowerBound, to: common.upperBound)))
            }
            modules.append(Module(info: info, table: table))
            return info
        }
    }

    /// Reads a file as a command line names it.
    @discardableResult
    public func add(_ file: SymbolFile, machine: UInt16 = 62) throws(SymbolError) -> ModuleInfo {
        try add(file.path, slide: file.slide, range: file.range, machine: machine)
    }

    /// The files added so far, in order.
    public var modules: [ModuleInfo] { loaded.withLock { $0.map(\.info) } }

    /// What stands at an address of the run; `nil` when no file knows it.
    public func symbolize(_ address: UInt64) -> Symbolized? {
        for module in loaded.withLock({ $0 }) where module.info.range.contains(address) {
            let own = address &- UInt64(bitPattern: module.info.slide)
            if let found = module.table.describe(own, module: module.info.path) { return found }
        }
        return nil
    }

    /// The addresses of the run that a place `SYMBOL[+OFFSET]` names: one range for each symbol of that name (static
    /// functions may share one), from the offset to the symbol's end. Empty when there is no such symbol, or none that
    /// is that long.
    public func resolve(name: String) -> [Range<UInt64>] {
        let (symbol, offset) = Symbolizer.split(name)
        var found: [Range<UInt64>] = []
        for module in loaded.withLock({ $0 }) {
            let shift = UInt64(bitPattern: module.info.slide)
            for own in module.table.ranges(named: symbol) {
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
        for module in loaded.withLock({ $0 }) where module.info.range.contains(address) {
            let found = module.table.aliases(at: address &- UInt64(bitPattern: module.info.slide))
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
