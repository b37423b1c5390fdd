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
        let file: DWARFFile
        /// The units, largest first: the last ones to be taken are small.
        let order: [Int]
        let next = Atomic<Int>(0)

        init(_ file: DWARFFile) {
            self.file = file
            let sizes = file.units.map { $0.end &- $0.start }
            order = file.units.indices.sorted { (sizes[$1], $0) < (sizes[$0], $1) }
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
        let work = Work(DWARFFile(source, alternate: alternate.map { DWARFFile($0) }))
        let split = SplitUnits(programs: images, machine: program.machine)
        let fileSize = images.reduce(alternate?.file.bytes.count ?? 0) { $0 &+ $1.file.bytes.count }
        let size = fileSize &+ work.file.info.count &+ work.file.line.count

        let count = max(1, min(Parallel.threadCount, work.order.count))
        let readers = Parallel.Results<UnitReader>(count)
        let symbols = Parallel.Results<Symbols>(1)
        Parallel.run(count) { thread in
            // The symbol table is one more piece of work.
            if thread == 0 { symbols.put(TableBuilder.readSymbols(images, text), at: 0) }
            var reader = UnitReader(work.file, text: text, split: split, fileSize: size)
            while true {
                let next = work.next.add(1, ordering: .relaxed).oldValue
                guard next < work.order.count else { break }
                reader.read(work.order[next])
            }
            readers.put(reader, at: thread)
        }
        let taken = readers.take()
        noteWarnings(taken, work.file)
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

    private mutating func noteWarnings(_ readers: [UnitReader], _ file: DWARFFile) {
        let source = debugFile ?? program
        let inflating = images.flatMap(\.damagedSections) + (alternate?.damagedSections ?? [])
        if !inflating.isEmpty {
            warnings.append(SymbolError(file: source.path, kind: .damagedCompression(sections: inflating)))
        }
        let units = readers.reduce(0) { $0 + $1.compileUnits }
        let damaged = readers.reduce(file.isCutShort ? 1 : 0) { $0 + $1.damagedUnits }
        if damaged > 0 {
            warnings.append(
                SymbolError(
                    file: source.path,
                    kind: .damagedDWARF(units: damaged, message: "entries that end early or contradict themselves")))
        } else if units == 0 {
            warnings.append(SymbolError(file: program.path, kind: .noDWARF))
        }
        let missing = readers.flatMap(\.missing)
        if let first = missing.min() {
            warnings.append(
                SymbolError(file: source.path, kind: .missingSplitUnits(count: missing.count, first: first)))
        }
    }
}
