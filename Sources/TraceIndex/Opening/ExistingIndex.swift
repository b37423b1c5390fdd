// SPDX-License-Identifier: GPL-2.0-or-later

import CSQLite
import Glibc

/// The state of the file at an index's path.
enum ExistingIndex {
    /// Nothing.
    case none
    /// The index of this log, with these stages.
    case current(CurrentIndex)
    /// An index of ours that is of another log, of another version, or damaged: it may be replaced.
    case stale
    /// A file that is no index of ours, or has another schema: it is left unchanged.
    case foreign

    /// Looks at a file without trusting anything in it.
    static func look(at path: String, key: String) -> ExistingIndex {
        var status = stat()
        guard lstat(path, &status) == 0 else { return .none }
        guard status.st_mode & S_IFMT == S_IFREG else { return .foreign }
        guard let header = FileHeader(path: path), header.isDatabase else { return .foreign }
        guard header.applicationID == IndexSchema.applicationID else { return .foreign }
        guard header.version == IndexSchema.version else { return .stale }
        do throws(SQLError) {
            let database = try Database(path: path, .read)
            guard try database.text("SELECT value FROM _meta WHERE key = 'key'") == key else { return .stale }
            guard try isOurSchema(database, key: key) else { return .foreign }
            return .current(try CurrentIndex(path: path, database))
        } catch {
            return .stale
        }
    }

    /// Whether every object of a database's schema is exactly one of ours: there is no trigger and no foreign view, and
    /// only indexes of stages that were not built are missing.
    ///
    /// - Parameter schema: The name of the database in its connection.
    static func isOurSchema(
        _ database: Database, schema name: String = "main", key: String
    ) throws(SQLError) -> Bool {
        var found: Set<String> = []
        let statement = try database.prepare("SELECT sql FROM \(name).sqlite_schema WHERE sql IS NOT NULL")
        while try statement.step() {
            guard let sql = statement.text(0), found.insert(sql).inserted else { return false }
            // A hostile file may have objects without end.
            if found.count > 1000 { return false }
        }
        let schema = IndexSchema(key: key, hasAccessRows: found.contains { $0.hasPrefix("CREATE TABLE _access(") })
        let expected = Set(schema.statements)
        let indexes = Set(BuildStage.allCases.flatMap { schema.indexes(of: $0) })
        return expected.isSubset(of: found) && found.subtracting(expected).isSubset(of: indexes.union(statistics))
    }

    /// Made by `PRAGMA optimize`.
    private static let statistics: Set<String> = [
        "CREATE TABLE sqlite_stat1(tbl,idx,stat)", "CREATE TABLE sqlite_stat4(tbl,idx,neq,nlt,ndlt,sample)",
    ]

    /// The first 100 bytes of a database, read without SQLite.
    private struct FileHeader {
        private let bytes: [UInt8]

        init?(path: String) {
            let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)
            guard descriptor >= 0 else { return nil }
            defer { close(descriptor) }
            var bytes = [UInt8](repeating: 0, count: 100)
            guard pread(descriptor, &bytes, 100, 0) == 100 else { return nil }
            self.bytes = bytes
        }

        var isDatabase: Bool { bytes.starts(with: Array("SQLite format 3\0".utf8)) }
        var version: Int32 { word(60) }
        var applicationID: Int32 { word(68) }

        private func word(_ offset: Int) -> Int32 {
            Int32(bitPattern: (0..<4).reduce(0) { $0 << 8 | UInt32(bytes[offset + $1]) })
        }
    }
}

/// An index that belongs to its log.
struct CurrentIndex {
    var path: String
    /// The stages that it has.
    var stages: Set<BuildStage>
    var hasAccessRows: Bool
    /// Whether the log is in it.
    var isSelfContained: Bool
    /// Identifies the symbol files of its names; empty without names.
    var symbols: String

    init(path: String, _ database: Database) throws(SQLError) {
        self.path = path
        stages = []
        symbols = try database.text("SELECT value FROM _meta WHERE key = 'symbols'") ?? ""
        hasAccessRows = try database.text("SELECT name FROM sqlite_schema WHERE name = '_access'") != nil
        isSelfContained = try database.integer("SELECT count(*) FROM _log LIMIT 1") != 0
        let statement = try database.prepare("SELECT key FROM _meta WHERE key LIKE 'stage.%'")
        while try statement.step() {
            if let stage = statement.text(0).flatMap({ BuildStage(rawValue: String($0.dropFirst(6))) }) {
                stages.insert(stage)
            }
        }
    }
}
