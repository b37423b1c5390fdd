// SPDX-License-Identifier: GPL-2.0-or-later

import CallTree
import Formatting
import LogFormat

/// The data-quality problems that the building of an index looks for. Each has a row in the view `stats`, with a count of
/// 0 where it did not occur.
struct Problem: Hashable {
    var name: String
    var severity: Notice.Severity
    var stage: BuildStage

    private init(_ name: String, _ severity: Notice.Severity, _ stage: BuildStage) {
        self.name = name
        self.severity = severity
        self.stage = stage
    }

    static let damage = Problem("log_damage", .error, .events)
    static let unclosed = Problem("log_unclosed", .warning, .events)
    static let beingWritten = Problem("log_being_written", .note, .events)
    static let lost = Problem("records_lost_by_recorder", .warning, .events)
    static let elided = Problem("branches_left_out_by_recorder", .note, .events)
    static let gap = Problem("gap", .note, .events)
    static let unreadableEvents = Problem("event_chunk_unreadable", .error, .events)
    static let unknownKind = Problem("event_kind_unknown", .warning, .events)
    static let unusualStream = Problem("event_in_unusual_stream", .note, .events)
    static let unreadableBranches = Problem("branch_chunk_unreadable", .error, .edges)
    static let edgesLeftOut = Problem("branches_without_edge", .warning, .edges)
    static let unreadableCalls = Problem("branch_chunk_unreadable", .error, .calls)
    static let callsLeftOut = Problem("calls_left_out", .warning, .calls)
    static let consoleMissing = Problem("console_files_missing", .note, .console)
    static let consoleMismatch = Problem("console_bytes_differ", .warning, .console)
    static let replayDamage = Problem("replay_bin_damage", .error, .console)
    static let replayLeftover = Problem("replay_bin_event_without_transition", .warning, .console)

    /// The open calls had to be found again.
    static func resynchronisation(_ reason: Resynchronisation) -> Problem {
        Problem("calls_\(reason.name.split(separator: "-").joined(separator: "_"))", .note, .calls)
    }

    static let all: [Problem] =
        [
            damage, unclosed, beingWritten, lost, elided, gap, unreadableEvents, unknownKind, unusualStream,
            unreadableBranches, edgesLeftOut, unreadableCalls, callsLeftOut, consoleMissing, consoleMismatch,
            replayDamage, replayLeftover,
        ] + Resynchronisation.allCases.map(resynchronisation)
}

/// The problems that a stage found so far.
struct ProblemCounts {
    private struct Place: Hashable {
        var problem: Problem
        var source: String
    }

    private let stage: BuildStage
    private var counts: [Place: UInt64] = [:]
    private var texts: [Place: String] = [:]
    /// The number of places that a problem is listed with; further ones are only counted, because each damaged part has
    /// its own offset.
    private static let placeLimit = 1000

    init(_ stage: BuildStage) { self.stage = stage }

    mutating func add(_ problem: Problem, source: String, count: UInt64 = 1, text: String? = nil) {
        guard count > 0 else { return }
        var place = Place(problem: problem, source: source)
        if counts[place] == nil, counts.count >= ProblemCounts.placeLimit { place.source = "…" }
        counts[place, default: 0] &+= count
        if texts[place] == nil { texts[place] = text }
    }

    mutating func add(_ problem: Problem, _ damage: [Damage]) {
        for part in damage {
            if part.what == .elided {
                add(.elided, source: part.file, count: part.lostRecords ?? 0)
            } else {
                add(problem, source: part.file, text: part.description)
            }
        }
    }

    /// Writes the rows of the stage in place of its earlier ones.
    func write(to database: Database) throws(SQLError) {
        try database.execute("DELETE FROM _stat WHERE stage = '\(stage.rawValue)'")
        let insert = try database.prepare(
            "INSERT INTO _stat(stage, name, severity, source, count, text) VALUES (?, ?, ?, ?, ?, ?)")
        func put(_ problem: Problem, _ source: String?, _ count: UInt64, _ text: String?) throws(SQLError) {
            insert.bind(1, stage.rawValue)
            insert.bind(2, problem.name)
            insert.bind(3, "\(problem.severity)")
            insert.bind(4, source)
            insert.bind(5, Int64(clamping: count))
            insert.bind(6, text)
            try insert.run()
        }
        for problem in Problem.all where problem.stage == stage {
            let found = counts.filter { $0.key.problem == problem }.sorted { $0.key.source < $1.key.source }
            if found.isEmpty { try put(problem, nil, 0, nil) }
            for (place, count) in found { try put(problem, place.source, count, texts[place]) }
        }
    }
}
