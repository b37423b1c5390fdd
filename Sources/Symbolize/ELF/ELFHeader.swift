// SPDX-License-Identifier: GPL-2.0-or-later

import CTTLog
import Glibc

/// The header of an ELF file, and the two tables that it points to.
struct ELFHeader {
    struct Segment {
        var type: UInt32
        var flags: UInt32
        var offset: UInt64
        var address: UInt64
        var fileSize: UInt64
        var memorySize: UInt64
    }

    /// 1: 32 bits, 2: 64 bits.
    let fileClass: UInt8
    /// 1: little-endian.
    let byteOrder: UInt8
    let type: UInt16
    let machine: UInt16
    private let sectionTable: UInt64
    private let sectionEntrySize: UInt64
    private let sectionCount: UInt64
    private let nameSection: UInt64
    private let segmentTable: UInt64
    private let segmentEntrySize: UInt64
    private let segmentCount: UInt64

    /// `nil` when the file ends within its header.
    init?(_ bytes: Bytes) {
        guard let fileClass: UInt8 = bytes.load(4), let byteOrder: UInt8 = bytes.load(5),
            let type: UInt16 = bytes.load(16), let machine: UInt16 = bytes.load(18),
            bytes.count >= (fileClass == 1 ? 52 : 64)
        else { return nil }
        self.fileClass = fileClass
        self.byteOrder = byteOrder
        self.type = type
        self.machine = machine
        let is64 = fileClass != 1
        func half(_ narrow: UInt64, _ wide: UInt64) -> UInt64 {
            UInt64(bytes.load(is64 ? wide : narrow, as: UInt16.self) ?? 0)
        }
        segmentTable = is64 ? bytes.load(32) ?? 0 : UInt64(bytes.load(28, as: UInt32.self) ?? 0)
        sectionTable = is64 ? bytes.load(40) ?? 0 : UInt64(bytes.load(32, as: UInt32.self) ?? 0)
        segmentEntrySize = half(42, 54)
        sectionEntrySize = half(46, 58)
        var (sections, names, segments) = (half(48, 60), half(50, 62), half(44, 56))
        // Numbers that do not fit stand in section 0.
        if sectionTable > 0, let first = bytes.slice(sectionTable, is64 ? 64 : 40) {
            if sections == 0 {
                sections = is64 ? first.load(32) ?? 0 : UInt64(first.load(20, as: UInt32.self) ?? 0)
            }
            if names == 0xffff { names = UInt64(first.load(is64 ? 40 : 24, as: UInt32.self) ?? 0) }
            if segments == 0xffff { segments = UInt64(first.load(is64 ? 44 : 28, as: UInt32.self) ?? 0) }
        }
        (sectionCount, nameSection, segmentCount) = (sections, names, segments)
    }

    func sections(_ bytes: Bytes) -> [ELFImage.Section] {
        let size: UInt64 = fileClass == 2 ? 64 : 40
        let table = bytes.from(sectionTable)
        guard sectionTable > 0, sectionEntrySize >= size else { return [] }
        var found: [ELFImage.Section] = []
        var nameOffsets: [UInt32] = []
        for index in 0..<min(sectionCount, UInt64(table.count) / sectionEntrySize) {
            guard let entry = table.slice(index &* sectionEntrySize, size) else { break }
            var cursor = ByteCursor(entry)
            let is64 = fileClass == 2
            func word() -> UInt64 { is64 ? cursor.u64() : cursor.u32() }
            let name: UInt32 = cursor.read()
            let type: UInt32 = cursor.read()
            let (flags, address, offset, length) = (word(), word(), word(), word())
            let link: UInt32 = cursor.read()
            cursor.skip(4)
            _ = word()
            nameOffsets.append(name)
            found.append(
                ELFImage.Section(
                    name: "", type: type, flags: flags, address: address, offset: offset, size: length, link: link,
                    entrySize: word()))
        }
        guard nameSection < UInt64(found.count) else { return found }
        let names = bytes.slice(found[Int(nameSection)].offset, found[Int(nameSection)].size) ?? .empty
        for index in found.indices {
            // Longer names than this are nobody's.
            guard let text = names.string(UInt64(nameOffsets[index])), strnlen(text, 64) < 64 else { continue }
            found[index].name = String(cString: text)
        }
        return found
    }

    func segments(_ bytes: Bytes) -> [Segment] {
        let size: UInt64 = fileClass == 2 ? 56 : 32
        let table = bytes.from(segmentTable)
        guard segmentTable > 0, segmentEntrySize >= size else { return [] }
        var found: [Segment] = []
        for index in 0..<min(segmentCount, UInt64(table.count) / segmentEntrySize) {
            guard let entry = table.slice(index &* segmentEntrySize, size) else { break }
            var cursor = ByteCursor(entry)
            let type: UInt32 = cursor.read()
            if fileClass == 2 {
                let flags: UInt32 = cursor.read()
                let (offset, address, _) = (cursor.u64(), cursor.u64(), cursor.u64())
                let (fileSize, memorySize) = (cursor.u64(), cursor.u64())
                found.append(
                    Segment(
                        type: type, flags: flags, offset: offset, address: address, fileSize: fileSize,
                        memorySize: memorySize))
            } else {
                let (offset, address, _) = (cursor.u32(), cursor.u32(), cursor.u32())
                let (fileSize, memorySize) = (cursor.u32(), cursor.u32())
                found.append(
                    Segment(
                        type: type, flags: cursor.read(), offset: offset, address: address, fileSize: fileSize,
                        memorySize: memorySize))
            }
        }
        return found
    }

    /// A hash over this header and the section headers.
    func shape(_ bytes: Bytes) -> UInt64 {
        let header = bytes.slice(0, fileClass == 2 ? 64 : 52) ?? .empty
        let length = min(
            sectionCount.multipliedReportingOverflow(by: sectionEntrySize).partialValue, UInt64(bytes.count))
        let table = bytes.slice(sectionTable, length) ?? .empty
        return ttlog_hash(table.start, table.count, ttlog_hash(header.start, header.count, UInt64(bytes.count)))
    }
}
