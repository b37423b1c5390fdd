// SPDX-License-Identifier: GPL-2.0-or-later

import CElfutils
import CFileGuard
import Glibc

/// The debug information of a file, opened by libdw.
///
/// libdw reads on demand and remembers what it read without any lock: each thread opens its own.
final class DebugInfo: @unchecked Sendable {
    /// Where a unit is in `.debug_info`.
    struct Unit: BitwiseCopyable {
        var header: UInt64
        /// Its first entry.
        var entry: UInt64
        /// Bytes, header included.
        var size: UInt64

        /// No header of a unit is larger (DWARF 5, 64-bit, a type unit's).
        static let largestHeader: UInt = 40
    }

    /// `Dwarf *`; `nil` if the file has no DWARF that libdw can open.
    let dwarf: OpaquePointer?
    /// Why libdw cannot open it although there are sections of DWARF.
    let failure: String?
    /// Debug sections that are compressed still, also of the alternate file: damaged, or by a method that this libelf
    /// does not know.
    let compressedSections: [String]
    /// Bytes of all debug sections, inflated: a bound for what they can describe.
    let size: Int

    /// Why the sections are not inflated, if they ask for too much.
    let refusal: SymbolError?

    private let image: ELFImage
    /// Keeps a file that was inflated in memory.
    private let file: MappedFile?
    private let elf: OpaquePointer?
    private let guardNumber: Int32
    private let alternate: DebugInfo?

    /// - Parameter alternate: The file that dwz moved common parts to.
    init(_ image: ELFImage, alternate: ELFImage?) {
        self.image = image
        self.alternate = alternate.map { DebugInfo($0, alternate: nil) }
        var file: MappedFile?
        var refusal: SymbolError?
        do throws(SymbolError) { file = try image.inflated() } catch { refusal = error }
        self.file = file
        self.refusal = refusal ?? self.alternate?.refusal
        // From the descriptor, not from the memory that is mapped already: libelf writes to the section headers when it
        // inflates (to a copy, in this mode), and libdw looks beside the file for split units.
        elf = file.flatMap { elf_begin($0.descriptor, ELF_C_READ_MMAP, nil) }
        dwarf = elf.flatMap { dwarf_begin_elf($0, DWARF_C_READ, nil) }
        var mappedSize = 0
        guardNumber = elf.flatMap { elf_rawfile($0, &mappedSize) }.map { ttd_guard_add($0, mappedSize) } ?? -1
        if let dwarf, let other = self.alternate?.dwarf { dwarf_setalt(dwarf, other) }
        failure =
            dwarf == nil && refusal == nil && image.hasDebugInfo ? dwarf_errmsg(-1).map { String(cString: $0) } : nil
        let (compressed, size) = DebugInfo.survey(elf)
        compressedSections = compressed + (self.alternate?.compressedSections ?? [])
        self.size = size
    }

    deinit {
        if let dwarf { dwarf_end(dwarf) }
        ttd_guard_remove(guardNumber)
        if let elf { elf_end(elf) }
    }

    /// What happened to the file since it was opened; `nil` if nothing did.
    var change: SymbolError? {
        ttd_guard_is_broken(guardNumber) == 0
            ? image.original.change ?? alternate?.change : SymbolError(file: image.path, kind: .changed)
    }

    /// What is wrong with the line programs if they are larger than any compiler makes them for this code, or than
    /// compression makes them for a file of this size: libdw needs a hundred bytes of memory for a byte of them.
    ///
    /// - Parameter text: The addresses of the file's code.
    func excessiveLines(text: [Range<UInt64>]) -> SymbolError? {
        let size = section(".debug_line").count
        let code = text.reduce(0 as UInt64) { $0 &+ ($1.upperBound &- $1.lowerBound) }
        let limit = min(Int(clamping: min(code, 1 << 40) &* 64), 2 * image.original.bytes.count) + 2 << 20
        return size > limit ? SymbolError(file: image.path, kind: .excessiveLines(bytes: size, limit: limit)) : nil
    }

    /// Whether libdw may look for the file of a split unit: it opens what it finds, and would wait for a FIFO.
    ///
    /// libdw looks beside the file, and in the directory in which the compiler ran.
    func canOpenSplitFile(_ name: UnsafePointer<CChar>, directory: UnsafePointer<CChar>?) -> Bool {
        let (name, base) = (String(cString: name), DebugFiles.realDirectory(image.path))
        var paths = [name.hasPrefix("/") ? name : "\(base)/\(name)"]
        if let directory, !name.hasPrefix("/") {
            let directory = String(cString: directory)
            paths.append(directory.hasPrefix("/") ? "\(directory)/\(name)" : "\(base)/\(directory)/\(name)")
        }
        return paths.allSatisfy { access($0, F_OK) != 0 || MappedFile.exists($0) }
    }

