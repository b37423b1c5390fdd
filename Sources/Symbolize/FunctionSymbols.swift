// SPDX-License-Identifier: GPL-2.0-or-later

import CElfutils

/// A function symbol of the ELF symbol table.
struct FunctionSymbol: Sendable, BitwiseCopyable {
    var address: UInt64
    /// 0: the table does not say (hand-written assembly).
    var size: UInt64
    var name: StringPool.ID
    /// Higher is the better name for an address that several symbols share: a function before a bare label, global
    /// before weak before local.
    var rank: UInt8
}

/// The function symbols of a file, sorted by address, best rank first.
///
/// Which symbol an address belongs to follows libdwfl (elfutils: libdwfl/dwfl_module_addrsym.c): a symbol with a size
/// owns exactly its bytes, so that padding between functions belongs to none; where such symbols nest, the one that
/// begins last holds. A symbol without a size gets what no sized symbol claims, up to the next symbol or the end of
/// the code.
enum FunctionSymbols {
    /// Reads `.symtab`, or `.dynsym` where there is none.
    static func read(_ image: borrowing ELFImage, names: inout StringPool) -> [FunctionSymbol] {
        var symbols = read(image, sectionType: UInt32(SHT_SYMTAB), names: &names)
        if symbols.isEmpty { symbols = read(image, sectionType: UInt32(SHT_DYNSYM), names: &names) }
        // A symbol that stands in the table twice (local and global view of one function) stays once: `names` has
        // each name once, so equal ids are equal names.
        symbols.sort { ($0.address, $1.rank, $0.size, $0.name) < ($1.address, $0.rank, $1.size, $1.name) }
        return symbols
    }

    private static func read(
        _ image: borrowing ELFImage, sectionType: UInt32, names: inout StringPool
    ) -> [FunctionSymbol] {
        var symbols: [FunctionSymbol] = []
        let unit = gelf_fsize(image.handle, ELF_T_SYM, 1, UInt32(EV_CURRENT))
        guard unit > 0 else { return [] }
        var section = elf_nextscn(image.handle, nil)
        while let current = section {
            section = elf_nextscn(image.handle, current)
            var header = GElf_Shdr()
            guard gelf_getshdr(current, &header) != nil, header.sh_type == sectionType,
                let data = elf_getdata(current, nil)
            else { continue }
            for index in 0..<min(data.pointee.d_size / unit, Int(Int32.max)) {
                var symbol = GElf_Sym()
                guard gelf_getsym(data, Int32(index), &symbol) != nil, let rank = rank(symbol),
                    image.isText(symbol.st_value),
                    let name = elf_strptr(image.handle, Int(header.sh_link), Int(symbol.st_name)),
                    !isLocalLabel(name)
                else { continue }
                symbols.append(
                    FunctionSymbol(
                        address: symbol.st_value, size: symbol.st_size, name: names.intern(name), rank: rank))
            }
        }
        return symbols
    }

    /// `nil` for what does not name code.
    private static func rank(_ symbol: GElf_Sym) -> UInt8? {
        guard symbol.st_shndx != UInt16(SHN_UNDEF) else { return nil }
        let type = Int32(symbol.st_info & 0xf)
        let isFunction = type == STT_FUNC || type == STT_GNU_IFUNC
        guard isFunction || type == STT_NOTYPE else { return nil }
        // A linker script's `_etext = .` and the like.
        if !isFunction && symbol.st_shndx == UInt16(SHN_ABS) { return nil }
        let binding: UInt8 =
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
                    depth: UInt32(symbol.rank), value: UInt32(index)))
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
