// SPDX-License-Identifier: GPL-2.0-or-later

import CSQLite

/// Restricts a statement of the user's to reading, and records the tables and views that it reads.
///
/// SQLite asks while it compiles a statement. Writing, attaching, loading and changing settings are refused, whatever
/// else keeps them from happening.
final class Authorizer {
    /// Tables and views that were read since ``begin()``, in lower case.
    private(set) var names: Set<String> = []
    /// Whether everything is allowed: while the program prepares the connection itself.
    var isOpen = true

    /// Forgets the records.
    func begin() { names = [] }

    /// Makes a connection ask.
    func install(on database: Database) {
        sqlite3_set_authorizer(
            database.handle,
            { context, action, first, second, _, accessor in
                guard let context else { return SQLITE_DENY }
                let authorizer = Unmanaged<Authorizer>.fromOpaque(context).takeUnretainedValue()
                return authorizer.decide(action, first, second, accessor)
            }, Unmanaged.passUnretained(self).toOpaque())
    }

    private func decide(
        _ action: Int32, _ first: UnsafePointer<CChar>?, _ second: UnsafePointer<CChar>?,
        _ accessor: UnsafePointer<CChar>?
    ) -> Int32 {
        if isOpen { return SQLITE_OK }
        switch action {
        case SQLITE_SELECT, SQLITE_RECURSIVE: return SQLITE_OK
        case SQLITE_READ:
            note(first)
            note(accessor)
            return SQLITE_OK
        case SQLITE_FUNCTION: return isForbidden(function: second) ? SQLITE_DENY : SQLITE_OK
        case SQLITE_PRAGMA: return isHarmless(pragma: first, hasValue: second != nil) ? SQLITE_OK : SQLITE_DENY
        default: return SQLITE_DENY
        }
    }

    private func note(_ name: UnsafePointer<CChar>?) {
        if let name { names.insert(String(cString: name).lowercased()) }
    }

    private func isForbidden(function: UnsafePointer<CChar>?) -> Bool {
        guard let function else { return true }
        return ["load_extension", "fts3_tokenizer"].contains(String(cString: function).lowercased())
    }

    /// Questions about the schema; they change nothing. Their values are names of tables.
    private func isHarmless(pragma: UnsafePointer<CChar>?, hasValue: Bool) -> Bool {
        guard let pragma else { return false }
        return [
            "table_info", "table_xinfo", "table_list", "index_list", "index_info", "index_xinfo", "function_list",
            "database_list", "module_list", "pragma_list", "collation_list",
        ].contains(String(cString: pragma).lowercased())
    }
}
