// SPDX-License-Identifier: GPL-2.0-or-later

import CElfutils
import Glibc

/// The debug information of a file, opened by libdw.
///
/// libdw reads on demand and remembers what it read without any lock: each thread opens its own.
final class DebugInfo: @unchecked Sendable {
    /// Where a unit stands in `.debug_info`.
    struct Unit: BitwiseCopyable {
        var header: UInt64
        /// Its first entry.
        var entry: UInt64
        /// Bytes, header included.
        var size: UInt64

        /// No header of a unit is larger (DWARF 5, 64-bit, a type unit's).
        static let largestHeader: UInt = 40
    }

    /// `Dwarf *`; `nil` when the file has no DWARF that libdw can open.
    let dwarf: OpaquePointer?
    /// Why libdw cannot open it although there are sections of DWARF.
    let failure: String?
    /// Debug sections that are compressed still, also of the alternate file: damaged, or by a method that this libelf
    /// does not know.
    let compressedSections: [String]
    /// Bytes of all debug sections, inflated: a bound for what they can describe.
    let size: Int

    private let elf: OpaquePointer?
    private let alternate: DebugInfo?

    /// - Parameter alternate: The file that dwz moved common parts to.
    init(_ image: ELFImage, alternate: ELFImage?) {
        // From the descriptor, not from the memory that is mapped already: libelf writes to the section headers when it
        // inflates (to a copy, in this mode), and libdw looks beside the file for split units.
        elf = elf_begin(image.file.descriptor, ELF_C_READ_MMAP, nil)
        dwarf = elf.flatMap { dwarf_begin_elf($0, DWARF_C_READ, nil) }
        self.alternate = alternate.map { DebugInfo($0, alternate: nil) }
        if let dwarf, let other = self.alternate?.dwarf { dwarf_setalt(dwarf, other) }
        failure = dwarf == nil && image.hasDebugInfo ? dwarf_errmsg(-1).map { String(cString: $0) } : nil
        let (compressed, size) = DebugInfo.survey(elf)
        compressedSections = compressed + (self.alternate?.compressedSections ?? [])
        self.size = size
    }

    deinit {
        if let dwarf { dwarf_end(dwarf) }
        if let elf { elf_end(elf) }
    }

    /// All units; `isCutShort` when their headers could not be followed to the end.
    func units() -> (units: [Unit], isCutShort: Bool) {
        guard let dwarf else { return ([], false) }
        var units: [Unit] = []
        var offset: Dwarf_Off = 0
        while true {
            var next: Dwarf_Off = 0
            var headerSize = 0
            let result = dwarf_next_unit(dwarf, offset, &next, &headerSize, nil, nil, nil, nil, nil, nil)
            guard result == 0, next > offset else { return (units, result <= 0) }
            units.append(Unit(header: offset, entry: offset &+ UInt64(headerSize), size: next &- offset))
            offset = next
        }
    }

    /// The unit whose header stands there; `nil` when none does.
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
        // The header stands before the entry: so much less.
        let high = (UInt(bitPattern: entry) &+ UInt(unit.size) &- Unit.largestHeader) & ~(page &- 1)
        // A section that was inflated stands elsewhere.
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
