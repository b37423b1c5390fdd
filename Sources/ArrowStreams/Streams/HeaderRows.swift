// SPDX-License-Identifier: GPL-2.0-or-later

import Formatting
import LogFormat

/// A chunk's header as a row: what many runs are compared by, without reading a body.
struct ChunkRow {
    private let chunk: Chunk
    private let damage: DamageKind?

    static func source(_ log: OpenLog, _ request: StreamRequest) throws(RequestError) -> BatchSource {
        var end = EndReport(log, skipsDamage: request.skipsDamage)
        return ListSource(
            try request.choose(columns) { $0.definition.name },
            {
                let streams: [LogStream] = request.vcpu == nil ? [.branch, .event, .access, .meta] : LogStream.compared
                let vcpus = Set(request.vcpus(of: log.file) + [noVCPU])
                let chunks = log.file.chunks.filter {
                    vcpus.contains($0.vcpu) && streams.contains($0.stream) && $0.clockLast >= request.from
                        && ($0.clockFirst < request.to || request.to == .max)
                }
                let damage = KnownDamage(log)
                return chunks.map { ChunkRow(chunk: $0, damage: damage.of($0)) }
            }, atEnd: { try end.check() })
    }

    static var columns: [TableColumn<ChunkRow>] {
        let damage = ColumnDefinition(
            "damage", .text,
            "what is known to be damaged: on opening in the header, or in the body by a stream that passed over it; null otherwise"
        )
        return (places + contents).map { column in
            TableColumn(column.definition) { column.append($0.chunk, &$1) }
        } + [TableColumn(damage) { $1.append($0.damage?.description) }]
    }

    private static var places: [TableColumn<Chunk>] {
        [
            .init(.init("stream", .text, "branch, event, access or meta")) { $1.append($0.stream.name) },
            .init(.init("vcpu", .int32, "the vCPU; null in the meta stream")) {
                if $0.vcpu == noVCPU { $1.appendNull() } else { $1.append(Int64($0.vcpu)) }
            },
            .init(.init("epoch", .int32, "number of the stretch without a gap, from 0")) { $1.append(Int64($0.epoch)) },
            .init(.init("cell", "number of the cell on the stream's clock grid")) { $1.append($0.cell) },
            .init(.init("part", "number of the chunk in its cell, from 0")) { $1.append(Int64($0.part)) },
            .init(.init("rows", unit: "records", "records in the chunk")) { $1.append(Int64($0.count)) },
            .init(.init("first_ordinal", unit: "records", "records of its stream and vCPU before")) {
                $1.append($0.firstOrdinal)
            },
            .init(.init("brctr_first", unit: "transitions", "clock of the first record")) { $1.append($0.clockFirst) },
            .init(.init("brctr_last", unit: "transitions", "clock of the last record")) { $1.append($0.clockLast) },
            .init(.init("icount_first", unit: "instructions", "the first instruction count; 0 without counts")) {
                $1.append($0.icountFirst)
            },
            .init(.init("icount_last", unit: "instructions", "the last instruction count; 0 without counts")) {
                $1.append($0.icountLast)
            },
        ]
    }

    private static var contents: [TableColumn<Chunk>] {
        [
            .init(.init("path", "digest of from and to; 0 in other streams")) { $1.append($0.digests.path) },
            .init(.init("label", "digest of the labels; 0 in other streams")) { $1.append($0.digests.label) },
            .init(.init("position", "digest of instruction counts, or of kinds and positions")) {
                $1.append($0.digests.position)
            },
            .init(.init("payload", "digest of the contents of events")) { $1.append($0.digests.payload) },
            .init(.init("chain", "hash over path and position of this chunk and all before it in the epoch")) {
                $1.append($0.chain)
            },
            .init(.init("is_elided", .flag, "whether the recorder left the body out")) { $1.append($0.isElided) },
            .init(.init("is_partial", .flag, "whether the cell was cut by the beginning or the end of an epoch")) {
                $1.append(!$0.flags.isDisjoint(with: [.partialHead, .partialTail]))
            },
            .init(.init("stored_bytes", unit: "bytes", "size of the body in the file")) {
                $1.append(Int64($0.storedSize))
            },
            .init(.init("raw_bytes", unit: "bytes", "size of the body before compression")) {
                $1.append(Int64($0.rawSize))
            },
            .init(.init("offset", unit: "bytes", "where the header is in the file")) { $1.append($0.offset) },
        ]
    }
}

