// SPDX-License-Identifier: GPL-2.0-or-later

/// Writes the b-tree of a table from rows in the order of their rowids, page after page.
struct TableTree: ~Copyable {
    private var leaf = TreePage(.tableLeaf)
    /// The leaves, each with its largest rowid.
    private var levels = TreeLevels(.tableInterior, largestKey: 9)
    private var lastRow: UInt64 = 0

    /// The largest payload that a leaf holds without overflow pages.
    private static let largestLocal = TreePage.size - 35
    private static let smallestLocal = (TreePage.size - 12) * 32 / 255 - 23

    /// Where the record of a row is.
    struct Place {
        /// The number of its leaf.
        var leaf: Int
        /// Where it begins in the leaf.
        var offset: Int
        var size: Int
    }

    /// Adds a row; its rowid must be larger than that of the row before.
    mutating func add(
        _ row: UInt64, _ record: borrowing RowRecord, to writer: inout PageWriter
    ) throws(IndexError) {
        guard record.size <= TableTree.largestLocal else { return try addLarge(row, record, to: &writer) }
        _ = try addLocal(row, record, to: &writer)
    }

    /// Adds a row without overflow pages, which may be replaced later.
    mutating func addLocal(
        _ row: UInt64, _ record: borrowing RowRecord, to writer: inout PageWriter
    ) throws(IndexError) -> Place {
        let size = record.size
        let cell = Varint64.size(UInt64(size)) + Varint64.size(row) + size
        let target = try room(cell, row, &writer)
        var place = Varint64.put(UInt64(size), to: target)
        place += Varint64.put(row, to: target + place)
        record.put(to: target + place)
        let offset = UnsafeMutableRawPointer(target + place) - leaf.bytes
        return Place(leaf: levels.leafCount, offset: offset, size: size)
    }

    /// Replaces the record of a row by one of the same size.
    mutating func replace(
        _ place: Place, _ record: borrowing RowRecord, in writer: inout PageWriter
    ) throws(IndexError) {
        precondition(record.size == place.size)
        guard let page = levels.page(ofLeaf: place.leaf) else {
            return record.put(to: (leaf.bytes + place.offset).assumingMemoryBound(to: UInt8.self))
        }
        try withUnsafeTemporaryAllocation(byteCount: place.size, alignment: 1) { bytes throws(IndexError) in
            guard let start = bytes.baseAddress else { return }
            record.put(to: start.assumingMemoryBound(to: UInt8.self))
            try writer.replace(UnsafeRawBufferPointer(bytes), of: page, at: place.offset)
        }
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
        if !leaf.fits(cell) { try levels.add(&leaf, key: TableTree.key(lastRow), to: &writer) }
        lastRow = row
        return leaf.add(cell).assumingMemoryBound(to: UInt8.self)
    }

    /// Writes the rest; the top of the tree is the page with the number `root`.
    mutating func finish(root: UInt32, _ writer: inout PageWriter) throws(IndexError) {
        try levels.finish(&leaf, root: root, &writer)
    }

    /// A rowid as the cell of an interior page has it.
    private static func key(_ row: UInt64) -> [UInt8] {
        [UInt8](unsafeUninitializedCapacity: 9) { bytes, count in
            if let start = bytes.baseAddress { count = Varint64.put(row, to: start) }
        }
    }
}

/// Writes the b-tree of an index from entries in their order, page after page. Entries are short: no overflow pages.
struct IndexTree: ~Copyable {
    private var leaf = TreePage(.indexLeaf)
    /// The leaves, each with the entry after it; that is in no leaf.
    private var levels = TreeLevels(.indexInterior, largestKey: largestCell)

    /// The largest entry, with its size and header: three integers.
    private static let largestCell = 1 + 4 + 3 * 8

    /// Adds an entry that is larger than the one before.
    mutating func add(_ record: borrowing RowRecord, to writer: inout PageWriter) throws(IndexError) {
        let cell = 1 + record.size
        if !leaf.fits(cell) {
            let separator = Array(leaf.last)
            leaf.removeLast()
            try levels.add(&leaf, key: separator, to: &writer)
        }
        let target = leaf.add(cell).assumingMemoryBound(to: UInt8.self)
        target[0] = UInt8(truncatingIfNeeded: record.size)
        record.put(to: target + 1)
    }

    /// Writes the rest; the top of the tree is the page with the number `root`.
    mutating func finish(root: UInt32, _ writer: inout PageWriter) throws(IndexError) {
        try levels.finish(&leaf, root: root, &writer)
    }
}

/// The leaves of a tree, and the interior pages above them.
struct TreeLevels {
    private struct Child {
        var page: UInt32
        /// What the cell of an interior page has after the page's number.
        var key: [UInt8]
    }

    private let kind: TreePage.Kind
    /// The most children of a page.
    private let most: Int
    private var children: [Child] = []

    /// - Parameters:
    ///   - kind: the kind of the interior pages.
    ///   - largestKey: the most bytes of a key.
    init(_ kind: TreePage.Kind, largestKey: Int) {
        self.kind = kind
        // A cell has the number of a page, a key, and a place of two bytes; the last child has none.
        most = (TreePage.size - 12) / (4 + largestKey + 2) + 1
    }

    /// Leaves that were written.
    var leafCount: Int { children.count }

    /// The page of a leaf; nil if it is not written yet. Not after ``finish(_:root:_:)``.
    func page(ofLeaf number: Int) -> UInt32? { number < children.count ? children[number].page : nil }

    /// Writes a leaf that is full, and clears it.
    mutating func add(_ leaf: inout TreePage, key: [UInt8], to writer: inout PageWriter) throws(IndexError) {
        leaf.finish()
        children.append(Child(page: try writer.append(leaf), key: key))
        leaf.clear()
    }

    /// Writes the last leaf and all interior pages; the top is the page with the number `root`.
    mutating func finish(_ leaf: inout TreePage, root: UInt32, _ writer: inout PageWriter) throws(IndexError) {
        guard !children.isEmpty else {
            leaf.finish()
            return try writer.write(leaf, at: root)
        }
        try add(&leaf, key: [], to: &writer)
        while children.count > most {
            var parents: [Child] = []
            for part in EvenParts(children.count, most: most) {
                let page = interior(children[part])
                parents.append(Child(page: try writer.append(page), key: children[part.upperBound - 1].key))
            }
            children = parents
        }
        let top = interior(children[...])
        try writer.write(top, at: root)
    }

    /// An interior page with some children; the last one has no cell.
    private func interior(_ children: ArraySlice<Child>) -> TreePage {
        var page = TreePage(kind)
        for child in children.dropLast() {
            let target = page.add(4 + child.key.count)
            target.storeBytes(of: child.page.bigEndian, as: UInt32.self)
            (target + 4).copyMemory(from: child.key, byteCount: child.key.count)
        }
        page.finish(right: children.last?.page ?? 0)
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
