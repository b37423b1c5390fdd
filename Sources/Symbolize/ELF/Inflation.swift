// SPDX-License-Identifier: GPL-2.0-or-later

import CElfutils
import CZlib
import CZstd
import Glibc

/// Inflates the compressed debug sections of an ELF file, by zlib or zstd.
///
/// libelf 0.188 knows zlib only, and inflates whatever a file asks for. Here the sizes are checked first: real debug
/// information is at most five times as large as its file, a zlib stream can be a thousand times as large.
enum Inflation {
    /// A section that is compressed.
    private struct Section {
        /// Where its header is in the file.
        var header: Int
        /// The compressed bytes.
        var body: Bytes
        var method: UInt32
        /// Inflated, in bytes.
        var size: UInt64
        var alignment: UInt64
    }

    static let methodZlib: UInt32 = 1
    static let methodZstd: UInt32 = 2

    /// The most bytes that all sections of a file may have after inflation.
    static func limit(fileSize: Int) -> UInt64 { UInt64(fileSize) &* 10 &+ 1 << 20 }

    /// Checks what a file asks for.
    ///
    /// - Returns: What is wrong, if it asks for too much; and whether any section is compressed by zstd.
    static func survey(_ image: ELFImage) -> (problem: SymbolError?, hasZstd: Bool) {
        var (total, hasZstd) = (0 as UInt64, false)
        func add(_ size: UInt64) {
            let (sum, overflow) = total.addingReportingOverflow(size)
            total = overflow ? .max : sum
        }
        ELFImage.forEachSection(image.handle) { section in
            guard section.header.sh_type != UInt32(SHT_NOBITS) else { return }
            if section.header.sh_flags & UInt64(SHF_COMPRESSED) != 0 {
                var header = GElf_Chdr()
                guard gelf_getchdr(section.handle, &header) != nil else { return }
                add(header.ch_size)
                hasZstd = hasZstd || header.ch_type == methodZstd
            } else {
                // .zdebug_…: "ZLIB", the size with its highest byte first.
                let raw = image.file.bytes.slice(section.header.sh_offset, min(section.header.sh_size, 12))
                guard let raw, raw.load(0, as: UInt32.self) == 0x4249_4c5a, let size: UInt64 = raw.load(4),
                    let name = ELFImage.name(of: section, in: image.handle), strncmp(name, ".zdebug_", 8) == 0
                else { return }
                add(size.byteSwapped)
            }
        }
        let limit = limit(fileSize: image.file.bytes.count)
        let problem = total > limit ? SymbolError(file: image.path, kind: .inflates(bytes: total, limit: limit)) : nil
        return (problem, hasZstd)
    }

    /// A copy of a file in memory, with its compressed sections inflated; the file itself if none are. ELF files of
    /// little-endian machines only. A section that is damaged stays compressed.
    static func inflate(_ file: MappedFile) throws(SymbolError) -> MappedFile {
        guard let sections = sections(file.bytes), !sections.isEmpty else { return file }
        let total = sections.reduce(0 as UInt64) { $0.addingReportingOverflow($1.size).partialValue | ($1.size >> 63) }
        let limit = limit(fileSize: file.bytes.count)
        guard total <= limit, sections.allSatisfy({ $0.size <= limit }) else {
            throw SymbolError(file: file.path, kind: .inflates(bytes: max(total, limit + 1), limit: limit))
        }
        let start = (file.bytes.count + 63) & ~63
        let size = start + sections.reduce(0) { $0 + (Int($1.size) + 63) & ~63 }
        return try file.copy(size: size) { area in
            area.baseAddress?.copyMemory(from: file.bytes.start, byteCount: file.bytes.count)
            var at = start
            for section in sections {
                let target = UnsafeMutableRawBufferPointer(rebasing: area[at..<at + Int(section.size)])
                if inflate(section.body, section.method, into: target) {
                    patch(area, section, offset: UInt64(at), is64: file.bytes.load(4) == 2 as UInt8)
                }
                at += (Int(section.size) + 63) & ~63
            }
        }
    }

