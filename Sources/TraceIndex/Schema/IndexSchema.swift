// SPDX-License-Identifier: GPL-2.0-or-later

import Formatting
import LogFormat

/// The schema of an index: private tables, whose names begin with `_`, and the views that are the interface.
///
/// A view is pure SQL if its rows are in the index, so that any SQLite reads it; views of branches read the log through
/// a virtual table (``BranchModule``).
public struct IndexSchema: Sendable {
    /// Increases with every change of a table or a view: indexes of another version are rebuilt.
    public static let version: Int32 = 2
    /// `PRAGMA application_id`: "TTIX".
    public static let applicationID: Int32 = 0x5454_4958

    /// The log that the index is of, as ``IndexKey`` names it: views give it to the virtual tables.
    let key: String
    /// Whether accesses are rows of the index.
    let hasAccessRows: Bool

    init(key: String, hasAccessRows: Bool) {
        self.key = key
        self.hasAccessRows = hasAccessRows
    }

    /// The statements that create everything but the indexes.
    var statements: [String] { tables + views.map(\.sql) }

    /// The statements that create a stage's indexes: those of events and calls before their rows, others after them.
    func indexes(of stage: BuildStage) -> [String] {
        switch stage {
        case .events:
            let access =
                hasAccessRows
                ? ["CREATE INDEX _access_brctr ON _access(brctr)", "CREATE INDEX _access_kind ON _access(kind, brctr)"]
                : []
            return ["CREATE INDEX _event_brctr ON _event(brctr)", "CREATE INDEX _event_kind ON _event(kind, brctr)"]
                + access
        case .edges:
            return [#"CREATE INDEX _edge_from ON _edge("from")"#, #"CREATE INDEX _edge_to ON _edge("to")"#]
        case .places: return []
        case .calls:
            return [
                "CREATE INDEX _call_function ON _call(function)", "CREATE INDEX _call_begin ON _call(begin_brctr)",
                "CREATE INDEX _call_parent ON _call(parent)",
            ]
        case .console: return []
        }
    }

    private var tables: [String] {
        let events = hasAccessRows ? ["_event", "_note", "_access"] : ["_event", "_note"]
        return [
            "CREATE TABLE _meta(key TEXT PRIMARY KEY, value) WITHOUT ROWID",
            "CREATE TABLE _run(name TEXT PRIMARY KEY, value) WITHOUT ROWID",
            "CREATE TABLE _stat(id INTEGER PRIMARY KEY, stage TEXT, name TEXT, severity TEXT, source TEXT, "
                + "count INT, text TEXT)",
            "CREATE TABLE _kind(id INTEGER PRIMARY KEY, name TEXT UNIQUE)",
            "CREATE TABLE _label(id INTEGER PRIMARY KEY, name TEXT)",
            "CREATE TABLE _chunk(id INTEGER PRIMARY KEY, stream TEXT, vcpu INT, epoch INT, cell INT, part INT, "
                + "records INT, elided INT, offset INT, stored_bytes INT, raw_bytes INT, brctr_first INT, "
                + "brctr_last INT, icount_first INT, icount_last INT)",
            "CREATE TABLE _file(id INTEGER PRIMARY KEY, name TEXT UNIQUE)",
            "CREATE TABLE _function(id INTEGER PRIMARY KEY, name TEXT, module TEXT, address ADDRESS INT, "
                + "UNIQUE(name, module, address))",
            // The primary key is the address, which makes it a rowid.
            "CREATE TABLE _place(address INTEGER PRIMARY KEY, function INT, offset INT, file INT, line INT, "
                + "label TEXT)",
            #"CREATE TABLE _edge(id INTEGER PRIMARY KEY, vcpu INT, "from" ADDRESS INT, "to" ADDRESS INT, label INT, "#
                + "count INT, first_brctr INT, last_brctr INT, blocks BLOB)",
            "CREATE TABLE _call(id INTEGER PRIMARY KEY, vcpu INT, stack INT, depth INT, parent INT, kind INT, "
                + "call_site ADDRESS INT, target ADDRESS INT, function ADDRESS INT, begin_brctr INT, end_brctr INT, "
                + "begin_icount INT, end_icount INT, self_instructions INT, total_instructions INT, "
                + "self_branches INT, total_branches INT, interruptions INT, interruption_instructions INT, ending INT)",
            "CREATE TABLE _console(line INTEGER PRIMARY KEY, text TEXT, brctr INT, icount INT)",
            "CREATE TABLE _log(part INTEGER PRIMARY KEY, bytes BLOB)",
        ]
            + events.map { name in
                "CREATE TABLE \(name)(seq INTEGER PRIMARY KEY, \(EventColumns.definition))"
            }
    }

    /// All views.
    public var views: [ViewDefinition] { runViews + eventViews + kindViews + branchViews + callViews }

    /// The names of a table's columns are SQL's own words in two places: those are quoted everywhere.
    static func quoted(_ name: String) -> String { keywords.contains(name) ? "\"\(name)\"" : name }

    private static let keywords: Set<String> = ["from", "to", "end", "begin", "key", "index"]

    /// A text as a literal.
    static func literal(_ text: String) -> String {
        "'" + text.split(separator: "'", omittingEmptySubsequences: false).joined(separator: "''") + "'"
    }
}
