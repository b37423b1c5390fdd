// SPDX-License-Identifier: GPL-2.0-or-later

import CElfutils

extension SymbolPiece {
    /// The piece as an ELF file.
    ///
    /// The file has the build ID of the whole file, a section of code for each stretch, at its address, `.symtab` and
    /// debug sections. Places at which a kernel changes its own code are in an `.altinstructions` section, whatever
    /// table of the whole file named them.
    ///
    /// - Parameters:
    ///   - sites: Where the code that ran may be other code, at addresses of the file.
    ///   - code: Returns at most so many bytes of code at an address of the file; fewer or none where there is no code.
    public func elf(sites: [Range<UInt64>] = [], code: (UInt64, Int) -> [UInt8]) -> [UInt8] {
        var file = PieceFile(is64: is64)
        let firstText = file.sectionCount
        var withCode: [Range<UInt64>] = []
        for range in ranges {
            let count = Int(clamping: range.upperBound - range.lowerBound)
            let bytes = Array(code(range.lowerBound, count).prefix(count))
            file.addCode(range, bytes)
            if !bytes.isEmpty { withCode.append(range) }
        }
        addSymbols(to: &file, firstText: firstText)
        let dwarf = PieceDWARF(self)
        if !nodes.isEmpty || !lines.isEmpty {
            file.add(".debug_abbrev", SHT_PROGBITS, dwarf.abbreviations.bytes)
            file.add(".debug_aranges", SHT_PROGBITS, dwarf.addresses.bytes)
            file.add(".debug_info", SHT_PROGBITS, dwarf.info.bytes)
            file.add(".debug_line", SHT_PROGBITS, dwarf.lines.bytes)
            file.add(".debug_ranges", SHT_PROGBITS, dwarf.ranges.bytes)
            file.add(".debug_str", SHT_PROGBITS, dwarf.strings.bytes)
        }
        // A reader uses the table only if each entry is about code of the file.
        let sites = withCode.commonRanges(sites)
        if is64, let base = ranges.first?.lowerBound, !sites.isEmpty {
            file.add(".altinstructions", SHT_PROGBITS, address: base, SymbolPiece.alternatives(sites, base))
        }
        if !buildID.isEmpty {
            var note = PieceBytes()
            note.put(UInt32(4))
            note.put(UInt32(buildID.count))
            note.put(UInt32(NT_GNU_BUILD_ID))
            note.put(text: "GNU")
            note.put(buildID)
            note.align(to: 4)
            file.add(".note.gnu.build-id", SHT_NOTE, note.bytes)
        }
        return file.finish(
            type: UInt16(isShared ? ET_DYN : ET_EXEC), machine: machine.rawValue,
            load: (lowestSegment ?? ranges.first?.lowerBound ?? 0)..<max(
                ranges.last?.upperBound ?? 0, lowestSegment ?? 0))
    }

    /// Entries of `struct alt_instr` of 12 bytes: the distance to the code, that to its replacement, a feature, lengths.
    private static func alternatives(_ sites: [Range<UInt64>], _ base: UInt64) -> [UInt8] {
        var bytes = PieceBytes()
        for site in sites {
            var low = site.lowerBound
            while low < site.upperBound {
                let length = min(site.upperBound - low, 255)
                let distance = Int64(bitPattern: low &- (base &+ UInt64(bytes.count)))
                if let near = Int32(exactly: distance) {
                    bytes.put(near)
                    bytes.put([0, 0, 0, 0, 0, 0, UInt8(length), UInt8(length)])
                }
                low += length
            }
        }
        return bytes.bytes
    }

    /// Local symbols come first, as ELF demands; else the order stays.
    private func addSymbols(to file: inout PieceFile, firstText: Int) {
        var names = PieceStrings()
        var table = PieceBytes(addressSize: is64 ? 8 : 4)
        table.put([UInt8](repeating: 0, count: is64 ? 24 : 16))
        let locals = symbols.filter { $0.rank & 3 == 0 }
        for symbol in locals + symbols.filter({ $0.rank & 3 != 0 }) {
            let binding = symbol.rank & 2 != 0 ? STB_GLOBAL : symbol.rank & 1 != 0 ? STB_WEAK : STB_LOCAL
            let info = UInt8(binding << 4 | (symbol.rank & 4 != 0 ? STT_FUNC : STT_NOTYPE))
            let index = ranges.partitioningIndex { $0.upperBound > symbol.address }
            let section = UInt16(clamping: firstText + index)
            table.put(names.offset(of: symbol.name))
            if is64 {
                table.put([info, 0])
                table.put(section)
                table.put(symbol.address)
                table.put(symbol.size)
            } else {
                table.put(address: symbol.address)
                table.put(UInt32(truncatingIfNeeded: symbol.size))
                table.put([info, 0])
                table.put(section)
            }
        }
        let link = UInt32(file.sectionCount + 1)
        file.add(
            ".symtab", SHT_SYMTAB, table.bytes, link: link, info: UInt32(locals.count + 1), entrySize: is64 ? 24 : 16)
        file.add(".strtab", SHT_STRTAB, names.bytes)
    }
}

