// SPDX-License-Identifier: GPL-2.0-or-later

/// Writes the b-tree of a table from rows in the order of their rowids, page after page.
struct TableTree: ~Copyable {
    private var leaf = TreePage(.tableLeaf)
    /// The leaves, and the largest rowid of each.
    private var children: [Child] = []
    private var lastRow: UInt64 = 0

    private struct Child {
        var page: UInt32
        var key: UInt64
    }

    /// The largest cell of an interior page, with its place: a page, and a key.
    private static let interiorCell = 4 + 9 + 2
    /// The largest payload that a leaf holds without overflow pages.
    private static let largestLocal = TreePage.size - 35
    private static let smallestLocal = (TreePage.size - 12) * 32 / 255 - 23

    /// Adds a row; its rowid must be larger than that of the row before.
    mutating func add(
        _ row: UInt64, _ record: borrowing RowRecord, to writer: inout PageWriter
    ) throws(IndexError) {
        let size = record.size
        guard size <= TableTree.largestLocal else { return try addLarge(row, record, to: &writer) }
        let cell = Varint64.size(UInt64(size)) + Varint64.size(row) + size
        let target = try room(cell, row, &writer)
        var place = Varint64.put(UInt64(size), to: target)
        place += Varint64.put(row, to: target + place)
        record.put(to: target + place)
    }

    /// Adds a row of which a part is in overflow pages.
    private mutating func addLarge(
        _ row: UInt64, _ record: borrowing RowRecord, to writer: inout PageWriter
    ) throws(IndexError) {
        let size = record.size
        let bytes = UnsafeMutablePointer<UInt8>.allocate(capacity: size)
        defer { bytes.deallocate() }
        record.put(to: bytes)
        let perPage = TreePage.size - 4
        let fitting = TableTree.smallestLocal + (size - TableTree.smallestLocal) % perPage
        let local = fitting <= TableTree.largestLocal ? fitting : TableTree.smallestLocal
        // The chain is written from its end: a page names the next one.
        let page = UnsafeMutableRawPointer.allocate(byteCount: TreePage.size, alignment: 16)
        defer { page.deallocate() }
        var next: UInt32 = 0
        let count = (size - local + perPage - 1) / perPage
        for index in stride(from: count - 1, through: 0, by: -1) {
            let start = local + index * perPage
            let part = min(perPage, size - start)
            page.initializeMemory(as: UInt8.self, repeating: 0, count: TreePage.size)
            page.storeBytes(of: next.bigEndian, as: UInt32.self)
            (page + 4).copyMemory(from: bytes + start, byteCount: part)
            next = try writer.append(page)
        }
        let cell = Varint64.size(UInt64(size)) + Varint64.size(row) + local + 4
        let target = try room(cell, row, &writer)
        var place = Varint64.put(UInt64(size), to: target)
        place += Varint64.put(row, to: target + place)
        (target + place).update(from: bytes, count: local)
        UnsafeMutableRawPointer(target + place + local).copyMemory(
            from: withUnsafeBytes(of: next.bigEndian) { Array($0) }, byteCount: 4)
    }

    private mutating func room(
        _ cell: Int, _ row: UInt64, _ writer: inout PageWriter
    ) throws(IndexError) -> UnsafeMutablePointer<UInt8> {
        if !leaf.fits(cell) {
            leaf.finish()
            children.append(Child(page: try writer.append(leaf.bytes), key: lastRow))
            leaf.clear()
        }
        lastRow = row
        return leaf.add(cell).assumingMemoryBound(to: UInt8.self)
    }

