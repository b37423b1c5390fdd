// SPDX-License-Identifier: GPL-2.0-or-later

import LogFormat
import Testing
import TraceIndex

@Suite struct EventTests {
    @Test func eventsHaveTheirPositionAndKind() throws {
        try QueryCase.expect(
            Logs.small, "SELECT seq, vcpu, brctr, icount, ip, kind, info FROM event",
            """
            1,0,41,288,0xffffffff81000108,interrupt,32
            2,0,43,299,0xffffffff8100010c,exception,14
            """)
    }

    @Test func kindsHaveViewsWithTheirFields() throws {
        let small = try QueryCase(Logs.small)
        #expect(try small.rows("SELECT vector, handler FROM interrupt") == "32,0xffffffff81a00000")
        #expect(
            try small.rows("SELECT brctr, fault_address, present, write, user, fetch FROM page_fault")
                == "43,0x7fffdeadbeef,0,1,1,0")
        #expect(
            try small.rows("SELECT direction, port, size, value FROM io") == "read,0x3f8,1,0x41\nwrite,0xf4,4,0x0")
        #expect(try small.rows("SELECT value FROM rdtsc") == "0x75bcd15")
        #expect(try small.rows("SELECT key, text FROM attribute") == "guest.kernel,sample.elf")
        #expect(try small.rows("SELECT reason, text FROM run_end") == "guest-shutdown,power off")
    }

    @Test func detailsAreThoseOfTheReader() throws {
        let test = try QueryCase(Logs.everyKind)
        for (stream, view) in [(LogStream.event, "event"), (.access, "access"), (.meta, "note")] {
            var events = test.log.events([stream], vcpu: stream == .meta ? noVCPU : 0)
            var expected: [String] = []
            while let event = events.next() { expected.append(event.details { _ in "" }) }
            var found: [String] = []
            try test.session().run("SELECT details FROM \(view) ORDER BY seq") { found.append($0.text(0) ?? "NULL") }
            #expect(found == expected)
            #expect(!found.isEmpty)
        }
    }

    @Test func everyViewCanBeRead() throws {
        let test = try QueryCase(Logs.everyKind)
        let session = try test.session()
        for view in session.views {
            var columns: [String] = []
            try session.run(
                "SELECT * FROM \(view.name) LIMIT 5", begin: { columns = $0.map(\.name) }, row: { _ in })
            #expect(columns == view.columns.map(\.name), "\(view.name)")
        }
    }

    @Test func everyFieldOfEveryKindIsAColumn() throws {
        let views = Dictionary(uniqueKeysWithValues: SchemaText.views.map { ($0.name, $0) })
        for definition in EventDefinition.all {
            let name = definition.name.split(separator: "-").joined(separator: "_")
            let columns = try #require(views[name]).columns.map(\.name)
            for field in definition.fields { #expect(columns.contains(field.name), "\(name).\(field.name)") }
        }
    }

    @Test func accessesAreTheSameAsRowsAndFromTheLog() throws {
        let test = try QueryCase(Logs.everyKind)
        let query = "SELECT * FROM access ORDER BY seq"
        let fromLog = try test.rows(query)
        var options = LogIndex.Options()
        options.hasAccessRows = true
        #expect(try test.rows(query, options) == fromLog)
        #expect(fromLog.split(separator: "\n").count == 11)
    }

    @Test func unknownKindsKeepTheirNumber() throws {
        let test = try QueryCase(Logs.everyKind)
        #expect(
            try test.rows("SELECT kind, count(*) FROM event WHERE kind LIKE 'kind-%' GROUP BY kind")
                == "kind-77,2\nkind-78,1")
        #expect(
            try test.rows("SELECT source, count FROM stats WHERE name = 'event_kind_unknown' ORDER BY 1")
                == "kind-77,2\nkind-78,1")
    }
}
