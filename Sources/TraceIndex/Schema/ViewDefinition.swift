// SPDX-License-Identifier: GPL-2.0-or-later

/// A view of the index. Views are the documented interface; the tables that they read are private.
///
/// The views of the schema, `docs/sql.md` and `tt-analyze schema` all derive from these.
public struct ViewDefinition: Sendable {
    /// One column of a view.
    public struct Column: Sendable, Hashable {
        /// The column's name; `from` and `to` need double quotes in SQL.
        public var name: String
        /// The kind of values in the column.
        public var type: ColumnType
        /// The unit of a number; nil for a number without a unit.
        public var unit: String?
        /// The meaning of the column; a phrase without a full stop.
        public var meaning: String
        /// The SQL expression that computes it from the view's `source`.
        var expression: String

        init(
            _ name: String, _ type: ColumnType, unit: String? = nil, _ meaning: String, _ expression: String? = nil
        ) {
            self.name = name
            self.type = type
            self.unit = unit
            self.meaning = meaning
            self.expression = expression ?? IndexSchema.quoted(name)
        }
    }

    /// The kind of values in a column. SQLite's own types are fewer: all of these but text are integers.
    public enum ColumnType: String, Sendable, Hashable {
        /// A number, printed in decimal.
        case integer
        /// 64 bits, printed in hexadecimal by `tt-analyze sql`. SQLite's integers have a sign: addresses above 2^63 are
        /// negative; `addr(n)` gives the text.
        case address
        /// 0 or 1.
        case flag
        /// Text in UTF-8.
        case text
    }

    /// The view's name.
    public var name: String
    /// The meaning of a row; one sentence.
    public var summary: String
    /// The stages that the view's rows need.
    public var stages: Set<BuildStage>
    /// The columns in their order.
    public var columns: [Column]
    /// The SQL after FROM.
    var source: String

    init(
        _ name: String, stages: Set<BuildStage> = [.events], _ summary: String, source: String, _ columns: [Column]
    ) {
        self.name = name
        self.stages = stages
        self.summary = summary
        self.source = source
        self.columns = columns
    }

    /// The statement that creates the view.
    var sql: String { "CREATE VIEW \(name) AS \(query)" }

    /// The statement that creates the view in a connection only.
    var temporarySQL: String { "CREATE TEMP VIEW \(name) AS \(query)" }

    private var query: String {
        let list = columns.map { column in
            let name = IndexSchema.quoted(column.name)
            return column.expression == name ? name : "\(column.expression) AS \(name)"
        }
        return "SELECT \(list.joined(separator: ", ")) FROM \(source)"
    }
}

/// A part of an index that is built at once.
public enum BuildStage: String, Sendable, Hashable, CaseIterable, Comparable {
    /// Events, notes, chunks, attributes: every index has them.
    case events
    /// The distinct branches of a run, with their counts and where they occur.
    case edges
    /// The names of the addresses of edges. (Those of events come with the events.)
    case places
    /// One row for each call.
    case calls
    /// The lines of the serial console, with their positions.
    case console

    /// Whether `a` is built before `b`.
    public static func < (a: BuildStage, b: BuildStage) -> Bool { a.order < b.order }

    private var order: Int { BuildStage.allCases.firstIndex(of: self) ?? 0 }

    /// The stages that must be built before this one.
    var needs: Set<BuildStage> {
        switch self {
        case .events: []
        case .edges, .calls, .console: [.events]
        case .places: [.events, .edges]
        }
    }
}
