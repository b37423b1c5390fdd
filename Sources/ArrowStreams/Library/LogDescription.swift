// SPDX-License-Identifier: GPL-2.0-or-later

import LogFormat

// What a log holds, as JSON, from its headers and the meta stream.
extension OpenLog {
    var description: JSONValue {
        let header = file.header
        return .object([
            ("path", .text(file.path)), ("format", .text(file.format.name)),
            ("size", .counter(file.fileSize)), ("completeness", .text(file.completeness.name)),
            ("run_kind", .text("\(header.runKind)")), ("recorder", .text(header.recorderName)),
            ("recording", header.uuid.isKnown ? .text(header.uuid.description) : .null),
            ("machine", .text("\(header.machine)")), ("mode", .text("\(header.mode)")),
            ("features", .list(header.features.names.map { .text($0) })),
            ("digest", .address(file.contentDigest)), ("lost_records", .counter(file.lostRecords)),
            ("damage", .list(file.structuralDamage.prefix(16).map { .text($0.description) })),
            ("damage_count", .number(file.structuralDamage.count)),
            ("vcpus", .list(file.vcpus.map(vcpu))), ("run_end", .optional(file.runEnd?.reason.name)),
        ])
    }

    private func vcpu(_ number: UInt16) -> JSONValue {
        func count(_ stream: LogStream) -> JSONValue {
            .counter(file.chunks(stream, vcpu: number).reduce(UInt64(0)) { $0 &+ UInt64($1.count) })
        }
        let compared = [LogStream.branch, .event, .access].flatMap { file.chunks($0, vcpu: number) }
        let end = file.comparableEnd(vcpu: number)
        return .object([
            ("vcpu", .number(Int(number))), ("branches", count(.branch)), ("events", count(.event)),
            ("accesses", count(.access)), ("first_brctr", .counter(compared.map(\.clockFirst).min())),
            ("last_brctr", .counter(compared.map(\.clockLast).max())), ("comparable_end", .counter(end?.clock)),
        ])
    }
}

extension LogFile.Completeness {
    fileprivate var name: String {
        switch self {
        case .closed: "closed"
        case .beingWritten: "being-written"
        case .unclosed(let openFileFound): openFileFound ? "unclosed" : "unclosed-without-open-file"
        }
    }
}
