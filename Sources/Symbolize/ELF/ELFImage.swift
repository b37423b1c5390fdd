// SPDX-License-Identifier: GPL-2.0-or-later

import CElfutils
import CTTLog
import Formatting
import Glibc
import Synchronization

/// An ELF file, opened by libelf and checked: its code, its identity. Addresses are the file's own (link-time) ones.
///
/// libelf works on the mapped file, and remembers what it read without any lock: one thread at a time may use it.
package final class ELFImage: @unchecked Sendable {
    package struct Section {
        package var header: GElf_Shdr
        /// `Elf_Scn *`
        package var handle: OpaquePointer

        var size: UInt64 { header.sh_size }
    }

    /// What is read; of a kernel module a linked copy.
    package let file: MappedFile
    /// The file on the disk.
    package let original: MappedFile
    /// Whether it is a Linux kernel module, linked in memory.
    package var isKernelModule: Bool { file !== original }
    /// For a kernel module, the addresses of its sections, as far as they are given.
    package let sections: [String: UInt64]?
    /// Whether it is the unpacked MiniDebugInfo of a program, which has symbols only.
    let isMiniDebugInfo: Bool
    package let path: String
    package let machine: Machine
    /// `Elf *`
    package let handle: OpaquePointer
    /// The addresses of code: sections flagged executable or, in a file without sections, executable segments. Sorted,
    /// joined, never empty ranges.
    package let text: [Range<UInt64>]
    /// The lowest address of a loaded segment; `nil` without any.
    package let lowestSegment: UInt64?
    /// The GNU build ID; empty if the file has none.
    package let buildID: [UInt8]
    /// A hash over the file header and the section headers: tells a stripped file from its unstripped original, which
    /// share a build ID.
    package let shape: UInt64

    private let inflation = Mutex<MappedFile?>(nil)

    /// Opens a file for `machine` (ELF `e_machine`); any machine when `nil`.
    ///
    /// - Parameters:
    ///   - mustBeLinked: Whether an object file is refused: its addresses mean nothing. The file that dwz moves
    ///     common debug information to is one.
    ///   - sections: Opens a kernel module too, and links it (``ModuleLinker``): with its sections at these addresses, or
    ///     laid out when there are none.
    package convenience init(
        path: String, machine expected: Machine?, mustBeLinked: Bool = true, sections: [String: UInt64]? = nil
    ) throws(SymbolError) {
        let original = try MappedFile(path: path)
        var file = original
        if let sections, original.bytes.load(0, as: UInt32.self) == 0x464c_457f,
            original.bytes.load(16) == UInt16(ET_REL)
        {
            file = try ModuleLinker.link(Inflation.inflate(original), sections: sections)
        }
        try self.init(file, original: original, machine: expected, mustBeLinked: mustBeLinked, sections: sections)
    }

    /// Opens the MiniDebugInfo of a program, which was unpacked.
    convenience init(miniDebugInfo file: MappedFile, machine: Machine) throws(SymbolError) {
        try self.init(file, original: file, machine: machine, mustBeLinked: true, sections: nil, isMiniDebugInfo: true)
    }

    private init(
        _ file: MappedFile, original: MappedFile, machine expected: Machine?, mustBeLinked: Bool,
        sections: [String: UInt64]?, isMiniDebugInfo: Bool = false
    ) throws(SymbolError) {
        let path = original.path
        func fail(_ kind: SymbolError.Kind) -> SymbolError { SymbolError(file: path, kind: kind) }

        let bytes = file.bytes
        if let magic: UInt32 = bytes.load(0x202), magic == 0x5372_6448 { throw fail(.bootImage) }
        guard bytes.load(0, as: UInt32.self) == 0x464c_457f else {
            throw fail(.notELF(firstBytes: Array(bytes.buffer.prefix(4))))
        }
        guard let handle = file.openInMemory() else {
            throw fail(.damagedELF(ELFImage.lastMessage))
        }
        let problem: SymbolError.Kind?
        var header = GElf_Ehdr()
        if gelf_getehdr(handle, &header) == nil {
            problem = .damagedELF(ELFImage.lastMessage)
        } else if let expected, !Machine(rawValue: header.e_machine).runs(on: expected) {
            problem = .wrongMachine(expected: expected, found: Machine(rawValue: header.e_machine))
        } else if mustBeLinked && header.e_type != UInt16(ET_EXEC) && header.e_type != UInt16(ET_DYN) {
            problem = .notLinked(type: header.e_type)
        } else {
            problem = nil
        }
        if let problem {
            elf_end(handle)
            throw fail(problem)
        }
        self.file = file
        self.original = original
        self.sections = sections
        self.isMiniDebugInfo = isMiniDebugInfo
        self.path = path
        self.handle = handle
        machine = Machine(rawValue: header.e_machine)
        let segments = ELFImage.segments(handle)
        text = ELFImage.textRanges(handle, segments)
        lowestSegment = segments.filter { $0.p_type == UInt32(PT_LOAD) }.map(\.p_vaddr).min()
        buildID = ELFImage.findBuildID(handle)
        shape = ELFImage.shape(handle, header, bytes)
    }

    deinit { elf_end(handle) }

    /// The file with its debug sections inflated; the file itself if libelf can inflate them. Made when it is first
    /// asked for.
    func inflated() throws(SymbolError) -> MappedFile {
        // A closure of withLock does not throw a typed error.
        let result: Result<MappedFile, SymbolError> = inflation.withLock { kept in
            if let kept { return .success(kept) }
            do throws(SymbolError) {
                let inflation = try Inflation(file, handle)
                let made = inflation.needsUs ? try inflation.inflate() : file
                kept = made
                return .success(made)
            } catch {
                return .failure(error)
            }
        }
        return try result.get()
    }

    /// The linker's stubs for calls to functions of other files (`.plt`, `.plt.sec`, `.plt.got`): the address of each.
    var stubs: [UInt64] {
        var found: [UInt64] = []
        ELFImage.forEachSection(handle) { section in
            guard section.header.sh_flags & UInt64(SHF_EXECINSTR) != 0,
                let name = ELFImage.name(of: section, in: handle), strncmp(name, ".plt", 4) == 0
            else { return }
            // .plt.got has stubs of 8 bytes, or of 16 with endbr64.
            let size = section.header.sh_entsize == 8 ? 8 : 16 as UInt64
            let count = min(section.header.sh_size / size, 1 << 16)
            for index in 0..<count { found.append(section.header.sh_addr &+ index &* size) }
        }
        return found.sorted()
    }

    /// libelf's words for what went wrong last on this thread.
    private static var lastMessage: String { elf_errmsg(-1).map { String(cString: $0) } ?? "libelf cannot read it" }

    // MARK: - Sections

    /// Calls `body` with each section of a file.
    package static func forEachSection(_ handle: OpaquePointer, _ body: (Section) -> Void) {
        var section = elf_nextscn(handle, nil)
        while let current = section {
            section = elf_nextscn(handle, current)
            var header = GElf_Shdr()
            if gelf_getshdr(current, &header) != nil { body(Section(header: header, handle: current)) }
        }
    }

    /// A section's name; `nil` if there is none.
    package static func name(of section: Section, in handle: OpaquePointer) -> UnsafePointer<CChar>? {
        var names = 0
        guard elf_getshdrstrndx(handle, &names) == 0 else { return nil }
        return elf_strptr(handle, names, Int(section.header.sh_name)).map { UnsafePointer($0) }
    }

    /// The first section of that name.
    package func section(named name: String) -> Section? { ELFImage.section(named: name, in: handle) }

    package static func section(named name: String, in handle: OpaquePointer) -> Section? {
        var found: Section?
        forEachSection(handle) { section in
            if found == nil, let text = ELFImage.name(of: section, in: handle), strcmp(text, name) == 0 {
                found = section
            }
        }
        return found
    }

    /// The bytes of a section as they are in the file; empty if there are none.
    package func rawSection(_ name: String) -> Bytes {
        guard let section = section(named: name), section.header.sh_type != UInt32(SHT_NOBITS),
            let data = elf_rawdata(section.handle, nil), let start = data.pointee.d_buf
        else { return .empty }
        return Bytes(start: UnsafeRawPointer(start), count: data.pointee.d_size)
    }

    /// Whether the file has the symbols of all of its functions, not of those alone that it exports.
    var hasSymbolTable: Bool {
        var isFound = false
        ELFImage.forEachSection(handle) { isFound = isFound || $0.header.sh_type == UInt32(SHT_SYMTAB) }
        return isFound
    }

    /// Whether there are units of DWARF in the file.
    package var hasDebugInfo: Bool {
        [".debug_info", ".zdebug_info"].contains { rawSection($0).count > 0 }
    }

    // MARK: - Text, identity

    package static func segments(_ handle: OpaquePointer) -> [GElf_Phdr] {
        var count = 0
        guard elf_getphdrnum(handle, &count) == 0 else { return [] }
        var segments: [GElf_Phdr] = []
        for index in 0..<min(count, Int(Int32.max)) {
            var header = GElf_Phdr()
            guard gelf_getphdr(handle, Int32(index), &header) != nil else { break }
            segments.append(header)
        }
        return segments
    }

    private static func textRanges(_ handle: OpaquePointer, _ segments: [GElf_Phdr]) -> [Range<UInt64>] {
        let wanted = UInt64(SHF_ALLOC | SHF_EXECINSTR)
        var ranges: [Range<UInt64>] = []
        forEachSection(handle) { section in
            guard section.header.sh_flags & wanted == wanted else { return }
            if let range = range(section.header.sh_addr, section.header.sh_size) { ranges.append(range) }
        }
        if ranges.isEmpty {
            ranges = segments.filter { $0.p_type == UInt32(PT_LOAD) && $0.p_flags & UInt32(PF_X) != 0 }
                .compactMap { range($0.p_vaddr, $0.p_memsz) }
        }
        return ranges.joinedRanges()
    }

    private static func range(_ start: UInt64, _ size: UInt64) -> Range<UInt64>? {
        let (end, overflow) = start.addingReportingOverflow(size)
        return size > 0 && !overflow ? start..<end : nil
    }

    private static func findBuildID(_ handle: OpaquePointer) -> [UInt8] {
        var start: UnsafeRawPointer?
        let count = dwelf_elf_gnu_build_id(handle, &start)
        guard count > 0, count <= 64, let start else { return [] }
        return Array(UnsafeRawBufferPointer(start: start, count: count))
    }

    private static func shape(_ handle: OpaquePointer, _ header: GElf_Ehdr, _ bytes: Bytes) -> UInt64 {
        var count = 0
        if elf_getshdrnum(handle, &count) != 0 { count = 0 }
        let first = bytes.slice(0, UInt64(header.e_ehsize)) ?? .empty
        let size = UInt64(count).multipliedReportingOverflow(by: UInt64(header.e_shentsize)).partialValue
        let table = bytes.slice(header.e_shoff, size) ?? .empty
        return ttlog_hash(table.start, table.count, ttlog_hash(first.start, first.count, UInt64(bytes.count)))
    }
}

extension [Range<UInt64>] {
    /// Whether one of these sorted ranges contains the address.
    package func containsSorted(_ address: UInt64) -> Bool {
        let index = partitioningIndex { $0.upperBound > address }
        return index < count && self[index].contains(address)
    }

    /// The first addresses that both sorted lists of ranges contain.
    package func firstCommonRange(_ other: [Range<UInt64>]) -> Range<UInt64>? {
        var (one, two) = (startIndex, other.startIndex)
        while one < endIndex, two < other.endIndex {
            let common = self[one].clamped(to: other[two])
            if !common.isEmpty { return common }
            if self[one].upperBound <= other[two].lowerBound { one += 1 } else { two += 1 }
        }
        return nil
    }

    /// Sorted, with touching and overlapping ranges made one.
    public func joinedRanges() -> [Range<UInt64>] {
        var joined: [Range<UInt64>] = []
        for range in sorted(by: { $0.lowerBound < $1.lowerBound }) {
            if let last = joined.last, range.lowerBound <= last.upperBound {
                joined[joined.count - 1] = last.lowerBound..<Swift.max(last.upperBound, range.upperBound)
            } else {
                joined.append(range)
            }
        }
        return joined
    }
}