    /// Writes the rest; the top of the tree is the page with the number `root`.
    mutating func finish(root: UInt32, _ writer: inout PageWriter) throws(IndexError) {
        leaf.finish()
        guard !children.isEmpty else { return try writer.write(leaf.bytes, at: root) }
        children.append(Child(page: try writer.append(leaf.bytes), key: lastRow))
        let most = (TreePage.size - 12) / TableTree.interiorCell + 1
        while children.count > most {
            var parents: [Child] = []
            for part in EvenParts(children.count, most: most) {
                var page = TableTree.interior(children[part])
                page.finish(right: children[part.upperBound - 1].page)
                parents.append(Child(page: try writer.append(page.bytes), key: children[part.upperBound - 1].key))
            }
            children = parents
        }
        var page = TableTree.interior(children[...])
        page.finish(right: children[children.count - 1].page)
        try writer.write(page.bytes, at: root)
    }

    /// An interior page with all children but the last.
    private static func interior(_ children: ArraySlice<Child>) -> TreePage {
        var page = TreePage(.tableInterior)
        for child in children.dropLast() {
            let target = page.add(4 + Varint64.size(child.key)).assumingMemoryBound(to: UInt8.self)
            UnsafeMutableRawPointer(target).storeBytes(of: child.page.bigEndian, as: UInt32.self)
            Varint64.put(child.key, to: target + 4)
        }
        return page
    }
}

/// Writes the b-tree of an index from entries in their order, page after page. Entries are short: no overflow pages.
struct IndexTree: ~Copyable {
    private var leaf = TreePage(.indexLeaf)
    /// The leaves, each with the entry after it; that is in no leaf.
    private var children: [Child] = []

    private struct Child {
        var page: UInt32
        /// The cell of the entry after the page; empty after the last one.
        var separator: [UInt8]
    }

    /// The largest entry, with its size and header: three integers.
    static let largestCell = 1 + 4 + 3 * 8

    /// Adds an entry that is larger than the one before.
    mutating func add(_ record: borrowing RowRecord, to writer: inout PageWriter) throws(IndexError) {
        let cell = 1 + record.size
        if !leaf.fits(cell) {
            let separator = Array(leaf.last)
            leaf.removeLast()
            leaf.finish()
            children.append(Child(page: try writer.append(leaf.bytes), separator: separator))
            leaf.clear()
        }
        let target = leaf.add(cell).assumingMemoryBound(to: UInt8.self)
        target[0] = UInt8(truncatingIfNeeded: record.size)
        record.put(to: target + 1)
    }

    /// Writes the rest; the top of the tree is the page with the number `root`.
    mutating func finish(root: UInt32, _ writer: inout PageWriter) throws(IndexError) {
        leaf.finish()
        guard !children.isEmpty else { return try writer.write(leaf.bytes, at: root) }
        children.append(Child(page: try writer.append(leaf.bytes), separator: []))
        let most = (TreePage.size - 12) / (4 + IndexTree.largestCell + 2) + 1
        while children.count > most {
            var parents: [Child] = []
            for part in EvenParts(children.count, most: most) {
                var page = IndexTree.interior(children[part])
                let last = children[part.upperBound - 1]
                page.finish(right: last.page)
                parents.append(Child(page: try writer.append(page.bytes), separator: last.separator))
            }
            children = parents
        }
        var page = IndexTree.interior(children[...])
        page.finish(right: children[children.count - 1].page)
        try writer.write(page.bytes, at: root)
    }

    /// An interior page with all children but the last, each with its separator.
    private static func interior(_ children: ArraySlice<Child>) -> TreePage {
        var page = TreePage(.indexInterior)
        for child in children.dropLast() {
            let target = page.add(4 + child.separator.count)
            target.storeBytes(of: child.page.bigEndian, as: UInt32.self)
            (target + 4).copyMemory(from: child.separator, byteCount: child.separator.count)
        }
        return page
    }
}

/// The parts of a list, as few and as even as possible; each has at least two elements if the list has.
struct EvenParts: Sequence {
    private let count: Int
    private let parts: Int

    init(_ count: Int, most: Int) {
        self.count = count
        parts = (count + most - 1) / most
    }

    func makeIterator() -> some IteratorProtocol<Range<Int>> {
        (0..<parts).lazy.map { part in count * part / parts..<count * (part + 1) / parts }.makeIterator()
    }
}
