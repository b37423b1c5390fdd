// SPDX-License-Identifier: GPL-2.0-or-later

import CElfutils
import Glibc

/// Makes a linked file of a Linux kernel module, as the kernel does when it loads one, or of another object file that
/// somebody loaded: an object file (ET_REL), whose sections have no addresses, whose symbols count from their section's beginning, and whose DWARF is
/// whole only after relocation.
///
/// The result is a copy in memory, linked to ``base``; a slide takes it to where it ran, so that one table serves every
/// run. Executable sections get addresses, symbols and DWARF those that follow; all else stays as it is. Code is not
/// relocated: it is for names and lines only.
///
/// The layout is that of `layout_sections()` and `get_offset()` in Linux's kernel/module/main.c: executable sections
/// in the order of the file, each aligned as it asks for, without those that are freed once the module is initialised.
/// Relocation types: System V ABI for x86-64, table 4.10.
struct ModuleLinker {
    /// Where modules are linked to: what the first code gets.
    static let base: UInt64 = 0xffff_ffff_c000_0000

    private struct Section {
        var name: String
        /// Where its header is in the file.
        var header: Int
        var type: UInt32
        var flags: UInt64
        var offset: UInt64
        var size: UInt64
        var link: UInt32
        var info: UInt32
        var alignment: UInt64
        var address: UInt64?

        var isCode: Bool { flags & UInt64(SHF_ALLOC | SHF_EXECINSTR) == UInt64(SHF_ALLOC | SHF_EXECINSTR) }
        /// Freed once the module is initialised: other modules get these addresses.
        var isInitialisation: Bool { name.hasPrefix(".init") }
    }

    private let bytes: UnsafeMutableRawBufferPointer
    private var sections: [Section] = []

    /// - Parameters:
    ///   - file: the module.
    ///   - given: addresses of the run for sections by their names, as /sys/module/NAME/sections shows them; laid out here
    ///     when there are none. Sections that are not among them were not there.
    static func link(_ file: MappedFile, sections given: [String: UInt64]) throws(SymbolError) -> MappedFile {
        var problem: SymbolError.Kind?
        let linked = try file.copy(size: file.bytes.count) { area in
            area.copyMemory(from: file.bytes.buffer)
            var linker = ModuleLinker(bytes: area)
            problem = linker.run(given)
        }
        if let problem { throw SymbolError(file: file.path, kind: problem) }
        return linked
    }

    private init(bytes: UnsafeMutableRawBufferPointer) { self.bytes = bytes }

    private mutating func run(_ given: [String: UInt64]) -> SymbolError.Kind? {
        guard bytes.count >= 64, bytes[4] == 2, bytes[5] == 1, load(18, UInt16.self) == UInt16(EM_X86_64) else {
            return .notLinked(type: UInt16(ET_REL))
        }
        guard readSections() else { return .damagedELF("its section headers are not within the file") }
        if let compressed = sections.first(where: {
            $0.flags & UInt64(SHF_COMPRESSED) != 0 && $0.name.hasPrefix(".debug_")
        }) {
            return .compressedModule(section: compressed.name)
        }
        place(given)
        for section in sections where section.isCode {
            if let address = section.address {
                store(address, section.header + 16)
            } else {
                // Not there when the module ran.
                store(section.flags & ~UInt64(SHF_ALLOC | SHF_EXECINSTR), section.header + 8)
            }
        }
        if let table = sections.firstIndex(where: { $0.type == UInt32(SHT_SYMTAB) }) {
            moveSymbols(sections[table])
            relocate(symbols: table)
        }
        store(UInt16(ET_DYN), 16)
        return nil
    }

    // MARK: - Sections

    private mutating func readSections() -> Bool {
        guard let table = load(40, UInt64.self), let entrySize = load(58, UInt16.self), entrySize == 64,
            let count = load(60, UInt16.self), let namesIndex = load(62, UInt16.self), namesIndex < count,
            area(table, UInt64(count) * 64) != nil
        else { return false }
        for index in 0..<Int(count) {
            let at = Int(table) + index * 64
            guard let type = load(at + 4, UInt32.self), let flags = load(at + 8, UInt64.self),
                let offset = load(at + 24, UInt64.self), let size = load(at + 32, UInt64.self),
                let link = load(at + 40, UInt32.self), let info = load(at + 44, UInt32.self),
                let alignment = load(at + 48, UInt64.self)
            else { return false }
            sections.append(
                Section(
                    name: "", header: at, type: type, flags: flags, offset: offset, size: size, link: link, info: info,
                    alignment: alignment))
        }
        let names = sections[Int(namesIndex)]
        for index in sections.indices {
            let name = load(sections[index].header, UInt32.self) ?? 0
            sections[index].name = text(names, UInt64(name))
        }
        return true
    }

