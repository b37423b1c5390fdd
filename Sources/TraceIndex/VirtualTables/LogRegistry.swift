// SPDX-License-Identifier: GPL-2.0-or-later

import CSQLite
import LogFormat

/// The logs that the virtual tables of one connection can read, by the keys that views use for them.
///
/// The program that owns the connection adds the logs. The loadable extension finds them: the log of an index is beside
/// the index (``findLogs``).
final class LogRegistry {
    /// A log, and the index that it belongs to.
    final class Source {
        let log: LogFile
        let key: String
        /// The name of the index in the connection.
        let schema: String
        /// The key in SQL's form.
        var quotedSchema: String { LogRegistry.quoted(schema) }
        /// The branch chunks of all vCPUs, in the order of blocks of edges.
        let branchChunks: [Chunk]
        /// Branches before each of these chunks.
        let branchOrdinals: [Int]
        let accessChunks: [Chunk]
        /// Accesses before each of these chunks.
        let accessOrdinals: [Int]
        /// Whether branches come in the order of brctr: one vCPU, no gap back.
        let isOrdered: Bool

        init(log: LogFile, key: String, schema: String) {
            self.log = log
            self.key = key
            self.schema = schema
            branchChunks = log.chunks.filter { $0.stream == .branch && $0.count > 0 }
            accessChunks = log.chunks.filter { $0.stream == .access && $0.count > 0 }
            branchOrdinals = Source.ordinals(branchChunks)
            accessOrdinals = Source.ordinals(accessChunks)
            isOrdered = Source.isOrdered(branchChunks) && Source.isOrdered(accessChunks)
        }

        /// The records before each chunk.
        private static func ordinals(_ chunks: [Chunk]) -> [Int] {
            var ordinals: [Int] = []
            _ = chunks.reduce(0) { before, chunk in
                ordinals.append(before)
                return before &+ chunk.count
            }
            return ordinals
        }

        private static func isOrdered(_ chunks: [Chunk]) -> Bool {
            zip(chunks, chunks.dropFirst()).allSatisfy { $0.vcpu == $1.vcpu && $0.clockLast <= $1.clockFirst }
        }
    }

    private var sources: [String: Source] = [:]
    /// Finds logs that were not added, if a key is not known.
    var findLogs: (LogRegistry, OpaquePointer) throws -> Void = { _, _ in }

    func add(_ log: LogFile, key: String, schema: String) { sources[key] = Source(log: log, key: key, schema: schema) }

    /// Whether the log of a database of the connection is known.
    func hasSchema(_ name: String) -> Bool { sources.values.contains { $0.schema == name } }

    /// Looks for logs of databases that were opened since. Their errors are thrown when they are read.
    func refresh(_ connection: OpaquePointer) { try? findLogs(self, connection) }

    /// A name in SQL's form.
    static func quoted(_ name: String) -> String {
        "\"" + name.split(separator: "\"", omittingEmptySubsequences: false).joined(separator: "\"\"") + "\""
    }

    /// All logs, in the order of their names.
    func sources(_ connection: OpaquePointer) throws -> [Source] {
        if sources.isEmpty { try findLogs(self, connection) }
        return sources.values.sorted { $0.schema < $1.schema }
    }

    /// Whether rows of all logs come in the order of brctr.
    var isOrdered: Bool { !sources.isEmpty && sources.values.allSatisfy(\.isOrdered) }

    /// Branches of the largest log, for the planner.
    var branchCount: Int { sources.values.map { $0.branchChunks.reduce(0) { $0 + $1.count } }.max() ?? 1 << 24 }

    /// Accesses of the largest log, for the planner.
    var accessCount: Int { sources.values.map { $0.accessChunks.reduce(0) { $0 + $1.count } }.max() ?? 1 << 20 }

    /// The log with a key; without a key the only one.
    func source(_ key: String?, _ connection: OpaquePointer) throws -> Source {
        if let found = known(key) { return found }
        try findLogs(self, connection)
        if let found = known(key) { return found }
        throw VirtualTableError(
            key == nil
                ? "there are several logs, or none: read the view of one of them"
                : "the log of this index is not beside it, or it has changed since the index was made")
    }

    private func known(_ key: String?) -> Source? {
        guard let key else { return sources.count == 1 ? sources.values.first : nil }
        return sources[key]
    }
}

/// Why a virtual table has no rows; a sentence for SQLite's message.
struct VirtualTableError: Error, CustomStringConvertible {
    var description: String

    init(_ description: String) { self.description = description }
}
