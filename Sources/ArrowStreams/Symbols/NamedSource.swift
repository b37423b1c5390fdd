// SPDX-License-Identifier: GPL-2.0-or-later

/// A stream with columns of names beside its columns of addresses of code: `to_name` beside `to`.
///
/// The stream that it is made of decodes what is asked for, and the addresses that names are made of.
final class NamedSource: BatchSource {
    /// A column of the result.
    private enum Column {
        /// That column of the stream below.
        case own(Int)
        /// Names of the addresses in that column of the stream below.
        case names(Int, table: Int)
    }

    private let source: BatchSource
    private let result: [Column]
    private var tables: [NameTable]
    private let isPlain: Bool

    /// - Parameters:
    ///   - all: the columns that the stream below has.
    ///   - make: opens it with some of them.
    init(
        _ all: [ColumnDefinition], _ request: StreamRequest, _ symbols: RunSymbols,
        _ make: (StreamRequest) throws(RequestError) -> BatchSource
    ) throws(RequestError) {
        let names = NameColumn.all(of: all)
        let wanted =
            request.columns
            ?? all.map(\.name) + names.filter { $0.aspect == .name }.map(\.name)
        _ = try request.choose(all.map(\.name) + names.map(\.name)) { $0 }
        var (below, result): ([String], [Column]) = ([], [])
        var (definitions, aspects): ([ColumnDefinition?], [NameAspect]) = ([], [])
        func place(_ name: String) -> Int {
            if let known = below.firstIndex(of: name) { return known }
            below.append(name)
            return below.count - 1
        }
        for name in wanted {
            guard let column = names.first(where: { $0.name == name }) else {
                result.append(.own(place(name)))
                definitions.append(nil)
                continue
            }
            let table = aspects.firstIndex(of: column.aspect) ?? aspects.count
            if table == aspects.count { aspects.append(column.aspect) }
            result.append(.names(place(column.address), table: table))
            definitions.append(
                column.aspect.definition(name, of: "`\(column.address)`", isPlain: request.usesPlainText))
        }
        var inner = request
        inner.columns = below
        let source = try make(inner)
        self.source = source
        self.result = result
        isPlain = request.usesPlainText
        tables = aspects.map { NameTable(symbols.symbolizer, $0) }
        super.init(
            columns: zip(definitions, result).map { definition, column in
                switch column {
                case .own(let place): source.columns[place]
                case .names: definition ?? source.columns[0]
                }
            })
    }

    override func next() throws -> RecordBatch? {
        guard let batch = try source.next() else { return nil }
        return RecordBatch(
            rows: batch.rows,
            columns: result.map { column in
                switch column {
                case .own(let place): batch.columns[place]
                case .names(let place, let table): tables[table].column(batch.columns[place], isPlain: isPlain)
                }
            })
    }
}

/// A column of names that a column of addresses has.
private struct NameColumn {
    var name: String
    var address: String
    var aspect: NameAspect

    /// Those of all columns of code; a name that the stream has already is not used.
    static func all(of columns: [ColumnDefinition]) -> [NameColumn] {
        columns.filter(\.isCode).flatMap { column in
            NameAspect.allCases.map { aspect in
                // The stream of addresses alone has short names.
                let name = column.name == AddressSource.name ? aspect.rawValue : "\(column.name)_\(aspect.rawValue)"
                return NameColumn(name: name, address: column.name, aspect: aspect)
            }
        }.filter { name in !columns.contains { $0.name == name.name } }
    }
}
