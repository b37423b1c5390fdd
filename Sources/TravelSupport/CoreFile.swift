// SPDX-License-Identifier: GPL-2.0-or-later

@preconcurrency import Glibc
import ReplaySession
import RunDirectory

/// An ELF core of a stopped guest: its physical memory and its registers, as QEMU's dump-guest-memory writes them, and the
/// Linux kernel's own description of itself (VMCOREINFO), which drgn and crash need.
///
/// QEMU writes that note only for guests with a device for it. Linux keeps its text in a page of its own, beginning with
/// `OSRELEASE=`; it is found there and added as a note.
public enum CoreFile {
    /// What was written.
    public struct Result: Sendable {
        /// Bytes of the file.
        public var bytes: UInt64
        /// Whether a note describes a Linux kernel.
        public var hasKernelNote: Bool
    }

    /// Writes a core to a new file.
    ///
    /// - Throws: ``RunError`` if the file exists, or cannot be written.
    public static func write(_ session: TravelSession, to path: String) throws -> Result {
        let file = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard file >= 0 else { throw RunError.system(doing: "create", path: path, code: errno) }
        defer { close(file) }
        do {
            try session.writeCore(to: try Files.absolute(path, what: "core file"))
            let note = kernelNote(session.side.memory)
            if let note { try add(note, to: file, path: path) }
            return Result(bytes: Files.size(path), hasKernelNote: note != nil)
        } catch {
            unlink(path)
            throw error
        }
    }

    /// The text of VMCOREINFO in the guest's memory; nil without a Linux kernel that has made it.
    static func kernelNote(_ memory: GuestMemory) -> [UInt8]? {
        let start = Array("OSRELEASE=".utf8)
        var page = 0
        while let found = memory.nextData(from: page), found + 4096 <= memory.size {
            page = found
            if let text = memory.bytes(at: page, count: 4096), text.starts(with: start) {
                let end = text.firstIndex(of: 0) ?? text.endIndex
                let note = Array(text[..<end])
                // The text is made in one go; a page that only begins like it is another.
                if String(decoding: note, as: UTF8.self).contains("\nPAGESIZE=") { return note }
            }
            page += 4096
        }
        return nil
    }

    /// Appends all notes and one more to the file's end, and lets the header of the notes point there.
    private static func add(_ description: [UInt8], to file: Int32, path: String) throws {
        func damaged() -> RunError { .file(path: path, problem: "QEMU wrote no ELF core with one segment of notes") }
        var header = [UInt8](repeating: 0, count: 64)
        guard pread(file, &header, 64, 0) == 64, header.starts(with: [0x7f, 0x45, 0x4c, 0x46, 2, 1]) else {
            throw damaged()
        }
        let (offset, size, count) = (word(header, 32, 8), word(header, 54, 2), word(header, 56, 2))
        guard size == 56, offset < 1 << 20 else { throw damaged() }
        for index in 0..<count {
            var segment = [UInt8](repeating: 0, count: 56)
            let place = off_t(offset + 56 * index)
            guard pread(file, &segment, 56, place) == 56 else { throw damaged() }
            guard word(segment, 0, 4) == 4 else { continue }
            let (start, length) = (word(segment, 8, 8), word(segment, 32, 8))
            guard length < 1 << 20, start < UInt64(Int64.max) else { throw damaged() }
            var notes = [UInt8](repeating: 0, count: Int(length))
            guard pread(file, &notes, notes.count, off_t(start)) == notes.count else { throw damaged() }
            notes += note(name: "VMCOREINFO", type: 0, description)
            let end = (UInt64(max(0, lseek(file, 0, SEEK_END))) + 7) & ~7
            put(end, into: &segment, 8)
            put(UInt64(notes.count), into: &segment, 32)
            put(UInt64(notes.count), into: &segment, 40)
            guard pwrite(file, notes, notes.count, off_t(end)) == notes.count, pwrite(file, segment, 56, place) == 56
            else {
                throw RunError.system(doing: "write", path: path, code: errno)
            }
            return
        }
        throw damaged()
    }

    /// An ELF note: sizes, type, name and contents, each padded to 4 bytes.
    private static func note(name: String, type: UInt32, _ contents: [UInt8]) -> [UInt8] {
        var bytes: [UInt8] = []
        for value in [UInt32(name.utf8.count + 1), UInt32(contents.count), type] {
            withUnsafeBytes(of: value.littleEndian) { bytes.append(contentsOf: $0) }
        }
        for part in [Array(name.utf8) + [0], contents] {
            bytes += part + [UInt8](repeating: 0, count: (4 - part.count % 4) % 4)
        }
        return bytes
    }

    private static func word(_ bytes: [UInt8], _ offset: Int, _ size: Int) -> UInt64 {
        bytes[offset..<offset + size].reversed().reduce(0) { $0 << 8 | UInt64($1) }
    }

    private static func put(_ value: UInt64, into bytes: inout [UInt8], _ offset: Int) {
        for index in 0..<8 { bytes[offset + index] = UInt8(truncatingIfNeeded: value >> UInt64(8 * index)) }
    }
}
