// SPDX-License-Identifier: GPL-2.0-or-later

import Glibc

/// A page of a b-tree that is being filled (SQLite, "Database File Format", 1.6): a header, the places of the cells, and the
/// cells themselves from the end of the page downwards.
struct TreePage: ~Copyable {
    /// The kinds of pages, by their first byte.
    enum Kind: UInt8 {
        case indexInterior = 0x02
        case tableInterior = 0x05
        case indexLeaf = 0x0a
        case tableLeaf = 0x0d

        var isInterior: Bool { self == .indexInterior || self == .tableInterior }
    }

    static let size = 16384

    let kind: Kind
    let bytes: UnsafeMutableRawPointer
    /// Cells in the page.
    private(set) var count = 0
    /// Where the last cell begins.
    private var content = TreePage.size
    /// The end of the last cell.
    private var lastEnd = TreePage.size
    private let header: Int

    init(_ kind: Kind) {
        self.kind = kind
        header = kind.isInterior ? 12 : 8
        bytes = .allocate(byteCount: TreePage.size, alignment: 16)
        clear()
    }

    deinit { bytes.deallocate() }

    /// Removes all cells.
    mutating func clear() {
        memset(bytes, 0, TreePage.size)
        bytes.storeBytes(of: kind.rawValue, as: UInt8.self)
        (count, content, lastEnd) = (0, TreePage.size, TreePage.size)
    }

    /// Whether a cell has room.
    func fits(_ size: Int) -> Bool { header + 2 * (count + 1) + size <= content }

    /// Adds a cell after all others; there must be room. Returns the place to which its bytes go.
    mutating func add(_ size: Int) -> UnsafeMutableRawPointer {
        lastEnd = content
        content -= size
        bytes.storeBytes(of: UInt16(content).bigEndian, toByteOffset: header + 2 * count, as: UInt16.self)
        count += 1
        return bytes + content
    }

    /// The cell that was added last.
    var last: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: bytes + content, count: lastEnd - content) }

    /// Removes the cell that was added last; once between two additions.
    mutating func removeLast() {
        memset(bytes + content, 0, lastEnd - content)
        content = lastEnd
        count -= 1
        bytes.storeBytes(of: 0, toByteOffset: header + 2 * count, as: UInt16.self)
    }

    /// Completes the header.
    ///
    /// - Parameter right: the page after all cells, of an interior page.
    mutating func finish(right: UInt32 = 0) {
        bytes.storeBytes(of: UInt16(count).bigEndian, toByteOffset: 3, as: UInt16.self)
        bytes.storeBytes(of: UInt16(content).bigEndian, toByteOffset: 5, as: UInt16.self)
        if kind.isInterior { bytes.storeBytes(of: right.bigEndian, toByteOffset: 8, as: UInt32.self) }
    }
}

/// Appends pages to a database file that no connection has open.
struct PageWriter: ~Copyable {
    private let descriptor: Int32
    private let path: String
    private let buffer: UnsafeMutableRawPointer
    /// Bytes in the buffer.
    private var filled = 0
    /// The number of the first page in the buffer.
    private var first: UInt32
    /// The number of the next page.
    private var next: UInt32

    /// SQLite locks bytes of this page; it holds nothing.
    private static let lockPage = UInt32(0x4000_0000 / TreePage.size) + 1
    private static let bufferSize = 1 << 20

    init(path: String) throws(IndexError) {
        self.path = path
        descriptor = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW)
        guard descriptor >= 0 else { throw IndexError(file: path, kind: .cannotWrite(errno: errno)) }
        next = UInt32(truncatingIfNeeded: lseek(descriptor, 0, SEEK_END) / off_t(TreePage.size)) + 1
        first = next
        buffer = .allocate(byteCount: PageWriter.bufferSize, alignment: 16)
    }

    deinit {
        close(descriptor)
        buffer.deallocate()
    }

    /// Appends a page; returns its number.
    mutating func append(_ page: UnsafeRawPointer) throws(IndexError) -> UInt32 {
        if next == PageWriter.lockPage { try add(nil) }
        try add(page)
        return next - 1
    }

    /// Appends a page of a tree.
    mutating func append(_ page: borrowing TreePage) throws(IndexError) -> UInt32 { try append(page.bytes) }

    /// Replaces a page by one of a tree.
    mutating func write(_ page: borrowing TreePage, at number: UInt32) throws(IndexError) {
        try write(UnsafeRawBufferPointer(start: page.bytes, count: TreePage.size), at: offset(number))
    }

    /// Replaces bytes of a page that was appended.
    mutating func replace(_ bytes: UnsafeRawBufferPointer, of page: UInt32, at offset: Int) throws(IndexError) {
        guard page >= first else { return try write(bytes, at: self.offset(page) + off_t(offset)) }
        let place = Int(page - first) * TreePage.size + offset
        if let start = bytes.baseAddress { (buffer + place).copyMemory(from: start, byteCount: bytes.count) }
    }

    /// Adds a page to the buffer; nil for one of zeros.
    private mutating func add(_ page: UnsafeRawPointer?) throws(IndexError) {
        let place = buffer + filled
        if let page {
            place.copyMemory(from: page, byteCount: TreePage.size)
        } else {
            memset(place, 0, TreePage.size)
        }
        filled += TreePage.size
        next += 1
        if filled == PageWriter.bufferSize { try flush() }
    }

    /// Writes what is left, and the number of pages into the file's header.
    mutating func finish() throws(IndexError) {
        try flush()
        buffer.storeBytes(of: (next - 1).bigEndian, as: UInt32.self)
        try write(UnsafeRawBufferPointer(start: buffer, count: 4), at: 28)
    }

    private mutating func flush() throws(IndexError) {
        try write(UnsafeRawBufferPointer(start: buffer, count: filled), at: offset(first))
        first += UInt32(filled / TreePage.size)
        filled = 0
    }

    private func offset(_ number: UInt32) -> off_t { off_t(number - 1) * off_t(TreePage.size) }

    private func write(_ bytes: UnsafeRawBufferPointer, at offset: off_t) throws(IndexError) {
        let error = TemporaryFile.write(bytes, to: descriptor, at: offset)
        guard error == 0 else { throw IndexError(file: path, kind: .cannotWrite(errno: error)) }
    }
}
