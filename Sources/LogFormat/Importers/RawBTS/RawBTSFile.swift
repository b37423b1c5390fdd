// SPDX-License-Identifier: GPL-2.0-or-later

import CTTLog

/// A file of raw branch records, in the layout of a processor's branch trace store: 24 bytes each, little-endian,
///
///     u64 from        address of the instruction that was left
///     u64 to          address of the instruction that began next
///     u64 flags       flags of the processor; not shown
///
/// The extended form begins with a record of ones, and has the branch counter in place of the flags. In the plain form
/// branches are counted from 0, the first of the file. There is no vCPU, no instruction count and no label.
///
///     let file = try RawBTSFile(path: "branches.bts")
///     var branches = file.branches(from: 1_000_000, to: 1_000_010)
///     while branches.nextBatch({ batch, range in … }) {}
///
/// The file is read in blocks: memory does not grow with its size. Sources: Intel SDM volume 3, "Branch Trace Store";
/// the `-x` form of XenTT's bts_extract.
public struct RawBTSFile: Sendable {
    /// The two forms of the records.
    public enum Form: String, Sendable, Hashable, CaseIterable {
        /// (from, to, flags).
        case plain
        /// A first record of ones, then (from, to, branch counter).
        case extended
    }

    /// Bytes of a record.
    public static let recordSize = 24

    /// The file's path.
    public let path: String
    /// The records' form.
    public let form: Form
    /// Bytes of the file when it was opened.
    public let fileSize: UInt64
    /// Describes an incomplete last record; `nil` if the file ends with a complete one.
    public let damage: Damage?
    let file: InputFile

    /// Opens a file whose content can be such records (``isPlausible(_:)``).
    ///
    /// - Throws: ``LogError`` if the file cannot be read or has another format.
    public init(path: String) throws(LogError) {
        try self.init(file: InputFile(path: path))
    }

    init(file: InputFile) throws(LogError) {
        let size = file.size
        var buffer = ReusedBuffer()
        let room = buffer.room(for: RawBTSFile.sampleCount * RawBTSFile.recordSize)
        let start = UnsafeRawBufferPointer(room).prefixed(try file.read(room, at: 0))
        guard let form = RawBTSFile.form(of: start) else {
            throw LogError(file: file.path, offset: 0, kind: .foreign(RawBTSFile.refusal(start, size: size)))
        }
        let rest = size % UInt64(RawBTSFile.recordSize)
        damage =
            rest == 0
            ? nil
            : Damage(
                file: file.path, offset: size - rest, length: rest,
                what: .truncated(structure: .record, expected: UInt64(RawBTSFile.recordSize), present: rest),
                lostRecords: 1)
        path = file.path
        fileSize = size
        self.form = form
        self.file = file
    }

    /// The number of complete branch records.
    public var count: UInt64 {
        let records = fileSize / UInt64(RawBTSFile.recordSize)
        return form == .extended ? records - 1 : records
    }

    /// The offset of the first branch's record.
    var firstOffset: UInt64 { form == .extended ? UInt64(RawBTSFile.recordSize) : 0 }

    /// The last branch counter in the file.
    public var lastClock: UInt64 {
        guard count > 0 else { return 0 }
        guard form == .extended else { return count - 1 }
        var buffer = ReusedBuffer()
        let room = buffer.room(for: RawBTSFile.recordSize)
        let offset = firstOffset &+ (count - 1) &* UInt64(RawBTSFile.recordSize)
        guard let present = try? file.read(room, at: offset), present == room.count else { return 0 }
        return room.loadUnaligned(fromByteOffset: 16, as: UInt64.self)
    }

    /// The branches with clocks in `from ..< to` (no end when `to` is `.max`).
    ///
    /// - Parameter label: returns the label of a branch by its addresses, `from` and `to`; without it, all are
    ///   `unknown`.
    public func branches(
        from: UInt64 = 0, to: UInt64 = .max, label: ((UInt64, UInt64) -> BranchLabel)? = nil
    ) -> RawBTSCursor {
        RawBTSCursor(self, from: from, to: to, label: label)
    }
}

// MARK: - Recognition
extension RawBTSFile {
    /// The number of records at the beginning of a file that are checked.
    static let sampleCount = 4096

    /// The form of a file with this beginning; `nil` if it is another kind of file.
    ///
    /// The extended form begins with its record of ones. The plain form has no mark: nine in ten of the first records
    /// must be plausible, and the file must not begin like another well-known kind.
    static func form(of start: UnsafeRawBufferPointer) -> Form? {
        let count = start.count / recordSize
        guard count > 0, knownKind(start) == nil else { return nil }
        if start[..<recordSize].allSatisfy({ $0 == 0xff }) { return .extended }
        var plausible = 0
        for index in 0..<count {
            let offset = index * recordSize
            func word(_ number: Int) -> UInt64 {
                start.loadUnaligned(fromByteOffset: offset + number * 8, as: UInt64.self)
            }
            plausible += isPlausible(from: word(0), to: word(1), flags: word(2)) ? 1 : 0
        }
        return plausible * 10 >= count * 9 ? .plain : nil
    }

    /// Whether a plain record may be one: both addresses fit in 57 bits with their sign (x86-64 with five levels of pages),
    /// are not both 0, and the flags fit in 32 bits.
    static func isPlausible(from: UInt64, to: UInt64, flags: UInt64) -> Bool {
        func isCanonical(_ address: UInt64) -> Bool {
            Int64(bitPattern: address) >> 56 == 0 || Int64(bitPattern: address) >> 56 == -1
        }
        return isCanonical(from) && isCanonical(to) && from | to != 0 && flags <= UInt64(UInt32.max)
    }

    /// The name of another kind of file with this beginning.
    private static func knownKind(_ start: UnsafeRawBufferPointer) -> String? {
        let kinds: [(magic: [UInt8], name: String)] = [
            ([0x7f, 0x45, 0x4c, 0x46], "an ELF file"), ([0x1f, 0x8b], "a gzip file"),
            ([0x28, 0xb5, 0x2f, 0xfd], "a zstd file"), ([0xfd, 0x37, 0x7a, 0x58, 0x5a], "an xz file"),
            ([0x42, 0x5a, 0x68], "a bzip2 file"), (Array("SQLite format 3".utf8), "an SQLite database"),
            (Array("QFI".utf8) + [0xfb], "a qcow2 image"),
            (Array("PERFILE2".utf8), "a perf.data file, whose branches `perf script` prints"),
        ]
        return kinds.first { start.starts(with: $0.magic) }?.name
    }

    static func refusal(_ start: UnsafeRawBufferPointer, size: UInt64) -> String {
        let expected =
            "a log has 0x\(hexadecimal(TTLOG_FILE_MAGIC)) in its first 8 bytes and a header of \(TTLOG_FILE_HEADER_SIZE) bytes, "
            + "raw records have 24 bytes each: from, to, flags"
        let neither = "not a trace log and not raw BTS records"
        if size < UInt64(recordSize) { return "\(neither): the file has \(size) bytes; \(expected)" }
        if let kind = knownKind(start) { return "\(neither): it is \(kind); give a log or a file of raw records" }
        return "\(neither): it begins with 0x\(hexadecimal(start.loadUnaligned(as: UInt64.self))); \(expected)"
    }
}
