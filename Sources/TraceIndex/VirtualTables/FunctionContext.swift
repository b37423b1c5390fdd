// SPDX-License-Identifier: GPL-2.0-or-later

import CSQLite
import Formatting
import LogFormat

/// The indexes and the logs that the SQL functions of one connection read.
final class FunctionContext {
    private let connection: OpaquePointer
    private let registry: LogRegistry
    private var finders: [String: PositionFinder] = [:]

    init(_ connection: OpaquePointer, _ registry: LogRegistry) {
        self.connection = connection
        self.registry = registry
    }

    /// The logs to ask, by the name of a run.
    private func sources(_ run: String?) throws -> [LogRegistry.Source] {
        let sources = try registry.sources(connection)
        guard let run else { return sources }
        let named = sources.filter { $0.schema == run }
        guard !named.isEmpty else { throw VirtualTableError("no run has the name \(run)") }
        return named
    }

    /// A text about an address, from the first index that has the address.
    func placeText(
        _ address: Int64, _ run: String?, _ expression: String, _ table: String, join: String? = nil
    ) throws -> String? {
        for source in try sources(run) {
            let sql =
                "SELECT \(expression) FROM \(source.quotedSchema).\(table)"
                + (join.map { " JOIN \(source.quotedSchema).\($0)" } ?? "") + " WHERE address = ?1"
            let found: String? =
                try query(sql, [address], nil) { statement in
                    sqlite3_column_text(statement, 0).map { String(cString: $0) }
                } ?? nil
            if let found { return found }
        }
        return nil
    }

    /// The branch counter of vCPU 0 at an instruction count.
    func clock(icount: UInt64, run: String?) throws -> UInt64? {
        for source in try sources(run) {
            let finder = finders[source.schema] ?? PositionFinder(source.log, vcpu: 0)
            finders[source.schema] = finder
            if let clock = try finder.clock(icount: icount) { return clock }
        }
        return nil
    }

    /// The first branch to a place.
    func clock(place: String, run: String?) throws -> Int64? {
        let (name, first) = FunctionContext.split(place)
        for source in try sources(run) {
            for address in try addresses(name, source) {
                let sql = "SELECT min(brctr) FROM \(BranchModule.name)(?3) WHERE \"to\" = ?1 AND brctr >= ?2"
                let clock: Int64? =
                    try query(sql, [address, first], source.key) { statement in
                        sqlite3_column_type(statement, 0) == SQLITE_NULL ? nil : sqlite3_column_int64(statement, 0)
                    } ?? nil
                if let clock { return clock }
            }
        }
        return nil
    }

    /// `NAME[:BRCTR]`; the text after the last colon is a counter if it is a number.
    private static func split(_ place: String) -> (name: Substring, brctr: Int64) {
        guard let colon = place.lastIndex(of: ":"), let number = number(place[place.index(after: colon)...]) else {
            return (Substring(place), 0)
        }
        return (place[..<colon], number)
    }

    private static func number(_ text: Substring) -> Int64? {
        text.hasPrefix("0x") ? UInt64(text.dropFirst(2), radix: 16).map { Int64(bitPattern: $0) } : Int64(text)
    }

    /// The addresses that a name means.
    private func addresses(_ name: Substring, _ source: LogRegistry.Source) throws -> [Int64] {
        if name.hasPrefix("0x"), let address = FunctionContext.number(name) { return [address] }
        var function = name
        var offset: Int64 = 0
        if let plus = name.lastIndex(of: "+"), let number = FunctionContext.number(name[name.index(after: plus)...]) {
            (function, offset) = (name[..<plus], number)
        }
        var found: [Int64] = []
        let sql = "SELECT address FROM \(source.quotedSchema)._function WHERE name = ?3"
        _ = try query(sql, [], String(function)) { statement in
            repeat {
                found.append(sqlite3_column_int64(statement, 0) &+ offset)
            } while sqlite3_step(statement) == SQLITE_ROW
        }
        guard !found.isEmpty else { throw VirtualTableError("the index has no function \(function)") }
        return found
    }

    /// Runs a query and hands over its first row; nil without a row.
    private func query<Result>(
        _ sql: String, _ numbers: [Int64], _ text: String?, _ body: (OpaquePointer) -> Result
    ) throws -> Result? {
        var prepared: OpaquePointer?
        guard sqlite3_prepare_v2(connection, sql, -1, &prepared, nil) == SQLITE_OK, let statement = prepared else {
            throw SQLError(connection)
        }
        defer { sqlite3_finalize(statement) }
        for (index, number) in numbers.enumerated() { sqlite3_bind_int64(statement, Int32(index + 1), number) }
        if let text { tt_bind_text(statement, 3, text, Int32(text.utf8.count)) }
        switch sqlite3_step(statement) {
        case SQLITE_ROW: return body(statement)
        case SQLITE_DONE: return nil
        default: throw SQLError(connection)
        }
    }
}