/// Finds the damage of chunks: what opening the log found, and what streams have passed over so far. It reads no body.
private struct KnownDamage {
    /// By where it begins.
    private let parts: [Damage]

    init(_ log: OpenLog) {
        let known = (log.file.structuralDamage + log.skipped).filter { $0.file == log.file.path }
        parts = known.sorted { $0.offset < $1.offset }
    }

    /// The damage at the chunk's header, or that of its body.
    func of(_ chunk: Chunk) -> DamageKind? {
        let index = parts.partitioningIndex { $0.offset > chunk.offset }
        guard index > 0, !chunk.isOpenSlot else { return nil }
        let part = parts[index - 1]
        let isHere = part.offset == chunk.offset || part.offset &+ part.length > chunk.offset
        return isHere ? part.what : nil
    }
}

extension LogStream {
    fileprivate static let compared: [LogStream] = [.branch, .event, .access]
}

/// A damaged part of the log.
struct DamageRow {
    private let damage: Damage
    private let source: String

    /// The damage that opening the log found, that of the meta stream, and that which streams have passed over so far.
    static func source(_ log: OpenLog, _ request: StreamRequest) throws(RequestError) -> BatchSource {
        ListSource(try request.choose(columns) { $0.definition.name }) {
            let structure = log.file.structuralDamage.map { DamageRow(damage: $0, source: "structure") }
            let skipped = log.skipped
            let offsets = Set(skipped.map(\.offset))
            let meta = log.file.metaDamage.filter { !offsets.contains($0.offset) }
            return structure + (meta + skipped).map { DamageRow(damage: $0, source: "body") }
        }
    }

    static var columns: [TableColumn<DamageRow>] {
        [
            .init(.init("source", .text, "structure: found on opening; body: found by a stream that passed over it")) {
                $1.append($0.source)
            },
            .init(.init("file", .text, "the damaged file")) { $1.append($0.damage.file) },
            .init(.init("offset", unit: "bytes", "where the part begins")) { $1.append($0.damage.offset) },
            .init(.init("length", unit: "bytes", "its size; null where that is unknown")) {
                $1.append($0.damage.length == 0 ? nil : $0.damage.length)
            },
            .init(.init("what", .text, "what was expected and what was found")) { $1.append("\($0.damage.what)") },
            .init(.init("lost_records", unit: "records", "records lost by it; null where that is unknown")) {
                $1.append($0.damage.lostRecords)
            },
        ]
    }
}

/// A key and a value that describe the run; the last value of each key.
struct AttributeRow {
    private let key: String
    private let value: String

    static func source(_ log: OpenLog, _ request: StreamRequest) throws(RequestError) -> BatchSource {
        var isReported = request.skipsDamage
        var end = EndReport(log, skipsDamage: request.skipsDamage)
        return ListSource(
            try request.choose(columns) { $0.definition.name },
            {
                log.file.attributes.sorted { $0.key < $1.key }.map { AttributeRow(key: $0.key, value: $0.value) }
            },
            atEnd: {
                if request.skipsDamage { log.skip(log.file.metaDamage) }
                if !isReported, let damage = log.file.metaDamage.first {
                    isReported = true
                    throw LogError(file: damage.file, offset: damage.offset, kind: .damaged(damage.what))
                }
                try end.check()
            })
    }

    static var columns: [TableColumn<AttributeRow>] {
        [
            .init(.init("key", .text, "the attribute's name")) { $1.append($0.key) },
            .init(.init("value", .text, "its value")) { $1.append($0.value) },
        ]
    }
}