extension [Range<UInt64>] {
    /// The addresses that both sorted lists of ranges contain, ascending.
    fileprivate func commonRanges(_ other: [Range<UInt64>]) -> [Range<UInt64>] {
        var (one, two, found) = (startIndex, other.startIndex, [] as [Range<UInt64>])
        while one < endIndex, two < other.endIndex {
            let common = self[one].clamped(to: other[two])
            if !common.isEmpty { found.append(common) }
            if self[one].upperBound <= other[two].upperBound { one += 1 } else { two += 1 }
        }
        return found
    }
}

/// An ELF file that is being made.
private struct PieceFile {
    private struct Section {
        var name: UInt32
        var type: Int32
        var flags: UInt64
        var address: UInt64
        var offset: Int
        var size: UInt64
        var link: UInt32
        var info: UInt32
        var alignment: UInt64
        var entrySize: UInt64
    }

    private let is64: Bool
    private var contents: PieceBytes
    private var names = PieceStrings()
    private var sections: [Section]

    private var headerSize: Int { is64 ? 64 : 52 }
    private var segmentSize: Int { is64 ? 56 : 32 }

    init(is64: Bool) {
        self.is64 = is64
        contents = PieceBytes(addressSize: is64 ? 8 : 4)
        sections = [
            Section(
                name: 0, type: SHT_NULL, flags: 0, address: 0, offset: 0, size: 0, link: 0, info: 0, alignment: 0,
                entrySize: 0)
        ]
        contents.put([UInt8](repeating: 0, count: headerSize + segmentSize))
    }

    var sectionCount: Int { sections.count }

    /// Adds a stretch of code. One without bytes is there for its addresses.
    mutating func addCode(_ range: Range<UInt64>, _ bytes: [UInt8]) {
        let isWhole = UInt64(bytes.count) == range.upperBound - range.lowerBound
        add(
            ".text", bytes.isEmpty ? SHT_NOBITS : SHT_PROGBITS, flags: UInt64(SHF_ALLOC | SHF_EXECINSTR),
            address: range.lowerBound,
            // What a file has no code for, after code that it has, reads as zeros.
            isWhole || bytes.isEmpty
                ? bytes : bytes + [UInt8](repeating: 0, count: Int(range.upperBound - range.lowerBound) - bytes.count),
            size: range.upperBound - range.lowerBound)
    }

    mutating func add(
        _ name: String, _ type: Int32, flags: UInt64 = 0, address: UInt64 = 0, _ bytes: [UInt8], size: UInt64? = nil,
        link: UInt32 = 0, info: UInt32 = 0, entrySize: UInt64 = 0
    ) {
        let alignment = type == SHT_SYMTAB ? 8 : type == SHT_NOTE ? 4 : 1
        contents.align(to: alignment)
        sections.append(
            Section(
                name: names.offset(of: name), type: type, flags: flags, address: address, offset: contents.count,
                size: size ?? UInt64(bytes.count), link: link, info: info, alignment: UInt64(alignment),
                entrySize: entrySize))
        contents.put(bytes)
    }

    /// Completes the file: one loaded segment gives the lowest address of the whole file.
    mutating func finish(type: UInt16, machine: UInt16, load: Range<UInt64>) -> [UInt8] {
        add(".shstrtab", SHT_STRTAB, [])
        let nameSection = sections.count - 1
        sections[nameSection].size = UInt64(names.bytes.count)
        contents.put(names.bytes)
        contents.align(to: 8)
        let tableAt = contents.count
        for section in sections { put(section) }
        var head = PieceBytes(addressSize: is64 ? 8 : 4)
        head.put([0x7f, 0x45, 0x4c, 0x46, UInt8(is64 ? ELFCLASS64 : ELFCLASS32), UInt8(ELFDATA2LSB), 1])
        head.align(to: 16)
        head.put(type)
        head.put(machine)
        head.put(UInt32(EV_CURRENT))
        head.put(address: 0)
        head.put(address: UInt64(headerSize))
        head.put(address: UInt64(tableAt))
        head.put(UInt32(0))
        for value in [headerSize, segmentSize, 1, is64 ? 64 : 40, sections.count, nameSection] {
            head.put(UInt16(clamping: value))
        }
        putSegment(load, &head)
        return head.bytes + contents.bytes.dropFirst(head.count)
    }

    private func putSegment(_ load: Range<UInt64>, _ head: inout PieceBytes) {
        let size = load.upperBound - load.lowerBound
        head.put(UInt32(PT_LOAD))
        if is64 { head.put(UInt32(PF_R)) }
        for value in [0, load.lowerBound, load.lowerBound, 0, size] { head.put(address: value) }
        if !is64 { head.put(UInt32(PF_R)) }
        head.put(address: 1)
    }

    private mutating func put(_ section: Section) {
        contents.put(section.name)
        contents.put(UInt32(section.type))
        contents.put(address: section.flags)
        contents.put(address: section.address)
        contents.put(address: UInt64(section.offset))
        contents.put(address: section.size)
        contents.put(section.link)
        contents.put(section.info)
        contents.put(address: section.alignment)
        contents.put(address: section.entrySize)
    }
}