    private func text(_ section: Section, _ offset: UInt64) -> String {
        guard let area = area(section.offset, section.size), offset < UInt64(area.count) else { return "" }
        return String(decoding: bytes[area].dropFirst(Int(offset)).prefix(128).prefix { $0 != 0 }, as: UTF8.self)
    }

    private mutating func place(_ given: [String: UInt64]) {
        if let origin = ModuleLinker.origin(of: given) {
            for index in sections.indices where sections[index].isCode && !sections[index].isInitialisation {
                sections[index].address = given[sections[index].name].map { $0 &- origin &+ ModuleLinker.base }
            }
            return
        }
        var next = ModuleLinker.base
        for index in sections.indices where sections[index].isCode && !sections[index].isInitialisation {
            let alignment = max(1, min(sections[index].alignment, 1 << 20))
            let rest = next % alignment
            if rest != 0 { next &+= alignment &- rest }
            sections[index].address = next
            // A module's code is far smaller; addresses stay within the same table region.
            next &+= min(sections[index].size, 1 << 30)
        }
    }

    /// The address of the run that ``base`` is at, if sections' addresses are given.
    static func origin(of given: [String: UInt64]) -> UInt64? { given[".text"] ?? given.values.min() }

    // MARK: - Symbols, relocation

    /// `Elf64_Sym`: name u32, info u8, other u8, section u16, value u64, size u64.
    private func moveSymbols(_ table: Section) {
        guard let area = area(table.offset, table.size) else { return }
        for at in stride(from: area.lowerBound, to: area.upperBound - 23, by: 24) {
            guard let index = load(at + 6, UInt16.self), Int(index) < sections.count, sections[Int(index)].isCode,
                let value = load(at + 8, UInt64.self)
            else { continue }
            if let address = sections[Int(index)].address {
                store(address &+ value, at + 8)
            } else {
                store(UInt16(SHN_UNDEF), at + 6)
            }
        }
    }

    /// `Elf64_Rela`: offset u64, type u32, symbol u32, addend i64. Only debug sections.
    private func relocate(symbols table: Int) {
        guard let symbols = area(sections[table].offset, sections[table].size) else { return }
        // Sections of a sound file do not share bytes.
        var budget = bytes.count / 24
        for section in sections where section.type == UInt32(SHT_RELA) && section.link == UInt32(table) {
            guard Int(section.info) < sections.count, let entries = area(section.offset, section.size) else { continue }
            let target = sections[Int(section.info)]
            guard target.name.hasPrefix(".debug_"), target.type != UInt32(SHT_NOBITS),
                let body = area(target.offset, target.size)
            else { continue }
            for at in stride(from: entries.lowerBound, to: entries.upperBound - 23, by: 24) {
                budget -= 1
                guard budget >= 0 else { return }
                guard let offset = load(at, UInt64.self), let type = load(at + 8, UInt32.self),
                    let symbol = load(at + 12, UInt32.self), let addend = load(at + 16, UInt64.self),
                    offset < UInt64(body.count), Int(symbol) < symbols.count / 24,
                    let section = load(symbols.lowerBound + Int(symbol) * 24 + 6, UInt16.self),
                    section != UInt16(SHN_UNDEF),
                    let value = load(symbols.lowerBound + Int(symbol) * 24 + 8, UInt64.self)
                else { continue }
                let (place, room) = (body.lowerBound + Int(offset), body.count - Int(offset))
                switch Int(type) {
                case Int(R_X86_64_64) where room >= 8:
                    store(value &+ addend, place)
                case Int(R_X86_64_32) where room >= 4, Int(R_X86_64_32S) where room >= 4:
                    store(UInt32(truncatingIfNeeded: value &+ addend), place)
                default: break
                }
            }
        }
    }

    // MARK: - Bytes

    /// A stretch of the file as indices; `nil` if it is not within.
    private func area(_ offset: UInt64, _ size: UInt64) -> Range<Int>? {
        guard offset <= UInt64(bytes.count), size <= UInt64(bytes.count) &- offset else { return nil }
        return Int(offset)..<Int(offset) + Int(size)
    }

    private func load<T: FixedWidthInteger & BitwiseCopyable>(_ offset: Int, _: T.Type) -> T? {
        guard offset >= 0, offset <= bytes.count - MemoryLayout<T>.size else { return nil }
        return T(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: T.self))
    }

    private func store<T: FixedWidthInteger & BitwiseCopyable>(_ value: T, _ offset: Int) {
        guard offset >= 0, offset <= bytes.count - MemoryLayout<T>.size else { return }
        bytes.storeBytes(of: value.littleEndian, toByteOffset: offset, as: T.self)
    }
}
