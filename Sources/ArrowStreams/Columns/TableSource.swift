// SPDX-License-Identifier: GPL-2.0-or-later

/// A column, and how a row gives its value.
struct TableColumn<Row> {
    let definition: ColumnDefinition
    let append: (Row, inout ColumnBuilder) -> Void

    init(_ definition: ColumnDefinition, _ append: @escaping (Row, inout ColumnBuilder) -> Void) {
        self.definition = definition
        self.append = append
    }
}

/// A stream whose rows are built one by one: everything but branches.
///
/// Memory is bounded: a batch ends at a fixed number of rows or bytes of text.
class TableSource<Row>: BatchSource {
    private let table: [TableColumn<Row>]
    private var builders: [ColumnBuilder]
    private var rows = 0
    private var hasEnded = false
    /// An error that came after rows: they are handed out first.
    private var pendingError: (any Error)?

    private static var rowLimit: Int { 1 << 15 }
    private static var textLimit: Int { 4 << 20 }

    init(_ table: [TableColumn<Row>]) {
        self.table = table
        builders = table.map { ColumnBuilder($0.definition.type) }
        super.init(columns: table.map(\.definition))
    }

    /// Appends some rows, of a chunk for example. Returns false when there are no more.
    ///
    /// Throws at damage; a further call goes on after it.
    func produce() throws -> Bool { false }

    /// Appends a row.
    final func append(_ row: Row) {
        for index in table.indices { table[index].append(row, &builders[index]) }
        rows += 1
    }

    final override func next() throws -> RecordBatch? {
        if let error = pendingError {
            pendingError = nil
            throw error
        }
        while !hasEnded, !isFull {
            do {
                hasEnded = try !produce()
            } catch {
                if rows == 0 { throw error }
                pendingError = error
                break
            }
        }
        guard rows > 0 else { return nil }
        defer { rows = 0 }
        return RecordBatch(rows: rows, columns: builders.indices.map { builders[$0].finish() })
    }

    private var isFull: Bool {
        rows >= TableSource.rowLimit || builders.contains { $0.textSize >= TableSource.textLimit }
    }
}

/// A stream of a list that is in memory.
final class ListSource<Row>: TableSource<Row> {
    private let list: () -> [Row]
    private let atEnd: () throws -> Void
    private var rest: ArraySlice<Row>?
    private var isAtEnd = false

    /// - Parameters:
    ///   - list: called at the first read.
    ///   - atEnd: called once, after the last row; may report that the list is not complete.
    init(_ table: [TableColumn<Row>], _ list: @escaping () -> [Row], atEnd: @escaping () throws -> Void = {}) {
        self.list = list
        self.atEnd = atEnd
        super.init(table)
    }

    override func produce() throws -> Bool {
        var left = rest ?? list()[...]
        guard !left.isEmpty else {
            rest = []
            if isAtEnd { return false }
            isAtEnd = true
            try atEnd()
            return false
        }
        for row in left.prefix(1024) { append(row) }
        left = left.dropFirst(1024)
        rest = left
        return true
    }
}
