// SPDX-License-Identifier: GPL-2.0-or-later

import Testing
import TraceIndex

/// Two runs: what only one of them did.
@Suite struct ComparisonTests {
    private static let original = """
        options features=branches,icount,labels,causes
        branch 0x1010 -> 0x2000 call! +4
        branch 0x2010 -> 0x1015 ret +3
        event exception ip=0x1018 info=14 address=0xdead value=2
        branch 0x1018 -> 0x3000 none
        branch 0x3010 -> 0x1018 iret +4
        branch 0x1020 -> 0x1000 jcc! +4
        """
    private static let replay = """
        options features=branches,icount,labels,causes
        branch 0x1010 -> 0x2000 call! +4
        branch 0x2010 -> 0x1015 ret +3
        branch 0x1020 -> 0x1000 jcc! +4
        branch 0x1020 -> 0x1000 jcc! +4
        branch 0x1010 -> 0x2000 call! +4
        branch 0x2010 -> 0x4000 jmp! +3
        """

    private func rows(_ sql: String, divergence: (() throws -> [DivergenceRow])? = nil) throws -> String {
        let (a, b) = (try QueryCase(Self.original), try QueryCase(Self.replay))
        let session = try QuerySession(
            [.init(name: "orig", log: a.log, options: .init()), .init(name: "replay", log: b.log, options: .init())],
            divergence: divergence)
        return try session.csv(sql)
    }

    @Test func edges() throws {
        let found = try rows(
            #"SELECT "from", "to", orig_count, replay_count, replay_first FROM edge_difference ORDER BY 1, 2"#
        )
        #expect(
            found == """
                0x1010,0x2000,1,2,0
                0x1018,0x3000,1,0,
                0x1020,0x1000,1,2,2
                0x2010,0x4000,0,1,5
                0x3010,0x1018,1,0,
                """)
    }

    @Test func functionsAndExceptions() throws {
        #expect(try rows("SELECT name, orig_count, replay_count FROM function_difference") == "0x2000,1,2\n0x3000,1,0")
        #expect(
            try rows("SELECT ip, vector, orig_count, replay_count FROM exception_difference") == "0x1018,14,1,0")
        #expect(try rows("SELECT count(*) FROM line_difference") == "0")
    }

    /// The caller compares, once, and only for a query that asks.
    @Test func theDivergenceIsTheCallers() throws {
        var calls = 0
        let row = DivergenceRow(
            vcpu: 0, verdict: "missing-event", differenceClass: "event", isFirst: true,
            original: .init(brctr: 2, icount: 8, ip: 0x1018), replay: .init(brctr: 2), details: "kind")
        let (a, b) = (try QueryCase(Self.original), try QueryCase(Self.replay))
        let session = try QuerySession(
            [.init(name: "orig", log: a.log, options: .init()), .init(name: "replay", log: b.log, options: .init())],
            divergence: {
                calls += 1
                return [row]
            })
        #expect(try session.csv("SELECT count(*) FROM orig.event") == "1")
        #expect(calls == 0)
        for _ in 0..<2 {
            #expect(
                try session.csv("SELECT * FROM divergence") == "0,missing-event,event,1,2,8,0x1018,2,,,kind")
            // Another stage is built: the connection changes.
            #expect(try session.csv("SELECT count(*) FROM edge_difference") == "5")
        }
        #expect(calls == 1)
    }

    @Test func nothingCanBeWritten() throws {
        #expect(throws: SQLError.self) { _ = try rows("DELETE FROM _divergence") }
        #expect(throws: SQLError.self) { _ = try rows("INSERT INTO temp._divergence(vcpu) VALUES (1)") }
        #expect(throws: SQLError.self) { _ = try rows("CREATE TEMP TABLE x(y)") }
    }

    @Test func oneRunHasNoSuchView() throws {
        #expect(throws: SQLError.self) { _ = try QueryCase(Self.original).rows("SELECT * FROM divergence") }
    }
}
