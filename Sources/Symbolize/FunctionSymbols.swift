// SPDX-License-Identifier: GPL-2.0-or-later

import CElfutils
import Formatting
import Glibc

/// A function symbol of the ELF symbol table.
struct FunctionSymbol: Sendable, BitwiseCopyable {
    var address: UInt64
    /// 0: the table does not say (hand-written assembly).
    var size: UInt64
    var name: StringPool.ID
    /// Higher is the better name for an address that several symbols share: a function before a bare label, global
    /// before weak before local.
    var rank: UInt32
}

/// The function symbols of a file, sorted by address, best rank first.
///
/// Which symbol an address belongs to follows libdwfl (elfutils: libdwfl/dwfl_module_addrsym.c): a symbol with a size
/// owns exactly its bytes, so that padding between functions belongs to none; where such symbols nest, the one that
/// begins last holds. A symbol without a size gets what no sized symbol claims, up to the next symbol or the end of
/// the code.
enum FunctionSymbols {
    /// Reads `.symtab` of the first file that has one, else `.dynsym`. If the symbol table is that of a program's
    /// MiniDebugInfo, which leaves exported functions out, reads both.
    ///
    /// - Parameter part: Sorted, apart from each other: only the symbols that decide what holds at these addresses.
    static func read(
        _ images: [ELFImage], text: [Range<UInt64>], part: [Range<UInt64>]? = nil, names: inout StringPool
    ) -> [FunctionSymbol] {
        if let part, part.isEmpty { return [] }
        var symbols: [FunctionSymbol] = []
        for type in [UInt32(SHT_SYMTAB), UInt32(SHT_DYNSYM)] {
            for image in images {
                func add(_ symbol: FunctionSymbol, _ name: UnsafePointer<CChar>) {
                    var symbol = symbol
                    symbol.name = names.intern(
                        UnsafeRawBufferPointer(start: name, count: strnlen(name, StringPool.nameLimit)))
                    symbols.append(symbol)
                }
                var hasAny = false
                if let part {
                    var selection = Selection(part)
                    func note(_ symbol: FunctionSymbol, _: UnsafePointer<CChar>) {
                        hasAny = true
                        selection.note(symbol)
                    }
                    forEach(image, type, text, where: { !hasAny || selection.isLater($0) }, note)
                    selection.extend()
                    forEach(image, type, text, where: { selection.contains($0) }, add)
                } else {
                    forEach(image, type, text, where: { _ in true }, add)
                }
                if (hasAny || !symbols.isEmpty) && !image.isMiniDebugInfo { return sorted(symbols) }
            }
        }
        return sorted(symbols)
    }

    /// Addresses, and the symbols that decide what holds there: those that reach into them and, since one without a size
    /// goes on to the next one, the last ones that begin before, with what they lie in.
    private struct Selection {
        private var ranges: [Range<UInt64>]
        /// For each range the last symbol that begins at or before its beginning, after the previous beginning.
        private var last: [UInt64?]

        init(_ ranges: [Range<UInt64>]) {
            self.ranges = ranges
            last = Array(repeating: nil, count: ranges.count)
        }

        /// Whether a symbol is the last one so far of any range.
        func isLater(_ symbol: FunctionSymbol) -> Bool {
            let index = place(of: symbol)
            return index < last.count && (last[index] ?? 0) <= symbol.address
        }

        mutating func note(_ symbol: FunctionSymbol) {
            if isLater(symbol) { last[place(of: symbol)] = symbol.address }
        }

        /// The first range that begins at or after the symbol.
        private func place(of symbol: FunctionSymbol) -> Int {
            ranges.partitioningIndex { $0.lowerBound >= symbol.address }
        }

        mutating func extend() {
            var latest: UInt64?
            for index in ranges.indices {
                latest = last[index] ?? latest
                if let latest { ranges[index] = latest..<ranges[index].upperBound }
            }
            ranges = ranges.joinedRanges()
        }

        func contains(_ symbol: FunctionSymbol) -> Bool {
            let index = ranges.partitioningIndex { $0.upperBound > symbol.address }
            guard index < ranges.count else { return false }
            let reached = ranges[index].lowerBound
            return reached <= symbol.address || reached &- symbol.address < symbol.size
        }
    }

    /// A symbol that is in the table twice (local and global view of one function) gives equal neighbours: a pool
    /// has each name once, so equal ids are equal names.
    static func sorted(_ symbols: [FunctionSymbol]) -> [FunctionSymbol] {
        func areInOrder(_ first: Int, _ second: Int) -> Bool {
            let (a, b) = (symbols[first], symbols[second])
            return (b.rank, a.size, a.name) < (a.rank, b.size, b.name)
        }
        let order = sortedOrder(symbols.count, key: { symbols[$0].address }, areInOrder: areInOrder)
        return order.map { symbols[Int($0)] }
    }

