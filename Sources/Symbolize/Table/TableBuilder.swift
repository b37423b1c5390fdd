// SPDX-License-Identifier: GPL-2.0-or-later

import Synchronization

/// Makes a table of a program and its debug information: one pass over all units on all processors, then the results
/// are sorted and laid over each other.
struct TableBuilder {
    let program: ELFImage
    /// The separate debug file, where there is one.
    let debugFile: ELFImage?
    let alternate: ELFImage?
    /// What is wrong with the files although they serve.
    private(set) var warnings: [SymbolError] = []

    init(program: ELFImage, debugFile: ELFImage?, alternate: ELFImage?) {
        self.program = program
        self.debugFile = debugFile
        self.alternate = alternate
    }

    private var images: [ELFImage] { [program] + (debugFile.map { [$0] } ?? []) }

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

    private struct Symbols {
        var symbols: [FunctionSymbol]
        var names: StringPool
        var boundaries: [Boundary]
    }

    mutating func build() -> SymbolTable? {
        let text = images.flatMap(\.text).joinedRanges()
        let images = images
        let source = debugFile ?? program
        let alternate = alternate
        let info = DebugInfo(source, alternate: alternate)
        let (units, isCutShort) = info.units()
        let work = Work(units)
        let size = images.reduce(alternate?.file.bytes.count ?? 0) { $0 &+ $1.file.bytes.count } &+ info.size

        let count = max(1, min(Parallel.threadCount, units.count))
        let readers = Parallel.Results<UnitReader>(count)
        let symbols = Parallel.Results<Symbols>(1)
        Parallel.run(count) { thread in
            // The symbol table is one more piece of work.
            if thread == 0 { symbols.put(TableBuilder.readSymbols(images, text), at: 0) }
            let own = thread == count - 1 ? info : DebugInfo(source, alternate: alternate)
            var reader = UnitReader(own, text: text, fileSize: size)
            while own.dwarf != nil {
                let next = work.next.add(1, ordering: .relaxed).oldValue
                guard next < work.order.count else { break }
                reader.read(work.units[work.order[next]], index: work.order[next])
            }
            readers.put(reader, at: thread)
        }
        let taken = readers.take()
        noteWarnings(taken, info, isCutShort: isCutShort)
        guard let symbols = symbols.take().first else { return nil }
        return TableBuilder.assemble(
            taken, symbols.symbols, symbols.names, symbols.boundaries, text: text, lowestSegment: program.lowestSegment)
    }

    /// A table of symbols alone (System.map, /proc/kallsyms).
    static func build(symbols: [FunctionSymbol], names: StringPool, text: [Range<UInt64>]) -> SymbolTable? {
        let sorted = FunctionSymbols.sorted(symbols)
        return assemble(
            [], sorted, names, FunctionSymbols.boundaries(sorted, text: text), text: text, lowestSegment: nil)
    }

    private static func readSymbols(_ images: [ELFImage], _ text: [Range<UInt64>]) -> Symbols {
        var names = StringPool()
        let symbols = FunctionSymbols.read(images, text: text, names: &names)
        return Symbols(symbols: symbols, names: names, boundaries: FunctionSymbols.boundaries(symbols, text: text))
    }

    private mutating func noteWarnings(_ readers: [UnitReader], _ info: DebugInfo, isCutShort: Bool) {
        let source = debugFile ?? program
        if !info.compressedSections.isEmpty {
            warnings.append(
                SymbolError(file: source.path, kind: .damagedCompression(sections: info.compressedSections)))
        }
        let units = readers.reduce(0) { $0 + $1.compileUnits }
        let isRefused = info.failure != nil && info.compressedSections.isEmpty
        let damaged = readers.reduce(isCutShort || isRefused ? 1 : 0) { $0 + $1.damagedUnits }
        if damaged > 0 {
            let message = info.failure ?? "entries that end early or contradict themselves"
            warnings.append(SymbolError(file: source.path, kind: .damagedDWARF(units: damaged, message: message)))
        } else if units == 0 {
            warnings.append(SymbolError(file: program.path, kind: .noDWARF))
        }
        let missing = readers.flatMap(\.missing)
        if let first = missing.min() {
            warnings.append(
                SymbolError(file: source.path, kind: .missingSplitUnits(count: missing.count, first: first)))
            if let package = DebugFiles.package(beside: images) {
                warnings.append(SymbolError(file: package, kind: .splitPackage))
            }
        }
    }
}
