// SPDX-License-Identifier: GPL-2.0-or-later

import LogFormat

/// The rows of the view `run`.
struct RunFacts {
    private enum Value {
        case text(String)
        case number(UInt64)
    }

    private var facts: [(name: String, value: Value)] = []

    init(_ log: LogFile) {
        let header = log.header
        facts = [
            ("log", .text(IndexLocation.name(log.path))), ("log_bytes", .number(log.fileSize)),
            ("chunks", .number(UInt64(log.chunks.count))), ("format_version", .number(UInt64(header.version))),
            ("run_kind", .text("\(header.runKind)")), ("recorder", .text("\(header.recorder)")),
            ("recorder_name", .text(header.recorderName)),
            ("recorder_generation", .number(UInt64(header.recorderGeneration))),
            ("machine", .number(UInt64(header.machine.rawValue))), ("clock", .text("\(header.clock)")),
            ("mode", .text("\(header.mode)")), ("features", .text(header.features.names.joined(separator: ","))),
            ("created_unix_ns", .number(header.createdUnixNanoseconds)), ("vcpus", .number(UInt64(log.vcpus.count))),
            ("lost_records", .number(log.lostRecords)),
        ]
        if header.uuid.isKnown { facts.append(("recording_uuid", .text(header.uuid.description))) }
        addCounts(log)
        if let end = log.runEnd {
            facts += [("run_end", .text(end.reason.name)), ("run_end_text", .text(end.text))]
        }
        for vcpu in log.vcpus {
            guard let end = log.comparableEnd(vcpu: vcpu) else { continue }
            facts.append(("comparable_end_brctr.\(vcpu)", .number(end.clock)))
            if let icount = end.icount { facts.append(("comparable_end_icount.\(vcpu)", .number(icount))) }
        }
        for (key, value) in log.attributes { facts.append(("attribute.\(key)", .text(value))) }
    }

    private mutating func addCounts(_ log: LogFile) {
        var records: [LogStream: UInt64] = [.branch: 0, .event: 0, .access: 0]
        var instructions: UInt64 = 0
        for chunk in log.chunks { records[chunk.stream, default: 0] &+= UInt64(truncatingIfNeeded: chunk.count) }
        for vcpu in log.vcpus where log.header.features.contains(.icount) {
            let chunks = [LogStream.branch, .event, .access].flatMap { log.chunks($0, vcpu: vcpu) }
            let counts = chunks.flatMap { [$0.icountFirst, $0.icountLast] }.filter { $0 != 0 }
            if let low = counts.min(), let high = counts.max() { instructions &+= high - low }
        }
        facts += [
            ("branches", .number(records[.branch, default: 0])), ("events", .number(records[.event, default: 0])),
            ("accesses", .number(records[.access, default: 0])), ("instructions", .number(instructions)),
        ]
    }

    func write(to database: Database) throws(SQLError) {
        let insert = try database.prepare("INSERT OR REPLACE INTO _run VALUES (?, ?)")
        for fact in facts {
            insert.bind(1, fact.name)
            switch fact.value {
            case .text(let text): insert.bind(2, text)
            case .number(let number): insert.bind(2, bits: number)
            }
            try insert.run()
        }
    }
}
