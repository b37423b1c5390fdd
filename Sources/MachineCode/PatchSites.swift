// SPDX-License-Identifier: GPL-2.0-or-later

import CElfutils
import Glibc
import Symbolize

/// The places where a Linux kernel changes its own code when it starts and while it runs, from the tables in its ELF
/// file. The code in the file is not the code that ran there. Addresses are the file's own.
///
/// | table | what the kernel does |
/// | --- | --- |
/// | `.altinstructions` | replaces instructions by others that the processor has |
/// | `.parainstructions` | calls through `pv_ops` become direct calls, or the instruction itself |
/// | `.retpoline_sites`, `.return_sites` | jumps to thunks become indirect jumps, calls, returns |
/// | `__jump_table` | static keys: a jump or a nop |
/// | static call sites and trampolines | their target |
/// | `__mcount_loc` | ftrace: a call or a nop |
///
/// Source: Linux, arch/x86/include/asm/alternative.h, paravirt_types.h, include/linux/jump_label.h, static_call_types.h,
/// include/asm-generic/vmlinux.lds.h.
struct PatchSites {
    private let image: ELFImage
    private let code: CodeImage
    private let disassembler: Disassembler
    private(set) var sites: [Range<UInt64>] = []

    /// More sites than this are not read.
    private static let limit = 1 << 20

    /// The sites of a kernel, ascending, adjacent ones joined; empty if the file is no kernel.
    static func read(_ code: CodeImage, _ disassembler: Disassembler) throws(SymbolError) -> [Range<UInt64>] {
        let image = try ELFImage(path: code.path, machine: nil)
        guard image.section(named: ".altinstructions") != nil, code.mode == .bits64 else { return [] }
        var reader = PatchSites(image: image, code: code, disassembler: disassembler)
        reader.readAll()
        return reader.sites.joinedRanges()
    }

    private init(image: ELFImage, code: CodeImage, disassembler: Disassembler) {
        self.image = image
        self.code = code
        self.disassembler = disassembler
    }

    private mutating func readAll() {
        readAlternatives()
        let calls = table(".parainstructions")
        for offset in entries(calls.bytes, 16) {
            guard let address: UInt64 = calls.bytes.load(offset), let length: UInt8 = calls.bytes.load(offset &+ 9)
            else { continue }
            add(address, UInt64(length))
        }
        for name in [".retpoline_sites", ".return_sites"] { addRelative(table(name), 4) }
        let bounds = symbols([
            "__start___jump_table", "__stop___jump_table", "__start_static_call_sites", "__stop_static_call_sites",
            "__start_static_call_tramp_key", "__stop_static_call_tramp_key", "__start_mcount_loc", "__stop_mcount_loc",
        ])
        addRelative(area(bounds[0], bounds[1]), 16)
        // The two lowest bits of the key contain the kind of site; those of the address have no meaning.
        addRelative(area(bounds[2], bounds[3]), 8)
        addRelative(area(bounds[4], bounds[5]), 8)
        let functions = area(bounds[6], bounds[7])
        for offset in entries(functions.bytes, 8) {
            if let address: UInt64 = functions.bytes.load(offset) { addInstruction(address) }
        }
    }

    /// `struct alt_instr`: its size differs between versions of Linux (12, 13, 14 bytes); the right size is the one
    /// with which every entry refers to code. The lengths are the last bytes, except for padlen in the 13-byte form.
    private mutating func readAlternatives() {
        let (bytes, base) = table(".altinstructions")
        for (size, lengthAt) in [(12, 10), (14, 12), (13, 10)] as [(UInt64, UInt64)] where bytes.count % Int(size) == 0
        {
            var found: [Range<UInt64>] = []
            for offset in entries(bytes, size) {
                guard let relative: Int32 = bytes.load(offset), let length: UInt8 = bytes.load(offset &+ lengthAt)
                else { break }
                let address = base &+ offset &+ UInt64(bitPattern: Int64(relative))
                guard length > 0, code.bytes(at: address).count >= Int(length) else { break }
                found.append(address..<address &+ UInt64(length))
            }
            if found.count == bytes.count / Int(size) {
                sites += found
                return
            }
        }
    }

    private func entries(_ bytes: Bytes, _ size: UInt64) -> StrideTo<UInt64> {
        stride(from: 0, to: UInt64(bytes.count) / size &* size, by: Int(size))
    }

    /// Entries that begin with the distance from themselves to an instruction.
    private mutating func addRelative(_ table: (bytes: Bytes, base: UInt64), _ size: UInt64) {
        for offset in entries(table.bytes, size) {
            guard let relative: Int32 = table.bytes.load(offset) else { continue }
            addInstruction(table.base &+ offset &+ UInt64(bitPattern: Int64(relative)))
        }
    }

    private mutating func addInstruction(_ address: UInt64) {
        let bytes = code.bytes(at: address)
        guard let instruction = disassembler.decode(bytes.buffer, at: address, mode: .bits64) else { return }
        add(address, UInt64(instruction.size))
    }

    private mutating func add(_ address: UInt64, _ length: UInt64) {
        let (end, overflow) = address.addingReportingOverflow(length)
        guard !overflow, length > 0, sites.count < PatchSites.limit, code.bytes(at: address).count > 0 else { return }
        sites.append(address..<end)
    }

    private func table(_ name: String) -> (bytes: Bytes, base: UInt64) {
        (image.rawSection(name), image.section(named: name)?.header.sh_addr ?? 0)
    }

    /// The bytes in the file that are loaded between two addresses; empty if these are not in one segment.
    private func area(_ start: UInt64?, _ stop: UInt64?) -> (bytes: Bytes, base: UInt64) {
        guard let start, let stop, start < stop else { return (.empty, 0) }
        for segment in ELFImage.segments(image.handle) where segment.p_type == UInt32(PT_LOAD) {
            let offset = start &- segment.p_vaddr
            guard start >= segment.p_vaddr, offset < segment.p_filesz, stop &- start <= segment.p_filesz &- offset
            else { continue }
            return (image.file.bytes.slice(segment.p_offset &+ offset, stop &- start) ?? .empty, start)
        }
        return (.empty, 0)
    }

    /// The values of symbols by their names.
    private func symbols(_ names: [String]) -> [UInt64?] {
        var values = [UInt64?](repeating: nil, count: names.count)
        guard let section = image.section(named: ".symtab"), section.header.sh_entsize > 0,
            let data = elf_getdata(section.handle, nil)
        else { return values }
        let strings = Int(section.header.sh_link)
        for index in 0..<Int32(clamping: section.header.sh_size / section.header.sh_entsize) {
            var symbol = GElf_Sym()
            guard gelf_getsym(data, index, &symbol) != nil,
                let text = elf_strptr(image.handle, strings, Int(symbol.st_name)), text[0] == 0x5f, text[1] == 0x5f,
                text[2] == 0x73
            else { continue }
            for (place, name) in names.enumerated() where strcmp(text, name) == 0 { values[place] = symbol.st_value }
        }
        return values
    }
}
