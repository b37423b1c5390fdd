// SPDX-License-Identifier: GPL-2.0-or-later

@preconcurrency import Glibc
import ReplaySession
import RunDirectory

/// An ELF core of a stopped guest, for gdb, crash and drgn.
///
/// The notes with the registers are QEMU's (dump-guest-memory). Memory comes from the guest's mapped memory; pages that it never
/// touched are holes in the file. For a Linux guest, the kernel's own description of itself (VMCOREINFO) is a further note, and
/// further segments map the kernel's code and, without address randomisation, its direct map. QEMU writes that note only for guests
/// with a device for it. Linux keeps its text in a page of its own, beginning with `OSRELEASE=`; it is found there.
public enum CoreFile {
    /// What was written.
    public struct Result: Sendable {
        /// Bytes of the file, holes included.
        public var bytes: UInt64
        /// Whether a note describes a Linux kernel.
        public var hasKernelNote: Bool
    }

    /// A stretch of physical memory at a virtual address.
    struct Segment: Equatable {
        var virtual: UInt64
        var physical: UInt64
        var size: UInt64
    }

    /// Writes a core to a new file.
    ///
    /// - Throws: ``RunError`` if the file exists, or cannot be written.
    public static func write(_ session: TravelSession, to path: String) throws -> Result {
        let file = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0o666)
        guard file >= 0 else { throw RunError.system(doing: "create", path: path, code: errno) }
        defer { close(file) }
        do {
            let memory = session.side.memory
            let description = KernelDescription(memory)
            var notes = try registerNotes(session)
            if let description { notes += note(name: "VMCOREINFO", type: 0, Array(description.text.utf8)) }
            let segments = segments(memory.size, description)
            let start = UInt64(64 + 56 * (segments.count + 1) + notes.count + 4095) & ~4095
            try put(header(segments, notes: notes.count, memoryAt: start) + notes, to: file, at: 0, path)
            try put(memory, to: file, at: start, path)
            return Result(bytes: start + UInt64(memory.size), hasKernelNote: description != nil)
        } catch {
            unlink(path)
            throw error
        }
    }

    // MARK: Notes

    /// QEMU's notes of the processor's registers, from a core of one page.
    private static func registerNotes(_ session: TravelSession) throws -> [UInt8] {
        let path = "\(session.privateDirectory)/registers.core"
        try session.writeCore(to: path, bytes: 4096)
        let bytes = try Files.contents(path)
        unlink(path)
        func word(_ offset: Int, _ size: Int) -> Int? {
            guard offset >= 0, offset <= bytes.count - size else { return nil }
            return Int(exactly: bytes[offset..<offset + size].reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) })
        }
        guard bytes.starts(with: [0x7f, 0x45, 0x4c, 0x46, 2, 1]), let table = word(32, 8), let count = word(56, 2)
        else {
            throw RunError.file(path: path, problem: "QEMU wrote no 64-bit ELF core")
        }
        for index in 0..<count where word(table &+ 56 * index, 4) == 4 {
            guard let start = word(table + 56 * index + 8, 8), let size = word(table + 56 * index + 32, 8),
                start >= 0, size >= 0, start <= bytes.count, size <= bytes.count - start
            else { break }
            return Array(bytes[start..<start + size])
        }
        throw RunError.file(path: path, problem: "QEMU wrote no notes into its core")
    }

    /// An ELF note: sizes, type, name and contents, each padded to 4 bytes.
    static func note(name: String, type: UInt32, _ contents: [UInt8]) -> [UInt8] {
        var bytes: [UInt8] = []
        for value in [UInt32(name.utf8.count + 1), UInt32(truncatingIfNeeded: contents.count), type] {
            append(value, to: &bytes)
        }
        for part in [Array(name.utf8) + [0], contents] {
            bytes += part + [UInt8](repeating: 0, count: (4 - part.count % 4) % 4)
        }
        return bytes
    }

    // MARK: Segments

    /// Where Linux maps its code, and the direct map without address randomisation (Documentation/x86/x86_64/mm.rst).
    private static let (kernelMap, directMap): (UInt64, UInt64) = (0xffff_ffff_8000_0000, 0xffff_8880_0000_0000)

    /// The whole memory, and the views of it that a Linux kernel's description shows.
    static func segments(_ size: Int, _ description: KernelDescription?) -> [Segment] {
        let memory = Segment(virtual: 0, physical: 0, size: UInt64(size))
        guard let description else { return [memory] }
        var list = [memory]
        if let base = description.number("phys_base") {
            let skipped = base < 0 ? base.magnitude : 0
            let physical = base > 0 ? UInt64(base) : 0
            let limit = description.number("KERNEL_IMAGE_SIZE").flatMap { UInt64(exactly: $0) } ?? 1 << 29
            if physical < memory.size, skipped < limit {
                let length = min(memory.size - physical, limit - skipped, 1 << 30)
                list.append(Segment(virtual: kernelMap + skipped, physical: physical, size: length))
            }
        }
        if description["KERNELOFFSET"] == "0" {
            list.append(Segment(virtual: directMap, physical: 0, size: memory.size))
        }
        return list
    }

    /// The ELF header and the headers of notes and segments, which all show the same memory.
    private static func header(_ segments: [Segment], notes: Int, memoryAt start: UInt64) -> [UInt8] {
        var bytes: [UInt8] = [0x7f, 0x45, 0x4c, 0x46, 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0]
        append(UInt16(4), to: &bytes)  // core
        append(UInt16(62), to: &bytes)  // x86-64
        append(UInt32(1), to: &bytes)
        for word: UInt64 in [0, 64, 0] { append(word, to: &bytes) }
        append(UInt32(0), to: &bytes)
        for half in [64, 56, segments.count + 1, 0, 0, 0] { append(UInt16(truncatingIfNeeded: half), to: &bytes) }
        let notesAt = UInt64(64 + 56 * (segments.count + 1))
        append(UInt32(4), to: &bytes)
        append(UInt32(0), to: &bytes)
        for word in [notesAt, 0, 0, UInt64(notes), UInt64(notes), 4] { append(word, to: &bytes) }
        // crash takes a core whose segments have an alignment for one of netdump's.
        for segment in segments {
            append(UInt32(1), to: &bytes)
            append(UInt32(7), to: &bytes)
            for word in [
                start + segment.physical, segment.virtual, segment.physical, segment.size, segment.size, 0,
            ] { append(word, to: &bytes) }
        }
        return bytes
    }

    private static func append(_ value: some FixedWidthInteger, to bytes: inout [UInt8]) {
        withUnsafeBytes(of: value.littleEndian) { bytes.append(contentsOf: $0) }
    }

    // MARK: Writing

    private static func put(_ memory: GuestMemory, to file: Int32, at start: UInt64, _ path: String) throws {
        guard ftruncate(file, off_t(start) + off_t(memory.size)) == 0 else {
            throw RunError.system(doing: "write", path: path, code: errno)
        }
        var offset = 0
        while let found = memory.nextData(from: offset) {
            let count = min(1 << 18, memory.size - found)
            guard let bytes = memory.bytes(at: found, count: count) else { break }
            // Zeros need no blocks.
            if bytes.contains(where: { $0 != 0 }) { try put(bytes, to: file, at: start + UInt64(found), path) }
            offset = found + count
        }
    }

    private static func put(_ bytes: [UInt8], to file: Int32, at offset: UInt64, _ path: String) throws {
        var done = 0
        while done < bytes.count {
            let count = bytes.withUnsafeBytes {
                pwrite(file, $0.baseAddress.map { $0 + done }, $0.count - done, off_t(offset) + off_t(done))
            }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw RunError.system(doing: "write", path: path, code: errno) }
            done += count
        }
    }
}
