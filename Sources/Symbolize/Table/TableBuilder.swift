// SPDX-License-Identifier: GPL-2.0-or-later

import Formatting
import Synchronization

/// Makes a table of a program and its debug information: one pass over all units on all processors, then the results
/// are sorted and laid over each other.
enum TableBuilder {
    /// What a table covers when it is not whole.
    struct Part {
        /// Sorted, apart from each other.
        var covered: [Range<UInt64>] = []
        /// The headers of the units that it is made of, ascending.
        var units: [UInt64] = []
    }

    /// What the threads share.
    private final class Work: Sendable {
        let units: [DebugInfo.Unit]
        /// The units, largest first: the last ones to be taken are small.
        let order: [Int]
        let next = Atomic<Int>(0)

        init(_ units: [DebugInfo.Unit]) {
            self.units = units
            order = units.indices.sorted { (units[$1].size, $0) < (units[$0].size, $1) }
        }
    }

    /// The symbols of the ELF symbol table, and what they own.
    struct Symbols {
        var symbols: [FunctionSymbol]
        var names: StringPool
        var boundaries: [Boundary]

        /// - Parameter part: Only what decides about these addresses; see ``FunctionSymbols/read(_:text:part:names:)``.
        init(_ images: [ELFImage], text: [Range<UInt64>], part: [Range<UInt64>]? = nil) {
            var names = StringPool()
            let symbols = FunctionSymbols.read(images, text: text, part: part, names: &names)
            self.init(sorted: symbols, names: names, text: text)
        }

        init(sorted symbols: [FunctionSymbol], names: StringPool, text: [Range<UInt64>]) {
            self.symbols = symbols
            self.names = names
            boundaries = FunctionSymbols.boundaries(symbols, text: text)
        }
    }

    /// The whole table of a program and its debug information, and what is wrong with them although they serve.
    static func build(_ source: TableSource) -> (table: SymbolTable?, warnings: [SymbolError]) {
        let (images, text) = (source.images, source.text)
        let info = source.openDebugInfo()
        let (units, isCutShort) = info.units()
        let size = source.size(info)
        let symbols = Parallel.Results<Symbols>(1)
        let count = max(1, min(Parallel.threadCount, units.count))
        let first = UnitReader(info, text: text, fileSize: size)
        let taken = read(units, with: [first], threads: count) { thread in
            // The symbol table is one more piece of work.
            if thread == 0 { symbols.put(Symbols(images, text: text), at: 0) }
            return UnitReader(source.openDebugInfo(), text: text, fileSize: size)
        }
        let warnings = warnings(taken, info, source, isCutShort: isCutShort, isWhole: true)
        let all = symbols.take().first ?? Symbols(images, text: text)
        let table = assemble(taken, all, text: text, lowestSegment: source.program.lowestSegment)
        return (table, warnings)
    }

    /// Reads units, each by the reader that has nothing else to do. The last thread, which is this one, has the first
    /// reader.
    ///
    /// - Parameter make: What a thread does that has no reader yet; it gets the thread's number.
    static func read(
        _ units: [DebugInfo.Unit], with readers: [UnitReader], threads: Int,
        make: @escaping @Sendable (Int) -> UnitReader
    ) -> [UnitReader] {
        let work = Work(units)
        let results = Parallel.Results<UnitReader>(max(threads, readers.count))
        for (index, reader) in readers.enumerated() { results.put(reader, at: index) }
        Parallel.run(threads) { thread in
            let index = threads - 1 - thread
            var reader = results.take(at: index) ?? make(thread)
            while reader.canRead {
                let next = work.next.add(1, ordering: .relaxed).oldValue
                guard next < work.order.count else { break }
                reader.read(work.units[work.order[next]])
            }
            results.put(reader, at: index)
        }
        return results.take()
    }

    /// A table of symbols alone (System.map, /proc/kallsyms).
    static func build(symbols: [FunctionSymbol], names: StringPool, text: [Range<UInt64>]) -> SymbolTable? {
        let symbols = Symbols(sorted: FunctionSymbols.sorted(symbols), names: names, text: text)
        return assemble([], symbols, text: text, lowestSegment: nil)
    }

    /// What turned out to be wrong when units were read.
    static func warnings(
        _ readers: [UnitReader], _ info: DebugInfo, _ source: TableSource, isCutShort: Bool = false,
        isWhole: Bool = false
    ) -> [SymbolError] {
        let path = source.debugImage.path
        var warnings: [SymbolError] = []
        if !info.compressedSections.isEmpty {
            warnings.append(SymbolError(file: path, kind: .damagedCompression(sections: info.compressedSections)))
        }
        if let refusal = info.refusal { warnings.append(refusal) }
        if let excess = info.excessiveLines(text: source.text) { warnings.append(excess) }
        let isRefused = info.failure != nil && info.compressedSections.isEmpty
        let damaged = readers.reduce(isCutShort || isRefused ? 1 : 0) { $0 + $1.damagedUnits }
        if damaged > 0 {
            let message = info.failure ?? "entries that end early or contradict themselves"
            warnings.append(SymbolError(file: path, kind: .damagedDWARF(units: damaged, message: message)))
        } else if isWhole, info.refusal == nil, readers.allSatisfy({ $0.compileUnits == 0 }) {
            warnings.append(SymbolError(file: source.path, kind: .noDWARF))
        }
        let missing = readers.flatMap(\.missing)
        if let first = missing.min() {
            warnings.append(SymbolError(file: path, kind: .missingSplitUnits(count: missing.count, first: first)))
            if let package = DebugFiles.package(beside: source.images) {
                warnings.append(SymbolError(file: package, kind: .splitPackage))
            }
        }
        return warnings
    }
}
