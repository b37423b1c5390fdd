// SPDX-License-Identifier: GPL-2.0-or-later

import CSQLite
import Formatting
import LogFormat
import Synchronization

/// A connection to the indexes of one run, or of several under names of their own, for queries.
///
///     let session = try QuerySession([.init(name: "main", log: log, options: options)])
///     try session.run("SELECT kind, count(*) FROM event GROUP BY kind") { row in print(row.text(0) ?? "") }
///
/// Before a query runs, the stages that it reads and an index lacks are built. Queries only read (``Authorizer``). One
/// thread uses a session; any thread may call ``interrupt()``.
public final class QuerySession {
    /// A run that queries can read.
    public struct Run {
        /// The schema's name in SQL: `main` if there is one run, else `orig`, `replay`, ….
        public var name: String
        /// The run's log.
        public var log: LogFile
        /// How the log's index is made.
        public var options: LogIndex.Options

        /// Makes a run from its log.
        public init(name: String, log: LogFile, options: LogIndex.Options) {
            self.name = name
            self.log = log
            self.options = options
        }
    }

    private let runs: [Run]
    private var indexes: [LogIndex]
    private var database: Database
    private let authorizer = Authorizer()
    private let interruption = Interruption()
    /// Compares the runs, until a query has asked for it.
    private let divergence: (() throws -> [DivergenceRow])?
    /// What the comparison found; nil before.
    private var divergenceRows: [DivergenceRow]?

    /// Prepares the indexes with the stage of events and opens them.
    ///
    /// - Parameter divergence: With the runs `orig` and `replay`: compares them, for the view `divergence`. Called once, when
    ///   a query reads that view.
    public init(_ runs: [Run], divergence: (() throws -> [DivergenceRow])? = nil) throws {
        self.runs = runs
        self.divergence = divergence
        indexes = try runs.map { try LogIndex.prepare($0.log, stages: [.events], options: $0.options) }
        database = try QuerySession.connect(runs, indexes)
        interruption.set(database)
        authorizer.install(on: database)
    }

    deinit { interruption.set(nil) }

    /// The names of the runs in SQL.
    public var runNames: [String] { runs.map(\.name) }

    /// The views that queries can read.
    public var views: [ViewDefinition] {
        IndexSchema(key: indexes.first?.key ?? "", hasAccessRows: false).views
            + (QuerySession.isPair(runs) ? ComparisonSchema.views : [])
    }

    /// Whether there is an original and a replay.
    private static func isPair(_ runs: [Run]) -> Bool { runs.map(\.name) == ["orig", "replay"] }

    /// The names of the SQL functions beside SQLite's own.
    public var functionNames: [String] { QueryFunctions.names }

    /// Whether a text ends with a complete statement.
    public static func isComplete(_ sql: String) -> Bool { sqlite3_complete(sql) != 0 }

    /// Runs all statements of a text, one after the other.
    ///
    /// - Parameter begin: Called before a statement's first row, with its columns.
    /// - Parameter row: Called with each row, which is valid during the call.
    public func run(
        _ sql: String, begin: ([ResultColumn]) throws -> Void = { _ in }, row: (ResultRow) throws -> Void
    ) throws {
        var rest = Substring(sql)
        while true {
            let text = String(rest)
            guard let (statement, length) = try prepare(text) else { return }
            rest = Substring(decoding: rest.utf8.dropFirst(length), as: UTF8.self)
            guard let statement else { continue }
            let columns = (0..<statement.columnCount).map { ResultColumn(statement, $0) }
            if !columns.isEmpty { try begin(columns) }
            let current = ResultRow(statement)
            while try statement.step() { try row(current) }
        }
    }

    /// Ends the query that runs; it then throws an ``SQLError`` with the code `SQLITE_INTERRUPT`. May be called from any
    /// thread.
    public func interrupt() { interruption.interrupt() }

    /// Interrupts the queries of this session from another thread.
    public var interruptHandle: Interruption { interruption }

    // MARK: Statements