    /// All units; `isCutShort` when their headers could not be followed to the end, or some have no entries.
    func units() -> (units: [Unit], isCutShort: Bool) {
        guard let dwarf else { return ([], false) }
        var (units, hasEmpty) = ([] as [Unit], false)
        var offset: Dwarf_Off = 0
        while true {
            var next: Dwarf_Off = 0
            var headerSize = 0
            let result = dwarf_next_unit(dwarf, offset, &next, &headerSize, nil, nil, nil, nil, nil, nil)
            guard result == 0, next > offset else { return (units, result <= 0 || hasEmpty) }
            let unit = Unit(header: offset, entry: offset &+ UInt64(headerSize), size: next &- offset)
            // A unit of zeros has 4 bytes: millions of them would cost more than they are.
            if unit.size > UInt64(headerSize) { units.append(unit) } else { hasEmpty = true }
            offset = next
        }
    }

    /// The unit whose header is there; `nil` if there is none.
    func unit(header: UInt64) -> Unit? {
        guard let dwarf else { return nil }
        var next: Dwarf_Off = 0
        var headerSize = 0
        guard dwarf_next_unit(dwarf, header, &next, &headerSize, nil, nil, nil, nil, nil, nil) == 0, next > header
        else {
            return nil
        }
        let unit = Unit(header: header, entry: header &+ UInt64(headerSize), size: next &- header)
        // Not in the middle of a unit, where any bytes could look like a header.
        guard var entry = firstEntry(of: unit), dwarf_cuoffset(&entry) == UInt64(headerSize) else { return nil }
        return unit
    }

    func firstEntry(of unit: Unit) -> Dwarf_Die? {
        var entry = Dwarf_Die()
        guard let dwarf, dwarf_offdie(dwarf, unit.entry, &entry) != nil else { return nil }
        return entry
    }

    /// The bytes of a little-endian file's section, inflated where libdw has done it; nothing where there are none.
    func section(_ name: String) -> Bytes {
        guard let elf, elf_getident(elf, nil)?[Int(EI_DATA)] == CChar(ELFDATA2LSB),
            let section = ELFImage.section(named: name, in: elf), section.header.sh_type != UInt32(SHT_NOBITS),
            section.header.sh_flags & UInt64(SHF_COMPRESSED) == 0,
            let data = elf_getdata(section.handle, nil), let start = data.pointee.d_buf
        else { return .empty }
        return Bytes(start: UnsafeRawPointer(start), count: data.pointee.d_size)
    }

    /// Gives back the memory of a unit that has been read: as many pages of the file stay mapped as are looked at. What
    /// is asked for again is read again.
    ///
    /// - Parameter entry: The unit's first entry in memory, where libdw sees it.
    func release(_ unit: Unit, entry: UnsafeMutableRawPointer?) {
        var size = 0
        guard let entry, let elf, let start = elf_rawfile(elf, &size) else { return }
        let file = UInt(bitPattern: start)..<UInt(bitPattern: start) &+ UInt(size)
        let page = UInt(sysconf(Int32(_SC_PAGESIZE)))
        let low = (UInt(bitPattern: entry) &+ page &- 1) & ~(page &- 1)
        // The header is before the entry: so much less.
        let high = (UInt(bitPattern: entry) &+ UInt(unit.size) &- Unit.largestHeader) & ~(page &- 1)
        // A section that was inflated is elsewhere.
        guard low < high, file.contains(low), high <= file.upperBound else { return }
        madvise(UnsafeMutableRawPointer(bitPattern: low), Int(high &- low), MADV_DONTNEED)
    }

    /// libdw inflates what it needs when it opens a file; this sees what it left.
    private static func survey(_ elf: OpaquePointer?) -> (compressed: [String], size: Int) {
        guard let elf else { return ([], 0) }
        var compressed: [String] = []
        var size = 0
        ELFImage.forEachSection(elf) { section in
            guard section.header.sh_type != UInt32(SHT_NOBITS), let text = ELFImage.name(of: section, in: elf) else {
                return
            }
            let name = String(cString: text)
            guard name.hasPrefix(".debug_") || name.hasPrefix(".zdebug_") else { return }
            let isCompressed = section.header.sh_flags & UInt64(SHF_COMPRESSED) != 0
            if isCompressed && elf_compress(section.handle, 0, 0) < 0
                || dwelf_scn_gnu_compressed_size(section.handle) > 0
            {
                compressed.append(name)
            } else if let data = elf_getdata(section.handle, nil) {
                size &+= data.pointee.d_size
            }
        }
        return (compressed, size)
    }
}
