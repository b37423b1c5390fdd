// SPDX-License-Identifier: GPL-2.0-or-later

import CElfutils
import CZlib
import CZstd
import Glibc

/// Inflates the compressed debug sections of an ELF file, by zlib or zstd.
///
/// libelf 0.188 knows zlib only, and inflates whatever a file asks for. Here the sizes are checked first: real debug
/// information is at most five times as large as its file, a zlib stream can be a thousand times as large.
struct Inflation {
    /// A section that is compressed.
    private struct Section {
        /// Where its header is in the file.
        var header: UInt64
        /// The compressed bytes; `nil` if they are inflated by others only: `.zdebug_…`, code, unknown methods.
        var body: Bytes?
        var method: UInt32
        /// Inflated, in bytes.
        var size: UInt64
        var alignment: UInt64

        /// Its bytes after inflation, with those that align the next section.
        var room: Int { (Int(size) + 63) & ~63 }
    }

    private let file: MappedFile
    private let sections: [Section]

    static let methodZlib: UInt32 = 1
    static let methodZstd: UInt32 = 2

    /// The most bytes that all sections of a file may have after inflation.
    static func limit(fileSize: Int) -> UInt64 { UInt64(fileSize) &* 10 &+ 1 << 20 }

    /// Finds the compressed sections of a file.
    ///
    /// - Parameter handle: `Elf *` of the file.
    /// - Throws: An error of kind `inflates` if the sections ask for too much.
    init(_ file: MappedFile, _ handle: OpaquePointer) throws(SymbolError) {
        var header = GElf_Ehdr()
        guard gelf_getehdr(handle, &header) != nil else {
            (self.file, sections) = (file, [])
            return
        }
        var (found, total) = ([] as [Section], 0 as UInt64)
        ELFImage.forEachSection(handle) { section in
            let place = header.e_shoff &+ UInt64(elf_ndxscn(section.handle)) &* UInt64(header.e_shentsize)
            guard let compressed = Inflation.section(section, place, file.bytes, handle) else { return }
            let (sum, overflow) = total.addingReportingOverflow(compressed.size)
            total = overflow ? .max : sum
            found.append(compressed)
        }
        let limit = Inflation.limit(fileSize: file.bytes.count)
        guard total <= limit else { throw SymbolError(file: file.path, kind: .inflates(bytes: total, limit: limit)) }
        (self.file, sections) = (file, found)
    }

    /// What is compressed in a section; `nil` if nothing is.
    private static func section(
        _ section: ELFImage.Section, _ place: UInt64, _ bytes: Bytes, _ handle: OpaquePointer
    ) -> Section? {
        let header = section.header
        guard header.sh_type != UInt32(SHT_NOBITS) else { return nil }
        if header.sh_flags & UInt64(SHF_COMPRESSED) != 0 {
            var compression = GElf_Chdr()
            guard gelf_getchdr(section.handle, &compression) != nil else { return nil }
            let isOurs =
                header.sh_flags & UInt64(SHF_ALLOC) == 0 && [methodZlib, methodZstd].contains(compression.ch_type)
            let headerSize = gelf_getclass(handle) == ELFCLASS64 ? 24 : 12 as UInt64
            return Section(
                header: place, body: isOurs ? bytes.slice(header.sh_offset, header.sh_size)?.from(headerSize) : nil,
                method: compression.ch_type, size: compression.ch_size, alignment: compression.ch_addralign)
        }
        // .zdebug_…: "ZLIB", the size with its highest byte first.
        let raw = bytes.slice(header.sh_offset, min(header.sh_size, 12))
        guard let raw, raw.load(0, as: UInt32.self) == 0x4249_4c5a, let size: UInt64 = raw.load(4),
            let name = ELFImage.name(of: section, in: handle), strncmp(name, ".zdebug_", 8) == 0
        else { return nil }
        return Section(header: place, body: nil, method: methodZlib, size: size.byteSwapped, alignment: 1)
    }

    /// Whether libelf cannot inflate a section.
    var needsUs: Bool { sections.contains { $0.method == Inflation.methodZstd && $0.body != nil } }

    /// A copy of the file in memory, with its compressed sections inflated; the file itself if none are. A section that is
    /// damaged stays compressed.
    func inflate() throws(SymbolError) -> MappedFile {
        let sections = sections.filter { $0.body != nil && $0.header <= UInt64(file.bytes.count) }
        guard !sections.isEmpty else { return file }
        let start = (file.bytes.count + 63) & ~63
        return try file.copy(size: start + sections.reduce(0) { $0 + $1.room }) { area in
            area.baseAddress?.copyMemory(from: file.bytes.start, byteCount: file.bytes.count)
            var at = start
            for section in sections {
                let target = UnsafeMutableRawBufferPointer(rebasing: area[at..<at + Int(section.size)])
                if Inflation.inflate(section, into: target) {
                    Inflation.patch(
                        UnsafeMutableRawBufferPointer(rebasing: area[..<start]), section, offset: UInt64(at))
                }
                at += section.room
            }
        }
    }

    private static func inflate(_ section: Section, into target: UnsafeMutableRawBufferPointer) -> Bool {
        guard let start = target.baseAddress, let body = section.body else { return target.isEmpty }
        switch section.method {
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

    /// Writes a section's new flags, offset, size and alignment.
    ///
    /// Elf64_Shdr: name u32, type u32, flags u64, address u64, offset u64, size u64, link u32, info u32, alignment u64.
    /// Elf32_Shdr: the same, all u32.
    private static func patch(_ area: UnsafeMutableRawBufferPointer, _ section: Section, offset: UInt64) {
        let (is64, isBigEndian) = (area[4] == UInt8(ELFCLASS64), area[5] == UInt8(ELFDATA2MSB))
        let header = Int(section.header)
        guard header <= area.count - (is64 ? 64 : 40) else { return }
        func change<Word: FixedWidthInteger & BitwiseCopyable>(_ at: Int, _ type: Word.Type, _ body: (Word) -> Word) {
            let raw = area.loadUnaligned(fromByteOffset: header + at, as: Word.self)
            let value = body(isBigEndian ? Word(bigEndian: raw) : Word(littleEndian: raw))
            area.storeBytes(of: isBigEndian ? value.bigEndian : value.littleEndian, toByteOffset: header + at, as: type)
        }
        func change(_ at64: Int, _ at32: Int, _ body: (UInt64) -> UInt64) {
            if is64 {
                change(at64, UInt64.self, body)
            } else {
                change(at32, UInt32.self) { UInt32(truncatingIfNeeded: body(UInt64($0))) }
            }
        }
        change(8, 8) { $0 & ~UInt64(SHF_COMPRESSED) }
        change(24, 16) { _ in offset }
        change(32, 20) { _ in section.size }
        change(48, 32) { _ in section.alignment }
    }
}

extension Inflation {
    /// The file with its compressed sections inflated; the file itself if none are, or if it is no ELF file.
    static func inflate(_ file: MappedFile) throws(SymbolError) -> MappedFile {
        guard let handle = file.openInMemory() else { return file }
        defer { elf_end(handle) }
        return try Inflation(file, handle).inflate()
    }
}
