// SPDX-License-Identifier: GPL-2.0-or-later

import Formatting
import Foundation
import LogFormat
import Synchronization
import TestSupport
import Testing

@testable import TraceIndex

/// How indexes are made, found, kept and replaced.
@Suite struct LifecycleTests {
    private func files(_ test: QueryCase) throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: test.directory.path).sorted()
    }

    private func identity(_ path: String) throws -> UInt64 {
        let attributes = try FileManager.default.attributesOfItem(atPath: path)
        return (attributes[.systemFileNumber] as? NSNumber)?.uint64Value ?? 0
    }

    @Test func anIndexIsMadeOnceAndHasOnlyRequestedStages() throws {
        let test = try QueryCase(Logs.small)
        _ = try test.rows("SELECT * FROM event")
        let first = try identity(test.index)
        #expect(try LogIndex.existing(test.log)?.stages == [.events])
        _ = try test.rows("SELECT * FROM interrupt")
        #expect(try identity(test.index) == first)
        _ = try test.rows("SELECT * FROM edge")
        #expect(try LogIndex.existing(test.log)?.stages == [.events, .edges, .places])
        _ = try test.rows("SELECT * FROM function")
        #expect(try LogIndex.existing(test.log)?.stages == [.events, .edges, .places, .calls])
        #expect(try files(test) == ["ttd.log", "ttd.log.ttidx"])
    }

    @Test func branchesNeedNoStage() throws {
        let test = try QueryCase(Logs.small)
        #expect(try test.rows("SELECT count(*) FROM branch") == "46")
        #expect(try LogIndex.existing(test.log)?.stages == [.events])
    }

    @Test func aStaleIndexIsReplaced() throws {
        let test = try QueryCase(Logs.small)
        _ = try test.rows("SELECT * FROM event")
        try assemble(Logs.everyKind, to: test.directory.file("ttd.log"))
        let log = try LogFile(path: test.directory.path)
        #expect(try LogIndex.existing(log) == nil)
        let session = try QuerySession([.init(name: "main", log: log, options: .init())])
        #expect(try session.csv("SELECT count(*) FROM event WHERE kind = 'state'") == "3")
    }

    @Test func appendedRecordsMakeAnIndexStale() throws {
        let test = try QueryCase(Logs.small)
        #expect(try test.rows("SELECT count(*) FROM annotation") == "1")
        let writer = try LogWriter(appendingTo: test.directory.path)
        writer.meta(.annotation, text: "another")
        try writer.close()
        let session = try QuerySession([
            .init(name: "main", log: LogFile(path: test.directory.path), options: .init())
        ])
        #expect(try session.csv("SELECT count(*) FROM annotation") == "2")
    }

    @Test func aDamagedIndexIsReplaced() throws {
        let test = try QueryCase(Logs.small)
        _ = try test.rows("SELECT * FROM event")
        let handle = try #require(FileHandle(forUpdatingAtPath: test.index))
        try handle.seek(toOffset: 110)
        try handle.write(contentsOf: Data(repeating: 0xff, count: 5000))
        try handle.close()
        #expect(try test.rows("SELECT count(*) FROM event") == "2")
    }

    @Test func aForeignFileIsLeftUnchanged() throws {
        let test = try QueryCase(Logs.small)
        try Data("my notes".utf8).write(to: URL(fileURLWithPath: test.index))
        let notices = Mutex<[String]>([])
        var options = LogIndex.Options()
        options.notices = { notice in notices.withLock { $0.append(notice.text) } }
        #expect(try test.rows("SELECT count(*) FROM event", options) == "2")
        #expect(try String(contentsOfFile: test.index, encoding: .utf8) == "my notes")
        #expect(notices.withLock { $0.contains { $0.contains("left unchanged") } })
        options.output = test.index
        #expect(throws: IndexError.self) { try test.rows("SELECT 1", options) }
    }

    @Test func whatAKilledBuilderLeftIsRemoved() throws {
        let test = try QueryCase(Logs.small)
        let leftover = test.index + ".1.2.part"
        let others = [test.index + ".part", test.index + ".x.y.part", test.directory.file("a.1.2.part")]
        for path in [leftover] + others { try Data("x".utf8).write(to: URL(fileURLWithPath: path)) }
        _ = try test.rows("SELECT * FROM event")
        #expect(!FileManager.default.fileExists(atPath: leftover))
        for path in others { #expect(FileManager.default.fileExists(atPath: path)) }
    }

    @Test func aFailedBuildLeavesNothing() throws {
        struct Failure: Error {}
        let test = try QueryCase(Logs.small)
        var options = LogIndex.Options()
        options.symbols = "a"
        options.symbolizer = { _ in throw Failure() }
        #expect(throws: Failure.self) { try test.rows("SELECT 1", options) }
        #expect(try files(test) == ["ttd.log"])
    }

    @Test func buildersAtOnceDoNoHarm() async throws {
        let test = try QueryCase(Logs.small)
        let path = test.directory.path
        try await withThrowingTaskGroup(of: String.self) { group in
            for _ in 0..<8 {
                group.addTask {
                    let log = try LogFile(path: path)
                    let session = try QuerySession([.init(name: "main", log: log, options: .init())])
                    return try session.csv("SELECT count(*) FROM edge") + session.csv("SELECT count(*) FROM call")
                }
            }
            for try await rows in group { #expect(rows == "73") }
        }
        #expect(try files(test) == ["ttd.log", "ttd.log.ttidx"])
    }

    @Test func aSelfContainedIndexNeedsNoLog() throws {
        let test = try QueryCase(Logs.small)
        var options = LogIndex.Options()
        options.isSelfContained = true
        options.output = test.directory.file("mailed.ttidx")
        _ = try LogIndex.prepare(test.log, stages: [.events], options: options)
        try FileManager.default.removeItem(atPath: test.directory.file("ttd.log"))
        let log = try #require(try LogCopy.log(in: test.directory.file("mailed.ttidx")))
        let session = try QuerySession([.init(name: "main", log: log, options: options)])
        #expect(try session.csv("SELECT count(*), max(brctr) FROM branch") == "46,45")
    }

    @Test func severalRunsStandSideBySide() throws {
        let (first, second) = (try QueryCase(Logs.small), try QueryCase(Logs.everyKind))
        let session = try QuerySession([
            .init(name: "orig", log: first.log, options: .init()),
            .init(name: "replay", log: second.log, options: .init()),
        ])
        #expect(
            try session.csv("SELECT (SELECT count(*) FROM orig.branch), (SELECT count(*) FROM replay.branch)") == "46,1"
        )
        #expect(
            try session.csv(#"SELECT "from" FROM orig.edge EXCEPT SELECT "from" FROM replay.edge ORDER BY 1 LIMIT 1"#)
                == "0xffffffff81000010")
    }

    @Test func damageIsCountedAndEndsAQueryOfBranches() throws {
        let test = try QueryCase(Logs.small)
        let chunk = try #require(test.log.chunks.first { $0.stream == .branch })
        let handle = try #require(FileHandle(forUpdatingAtPath: test.log.path))
        try handle.seek(toOffset: chunk.offset + 192)
        try handle.write(contentsOf: Data([0xff, 0xfe]))
        try handle.close()
        let session = try QuerySession([
            .init(name: "main", log: LogFile(path: test.directory.path), options: .init())
        ])
        let error = #expect(throws: SQLError.self) { try session.csv("SELECT count(*) FROM branch") }
        #expect(error?.primaryCode == 11)
        #expect(error?.message.contains("offset \(chunk.offset)") == true)
        #expect(try session.csv("SELECT sum(count) > 0 FROM edge") == "1")
        #expect(
            try session.csv("SELECT count FROM stats WHERE name = 'branch_chunk_unreadable' AND stage = 'edges'") == "1"
        )
    }
}