    private static func inflate(_ body: Bytes, _ method: UInt32, into target: UnsafeMutableRawBufferPointer) -> Bool {
        guard let start = target.baseAddress else { return true }
        switch method {
        case methodZlib:
            var size = uLongf(target.count)
            return uncompress(
                start.assumingMemoryBound(to: Bytef.self), &size, body.start.assumingMemoryBound(to: Bytef.self),
                uLong(body.count)) == Z_OK && size == target.count
        case methodZstd:
            return ZSTD_decompress(start, target.count, body.start, body.count) == target.count
        default: return false
        }
    }

    /// Elf64_Shdr: name u32, type u32, flags u64, address u64, offset u64, size u64, link u32, info u32, alignment u64.
    /// Elf32_Shdr: the same, all u32.
    private static func patch(
        _ area: UnsafeMutableRawBufferPointer, _ section: Section, offset: UInt64, is64: Bool
    ) {
        func store(_ value: UInt64, _ at64: Int, _ at32: Int) {
            if is64 {
                area.storeBytes(of: value.littleEndian, toByteOffset: section.header + at64, as: UInt64.self)
            } else {
                let value = UInt32(truncatingIfNeeded: value)
                area.storeBytes(of: value.littleEndian, toByteOffset: section.header + at32, as: UInt32.self)
            }
        }
        let bytes = Bytes(
            start: UnsafeRawPointer(area.baseAddress ?? UnsafeMutableRawPointer(bitPattern: 8)!), count: area.count)
        let flags =
            is64
            ? bytes.load(UInt64(section.header + 8), as: UInt64.self) ?? 0
            : UInt64(bytes.load(UInt64(section.header + 8), as: UInt32.self) ?? 0)
        store(flags & ~UInt64(SHF_COMPRESSED), 8, 8)
        store(offset, 24, 16)
        store(section.size, 32, 20)
        store(section.alignment, 48, 32)
    }

    /// The compressed sections of a little-endian ELF file; `nil` if the file has no section headers.
    private static func sections(_ bytes: Bytes) -> [Section]? {
        guard bytes.load(0, as: UInt32.self) == 0x464c_457f, let elfClass: UInt8 = bytes.load(4),
            bytes.load(5) == 1 as UInt8
        else { return nil }
        let is64 = elfClass == 2
        let (tableAt, sizeAt, countAt) = is64 ? (40, 58, 60) : (32, 46, 48) as (UInt64, UInt64, UInt64)
        func word(_ at64: UInt64, _ at32: UInt64, _ base: UInt64) -> UInt64? {
            is64
                ? bytes.load(base &+ at64, as: UInt64.self) : bytes.load(base &+ at32, as: UInt32.self).map(UInt64.init)
        }
        guard let table = word(tableAt, tableAt, 0), let entrySize: UInt16 = bytes.load(sizeAt),
            let count: UInt16 = bytes.load(countAt), entrySize >= (is64 ? 64 : 40)
        else { return nil }
        var found: [Section] = []
        for index in 0..<UInt64(count) {
            let header = table &+ index &* UInt64(entrySize)
            guard header <= UInt64(bytes.count), let flags = word(8, 8, header), flags & UInt64(SHF_COMPRESSED) != 0,
                flags & UInt64(SHF_ALLOC) == 0, bytes.load(header &+ 4) != UInt32(SHT_NOBITS),
                let offset = word(24, 16, header), let size = word(32, 20, header),
                let body = bytes.slice(offset, size), let method: UInt32 = body.load(0),
                method == methodZlib || method == methodZstd,
                let inflated = is64 ? body.load(8, as: UInt64.self) : body.load(4, as: UInt32.self).map(UInt64.init),
                let alignment = is64 ? body.load(16, as: UInt64.self) : body.load(8, as: UInt32.self).map(UInt64.init)
            else { continue }
            found.append(
                Section(
                    header: Int(header), body: body.from(is64 ? 24 : 12), method: method, size: inflated,
                    alignment: alignment))
        }
        return found
    }
}
