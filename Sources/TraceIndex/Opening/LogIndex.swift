// SPDX-License-Identifier: GPL-2.0-or-later

import Formatting
import Glibc
import LogFormat
import Symbolize

/// The index of one log: an SQLite file that belongs to it, with the stages that were requested.
///
///     let log = try LogFile(path: "run")
///     let index = try LogIndex.prepare(log, stages: [.events], options: LogIndex.Options())
///     let session = try QuerySession([.init(name: "main", log: log, options: .init())])
///
/// An index can be rebuilt from its log at any time. A stale one is never used; a file that is no index of ours is
/// never overwritten. Two processes may build at the same time: each writes a file of its own and renames it when the
/// file is complete.
public struct LogIndex: Sendable {
    /// How an index is made.
    public struct Options {
        /// Whether accesses become rows. Otherwise they stay in the log and are read through a virtual table.
        public var hasAccessRows = false
        /// Whether the log is copied into the index.
        public var isSelfContained = false
        /// The path of the index; nil for a file beside the log or, if that directory cannot be written, in the cache
        /// directory.
        public var output: String?
        /// Identifies the symbol files; it changes when they do. nil accepts the names of an existing index.
        public var symbols: String?
        /// Makes the symbolizer that names addresses. Called only if something is built.
        public var symbolizer: (LogFile) throws -> Symbolizer? = { _ in nil }
        /// Receives assumptions and actions.
        public var notices: NoticeHandler = { _ in }
        /// Receives the stage that is being built, and the share of it that is done, 0 to 1.
        public var progress: (BuildStage, Double) -> Void = { _, _ in }

        /// An index beside the log, without names and without access rows.
        public init() {}
    }

    /// The path of the index.
    public let path: String
    /// The stages that are built.
    public let stages: Set<BuildStage>
    let key: String

    /// Finds the index of a log, and builds the stages that are missing.
    ///
    /// - Throws: ``IndexError`` if the index cannot be written anywhere, ``SQLError`` if SQLite fails (a full disk), and
    ///   the errors of `options.symbolizer`.
    public static func prepare(_ log: LogFile, stages: Set<BuildStage>, options: Options) throws -> LogIndex {
        let key = IndexKey.text(log)
        var wanted = closure(of: stages)
        let existing = try find(log, key: key, options)
        if let existing, !existing.symbols.isEmpty, options.symbols == nil, !existing.stages.contains(.places),
            wanted.remove(.places) != nil
        {
            // Half of the names would look like all of them.
            options.notices(
                .warning("\(existing.path): has the names of events; name the symbol files again for those of branches")
            )
        }
        if let existing, wanted.isSubset(of: existing.stages) {
            return LogIndex(path: existing.path, stages: existing.stages, key: key)
        }
        let missing = wanted.subtracting(existing?.stages ?? []).sorted()
        let target = try target(log, key: key, options, existing: existing)
        let builder = IndexBuilder(log: log, key: key, options: options)
        options.notices(.note(announcement(missing, target)))
        try builder.build(missing, on: existing, to: target)
        return LogIndex(path: target, stages: wanted.union(existing?.stages ?? []), key: key)
    }

    /// The index that a log has, if it is not stale; nil without one. Nothing is built.
    public static func existing(_ log: LogFile, options: Options = Options()) throws -> LogIndex? {
        let key = IndexKey.text(log)
        return try find(log, key: key, options).map { LogIndex(path: $0.path, stages: $0.stages, key: key) }
    }

    /// The stages with all that they need.
    static func closure(of stages: Set<BuildStage>) -> Set<BuildStage> {
        stages.reduce(into: [.events]) { $0.formUnion([$1] + $1.needs) }
    }

    private static func announcement(_ stages: [BuildStage], _ path: String) -> String {
        "building the index \(path): \(stages.map(\.rawValue).joined(separator: ", "))"
    }

    // MARK: Where

    private static func candidates(_ log: LogFile, key: String, _ options: Options) -> [String] {
        if let output = options.output { return [output] }
        return [IndexLocation.beside(log.path)] + (IndexLocation.cached(key: key).map { [$0] } ?? [])
    }

    /// The first index of this log that fits the options.
    private static func find(_ log: LogFile, key: String, _ options: Options) throws -> CurrentIndex? {
        for path in candidates(log, key: key, options) {
            guard case .current(let index) = ExistingIndex.look(at: path, key: key) else { continue }
            if options.hasAccessRows && !index.hasAccessRows { continue }
            if options.isSelfContained && !index.isSelfContained { continue }
            if let symbols = options.symbols, symbols != index.symbols { continue }
            return index
        }
        return nil
    }

    /// Where an index can be written.
    private static func target(
        _ log: LogFile, key: String, _ options: Options, existing: CurrentIndex?
    ) throws -> String {
        if let existing, IndexLocation.isWritable(existing.path) { return existing.path }
        for (number, path) in candidates(log, key: key, options).enumerated() {
            if case .foreign = ExistingIndex.look(at: path, key: key) {
                guard options.output == nil else { throw IndexError(file: path, kind: .notOurs) }
                options.notices(.warning("\(path): is no index that this program made; it is left unchanged"))
                continue
            }
            let isPossible = number == 0 ? IndexLocation.isWritable(path) : IndexLocation.makeDirectory(of: path)
            guard isPossible else {
                guard options.output == nil else {
                    throw IndexError(file: path, kind: .cannotCreate(errno: errno))
                }
                continue
            }
            if number > 0 {
                options.notices(.note("the folder of \(log.path) cannot be written; the index is \(path)"))
            }
            return path
        }
        throw IndexError(file: log.path, kind: .nowhereToWrite)
    }
}