    /// Compiles the first statement of a text, after the stages that it reads have been built. Returns nil at the end
    /// of the text, and no statement for a comment.
    private func prepare(_ sql: String) throws -> (statement: Statement?, length: Int)? {
        guard !sql.utf8.isEmpty else { return nil }
        authorizer.isOpen = false
        authorizer.begin()
        defer { authorizer.isOpen = true }
        let first = try Statement.first(of: sql, database)
        if authorizer.names.contains(DivergenceTable.name) { try compare() }
        let stages = stages(for: authorizer.names)
        let isThere = indexes.allSatisfy { LogIndex.closure(of: stages).isSubset(of: $0.stages) }
        if isThere { return first }
        try reopen(with: stages)
        authorizer.isOpen = false
        return try Statement.first(of: sql, database)
    }

    /// Compares the runs, and fills the table of their divergence.
    private func compare() throws {
        guard divergenceRows == nil, let divergence else { return }
        let rows = try divergence()
        divergenceRows = rows
        try fill(database, rows)
    }

    private func fill(_ database: Database, _ rows: [DivergenceRow]) throws {
        authorizer.isOpen = true
        defer { authorizer.isOpen = false }
        try database.writing { () throws(SQLError) in try DivergenceTable.fill(database, rows) }
    }

    /// The stages that the tables and views of a statement need.
    private func stages(for names: Set<String>) -> Set<BuildStage> {
        views.filter { names.contains($0.name) }.reduce(into: [.events]) { $0.formUnion($1.stages) }
    }

    private func reopen(with stages: Set<BuildStage>) throws {
        indexes = try zip(runs, indexes).map { run, index in
            // The options describe the existing index.
            var options = run.options
            options.output = index.path
            options.isSelfContained = false
            return try LogIndex.prepare(run.log, stages: stages.union(index.stages), options: options)
        }
        let other = try QuerySession.connect(runs, indexes)
        interruption.set(other)
        database = other
        authorizer.isOpen = true
        if let divergenceRows { try fill(database, divergenceRows) }
        authorizer.install(on: database)
    }

    /// Opens the indexes. A single one is `main`; several are attached to a connection without a file. A file that
    /// replaced an index meanwhile is refused.
    private static func connect(_ runs: [Run], _ indexes: [LogIndex]) throws -> Database {
        let isAlone = runs.count == 1 && runs[0].name == "main"
        let registry = LogRegistry()
        let database = try Database(path: isAlone ? indexes[0].path : ":memory:", isAlone ? .read : .memory)
        for (run, index) in zip(runs, indexes) {
            if !isAlone {
                let attach = try database.prepare("ATTACH ? AS \(run.name)")
                attach.bind(1, Database.readOnlyURI(index.path))
                try attach.run()
            }
            guard try ExistingIndex.isOurSchema(database, schema: run.name, key: index.key) else {
                throw IndexError(file: index.path, kind: .notOurs)
            }
            registry.add(run.log, key: index.key, schema: run.name)
        }
        if isPair(runs) {
            try database.writing { () throws(SQLError) in
                for statement in ComparisonSchema.statements { try database.execute(statement) }
            }
        }
        guard BranchModule.register(database.handle, registry) == SQLITE_OK,
            AccessModule.register(database.handle, registry) == SQLITE_OK,
            QueryFunctions.register(database.handle, registry) == SQLITE_OK
        else { throw database.error() }
        return database
    }
}

/// Ends the running query of a session, from any thread.
public final class Interruption: Sendable {
    /// The connection's address; sqlite3_interrupt may be called while it is open, which the lock ensures.
    private let connection = Mutex<UInt>(0)

    func set(_ database: Database?) {
        connection.withLock { $0 = database.map { UInt(bitPattern: $0.handle) } ?? 0 }
    }

    /// Ends the running query, if any.
    public func interrupt() {
        connection.withLock { address in
            if let handle = OpaquePointer(bitPattern: address) { sqlite3_interrupt(handle) }
        }
    }
}
