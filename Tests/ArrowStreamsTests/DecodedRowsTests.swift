// SPDX-License-Identifier: GPL-2.0-or-later

import LogFormat
import TestSupport
import Testing

@testable import ArrowStreams

/// Streams beside LogFormat's decoding: every value of every row of a recorded log, and of one with two vCPUs, two epochs and
/// fields that are absent.
@Suite("Rows of streams are those of the library's own decoding")
struct DecodedRowsTests {
    private let scratch: TemporaryDirectory
    private let logs: [OpenLog]

    init() throws {
        scratch = try TemporaryDirectory()
        try assemble(
            """
            options branch-cell-shift=4 event-cell-shift=4 event-max=8 access-max=8 vcpus=2
            let high = 0xffffffff81000000
            repeat 40 {
                vcpu 0
                branch high+0x20 -> high call! +7
                event interrupt ip=high info=32 value=0x9000
                access port-read ip=high+4 info=1 address=0x3f8 value=0x41 rcx=5 tsc=77
                branch high+8 -> high+0x24 ret +3
                event exception icount=none info=14 address=0xffff888000000000 payload=0102030405 private=ff
                vcpu 1
                branch 0x10 -> 0x4000 jcc
                access rdtsc ip=0x10 value=0xffffffffffffffff registers=0x8000000000000001
            }
            vcpu 0
            epoch 1000 5000
            branch high -> 0x1000 sysret
            annotation words
            """, to: scratch.file("log"))
        logs = try [packageRoot + "/Fixtures/tiny/recording.log", scratch.file("log")].map {
            OpenLog(try LogFile(path: $0))
        }
    }

    @Test("branches: all columns together, and each alone")
    func branches() throws {
        for log in logs {
            let columns = BranchColumn.allCases.map(\.rawValue)
            let expected = try ExpectedBranches(log.file)
            #expect(expected.rows.count > 100)
            for chosen in [columns] + columns.map({ [$0] }) {
                #expect(try mismatch(log, chosen, expected) == nil)
            }
        }
    }

    /// The first row of a stream of branches that differs from the decoded ones; nil if all are equal.
    private func mismatch(_ log: OpenLog, _ columns: [String], _ expected: ExpectedBranches) throws -> String? {
        var request = StreamRequest()
        request.columns = columns
        var count = 0
        var problem: String?
        let isWhole = ArrowReader(try BranchSource(log, request)).forEachBatch { batch in
            for row in 0..<batch.rows where problem == nil {
                guard count < expected.rows.count else {
                    problem = "more rows than branches"
                    return
                }
                let known = expected.rows[count]
                if !isEqual(batch, row, known, hasIcount: expected.hasIcount) { problem = "\(columns): \(known)" }
                count += 1
            }
        }
        return problem ?? (isWhole && count == expected.rows.count ? nil : "\(count) rows, then the stream ended")
    }

    private func isEqual(_ batch: ArrowBatch, _ row: Int, _ known: ExpectedBranches.Row, hasIcount: Bool) -> Bool {
        let branch = known.branch
        func word(_ name: String, _ value: UInt64?) -> Bool { batch[name].map { $0.word(row) == value } ?? true }
        return word("brctr", branch.clock) && word("icount", hasIcount ? branch.icount : nil)
            && word("from", branch.from) && word("to", branch.to)
            && (batch["vcpu"].map { $0.number(row) == Int32(known.vcpu) } ?? true)
            && (batch["epoch"].map { $0.number(row) == Int32(known.epoch) } ?? true)
            && (batch["kind"].map { $0.name(row) == branch.label.name } ?? true)
    }

    @Test("columns that a log stores are not copied")
    func zeroCopy() throws {
        for log in logs {
            var request = StreamRequest()
            request.from = 3
            request.columns = ["from", "to", "icount", "kind"]
            let batch = try #require(try BranchSource(log, request).next())
            let memory = try #require(batch.columns[0].owner as? BranchMemory)
            let decoded: [UnsafeRawPointer] = [
                UnsafeRawPointer(memory.batch.from + 3), UnsafeRawPointer(memory.batch.to + 3),
                UnsafeRawPointer(memory.batch.icount + 3), UnsafeRawPointer(memory.batch.label + 3),
            ]
            for (column, place) in zip(batch.columns, decoded) {
                #expect(column.buffers[1] == place && column.owner === memory)
            }
        }
    }

    @Test("the names of labels are distinct")
    func names() { #expect(Set(LabelNames.all).count == 256) }

    @Test("events, accesses and notes: all columns", arguments: [LogStream.event, .access, .meta])
    func events(stream: LogStream) throws {
        for log in logs {
            var expected: [Event] = []
            for vcpu in stream == .meta ? [noVCPU] : log.file.vcpus {
                var cursor = log.file.events([stream], vcpu: vcpu)
                while let event = cursor.next() { expected.append(event) }
                #expect(cursor.skipped.isEmpty)
            }
            var found = 0
            let isWhole = try ArrowReader(try EventSource(log, stream, StreamRequest())).forEachBatch { batch in
                for row in 0..<batch.rows {
                    try #require(found < expected.count)
                    expectRow(batch, row, expected[found])
                    found += 1
                }
            }
            #expect(isWhole && found == expected.count && found > 0)
        }
    }

    private func expectRow(_ batch: ArrowBatch, _ row: Int, _ event: Event) {
        func optional(_ bit: EventValidity, _ value: UInt64) -> UInt64? { event.validity.contains(bit) ? value : nil }
        let words: [(String, UInt64?)] = [
            ("brctr", event.clock), ("icount", optional(.icount, event.icount)), ("ip", optional(.ip, event.ip)),
            ("info", UInt64(event.info)), ("address", event.address), ("value", event.value(0)),
            ("rcx", optional(.rcx, event.aux)), ("registers", optional(.registers, event.aux)),
            ("ticket", event.ticket), ("tsc", optional(.tsc, event.tsc)), ("ordinal", event.ordinal),
        ]
        for (name, value) in words { #expect(batch[name]?.word(row) == value, "\(name) of \(event)") }
        #expect(batch["vcpu"]?.number(row) == (event.vcpu == noVCPU ? nil : Int32(event.vcpu)))
        #expect(batch["kind"]?.text(row) == event.kind.name)
        #expect(batch["details"]?.text(row) == event.details { _ in "" })
        #expect(batch["payload"]?.bytes(row) == event.payload)
    }
}

/// The branches of all vCPUs, one vCPU after the other, each chunk decoded whole.
private struct ExpectedBranches {
    struct Row {
        var branch: Branch
        var vcpu: UInt16
        var epoch: UInt32
    }

    let hasIcount: Bool
    private(set) var rows: [Row] = []

    init(_ log: LogFile) throws {
        hasIcount = log.header.features.contains(.icount)
        var batch = BranchBatch()
        for vcpu in log.vcpus {
            for chunk in log.chunks(.branch, vcpu: vcpu) {
                try log.decode(chunk, into: &batch)
                for index in 0..<batch.count {
                    rows.append(Row(branch: batch[index], vcpu: vcpu, epoch: chunk.epoch))
                }
            }
        }
    }
}