    /// Calls `body` with each function symbol of a file that is wanted, its name not taken up yet.
    @inline(__always)
    private static func forEach(
        _ image: ELFImage, _ sectionType: UInt32, _ text: [Range<UInt64>], where isWanted: (FunctionSymbol) -> Bool,
        _ body: (FunctionSymbol, UnsafePointer<CChar>) -> Void
    ) {
        let size = gelf_fsize(image.handle, ELF_T_SYM, 1, UInt32(EV_CURRENT))
        guard size > 0 else { return }
        ELFImage.forEachSection(image.handle) { section in
            guard section.header.sh_type == sectionType, let data = elf_getdata(section.handle, nil) else { return }
            for index in 0..<min(data.pointee.d_size / size, Int(Int32.max)) {
                var entry = GElf_Sym()
                guard gelf_getsym(data, Int32(index), &entry) != nil, let rank = rank(entry) else { continue }
                let symbol = FunctionSymbol(address: entry.st_value, size: entry.st_size, name: 0, rank: rank)
                guard isWanted(symbol), text.containsSorted(symbol.address),
                    let name = elf_strptr(image.handle, Int(section.header.sh_link), Int(entry.st_name)),
                    !isLocalLabel(name)
                else { continue }
                body(symbol, name)
            }
        }
    }

    /// `nil` for what does not name code.
    private static func rank(_ symbol: GElf_Sym) -> UInt32? {
        guard symbol.st_shndx != UInt16(SHN_UNDEF) else { return nil }
        let type = Int32(symbol.st_info & 0xf)
        let isFunction = type == STT_FUNC || type == STT_GNU_IFUNC
        guard isFunction || type == STT_NOTYPE else { return nil }
        // A linker script's `_etext = .` and the like.
        if !isFunction && symbol.st_shndx == UInt16(SHN_ABS) { return nil }
        let binding: UInt32 =
            switch Int32(symbol.st_info >> 4) {
            case STB_GLOBAL: 2
            case STB_WEAK: 1
            default: 0
            }
        return (symbol.st_size > 0 ? 8 : 0) | (isFunction ? 4 : 0) | binding
    }

    /// Empty names, and the assembler's `.L…` labels.
    private static func isLocalLabel(_ name: UnsafePointer<CChar>) -> Bool {
        name[0] == 0 || (name[0] == CChar(0x2e) && name[1] == CChar(0x4c))
    }

    /// Which symbol (an index into `symbols`) each address belongs to.
    static func boundaries(_ symbols: [FunctionSymbol], text: [Range<UInt64>]) -> [Boundary] {
        var intervals: [Interval] = []
        for (index, symbol) in symbols.enumerated() where symbol.size > 0 {
            // Of symbols that begin at one address the sweep lets the deepest win.
            let end = symbol.address.addingReportingOverflow(symbol.size)
            intervals.append(
                Interval(
                    low: symbol.address, high: end.overflow ? .max : end.partialValue,
                    depth: symbol.rank, value: UInt32(index)))
        }
        let sized = innermost(intervals)
        return fillGaps(sized, symbols: symbols, text: text)
    }

    /// Gives what no sized symbol claims to the symbols without a size.
    private static func fillGaps(
        _ sized: [Boundary], symbols: [FunctionSymbol], text: [Range<UInt64>]
    ) -> [Boundary] {
        var result: [Boundary] = []
        var next = 0
        var owner = Boundary.none
        func add(_ low: UInt64, _ value: UInt32) {
            if result.last?.low == low { result.removeLast() }
            if (result.last?.value ?? Boundary.none) != value { result.append(Boundary(low: low, value: value)) }
        }
        var marks: [(low: UInt64, symbol: UInt32)] = []
        for (index, symbol) in symbols.enumerated() where symbol.size == 0 {
            if marks.last?.low != symbol.address { marks.append((symbol.address, UInt32(index))) }
        }
        for range in text { marks.append((range.upperBound, Boundary.none)) }
        marks.sort { ($0.low, $0.symbol) < ($1.low, $1.symbol) }
        for mark in marks {
            while next < sized.count, sized[next].low <= mark.low {
                add(sized[next].low, sized[next].value)
                owner = sized[next].value
                next += 1
            }
            if owner == Boundary.none { add(mark.low, mark.symbol) }
        }
        while next < sized.count {
            add(sized[next].low, sized[next].value)
            next += 1
        }
        return result
    }
}
