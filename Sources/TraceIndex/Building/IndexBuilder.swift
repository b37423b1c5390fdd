// SPDX-License-Identifier: GPL-2.0-or-later

import CSQLite
import LogFormat
import Symbolize

/// Builds stages of an index into a temporary file, which then replaces the index.
struct IndexBuilder {
    let log: LogFile
    let key: String
    let options: LogIndex.Options

    /// - Parameters:
    ///   - stages: The stages in building order.
    ///   - existing: The index to extend: it is copied, and the stages are added.
    func build(_ stages: [BuildStage], on existing: CurrentIndex?, to target: String) throws {
        let file = try TemporaryFile(for: target)
        if let existing { try file.copy(of: existing.path) }
        try fill(file.path, stages, existing: existing, target: target)
        try file.finish()
    }

    private func fill(_ path: String, _ stages: [BuildStage], existing: CurrentIndex?, target: String) throws {
        let schema = IndexSchema(key: key, hasAccessRows: existing?.hasAccessRows ?? options.hasAccessRows)
        let symbolizer = try options.symbolizer(log)
        var events = EventStage(log, hasAccessRows: schema.hasAccessRows)
        if existing == nil {
            try create(schema, in: path, hasSymbols: symbolizer != nil)
            try events.load(into: path) { options.progress(.events, $0) }
        }
        // Another builder may have added a stage between the look at the index and its copy.
        let stages = try missing(stages, in: path)
        var calls = CallStage(log, symbolizer: symbolizer)
        if stages.contains(.calls) {
            try calls.load(into: path, target: target) { options.progress(.calls, $0) }
        }
        let database = try Database(path: path, .build)
        try database.execute("BEGIN")
        if options.isSelfContained, existing?.isSelfContained != true { try LogCopy.write(log, to: database) }
        for stage in stages {
            switch stage {
            case .events: try events.complete(database, symbolizer: symbolizer)
            case .edges:
                try EdgeStage(log, database).run { options.progress(.edges, $0) }
                for index in schema.indexes(of: .edges) { try database.execute(index) }
            case .places: try PlaceStage(database: database, symbolizer: symbolizer).run()
            case .calls: try calls.complete(database)
            case .console:
                var console = ConsoleStage(log, database)
                try console.run()
            }
            try database.execute("INSERT INTO _meta VALUES ('stage.\(stage.rawValue)', 1)")
        }
        try database.execute("COMMIT")
        try database.execute("PRAGMA analysis_limit=1000; ANALYZE; PRAGMA optimize")
    }

    /// The stages that a file lacks. The tables and indexes of those that are written without SQLite are there, empty.
    private func missing(_ stages: [BuildStage], in path: String) throws(SQLError) -> [BuildStage] {
        let database = try Database(path: path, .build)
        var missing: [BuildStage] = []
        for stage in stages {
            let count = try database.integer("SELECT count(*) FROM _meta WHERE key = 'stage.\(stage.rawValue)'")
            if count == 0 { missing.append(stage) }
        }
        return missing
    }

    /// Makes the tables, the views, and the indexes that are filled with their tables.
    private func create(_ schema: IndexSchema, in path: String, hasSymbols: Bool) throws {
        let database = try Database(path: path, .build)
        try database.execute(
            "PRAGMA application_id=\(IndexSchema.applicationID); PRAGMA user_version=\(IndexSchema.version)")
        try database.execute("BEGIN")
        for statement in schema.statements + schema.indexes(of: .events) + schema.indexes(of: .calls) {
            try database.execute(statement)
        }
        let insert = try database.prepare("INSERT INTO _meta VALUES (?, ?)")
        let facts = [
            ("key", key), ("log", IndexLocation.name(log.path)),
            ("symbols", hasSymbols ? options.symbols ?? "" : ""),
        ]
        for (key, value) in facts {
            insert.bind(1, key)
            insert.bind(2, value)
            try insert.run()
        }
        try database.execute("COMMIT")
    }
}
