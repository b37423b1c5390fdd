// SPDX-License-Identifier: GPL-2.0-or-later

import CTTLog

/// The open file, decoded as docs/log-format.md specifies.
struct OpenImage {
    struct Slot {
        var descriptor: ttlog_slot_descriptor
        var header: ttlog_slot_header
        var units: [UInt8]

        var generation: UInt64 { header.commit >> 32 }
        var unitCount: Int { Int(header.commit & 0xffff_ffff) }

        var branches: [BranchRecord] {
            (0..<unitCount).map { index in
                let raw: ttlog_raw_branch = load(units, 24 * index)
                return BranchRecord(
                    from: raw.from, to: raw.to, icount: raw.icount_label >> 8,
                    label: UInt8(truncatingIfNeeded: raw.icount_label))
            }
        }

        var events: [EventRecord] {
            var records: [EventRecord] = []
            var place = 0
            while place < unitCount * 64 {
                let raw: ttlog_raw_event = load(units, place)
                let payload = place + 64
                let hidden = payload + (Int(raw.payload_length) + 63) / 64 * 64
                records.append(
                    EventRecord(
                        kind: raw.kind, validity: raw.validity, info: raw.info, clock: raw.clock, icount: raw.icount,
                        ip: raw.ip, aux: raw.aux, payload: Array(units[payload..<(payload + Int(raw.payload_length))]),
                        tsc: raw.tsc, ticket: raw.ticket,
                        privatePayload: Array(units[hidden..<(hidden + Int(raw.private_length))])))
                place = hidden + (raw.private_length > 0 ? 64 : 0)
            }
            return records
        }
    }

    var header: ttlog_open_header
    var slots: [Slot]

    init(path: String) throws {
        let bytes = try readFile(path)
        header = load(bytes, 0)
        slots = (0..<Int(header.slot_count)).map { index in
            let descriptor: ttlog_slot_descriptor = load(bytes, 4096 + 64 * index)
            let place = Int(descriptor.offset)
            let size = Int(descriptor.capacity) * Int(descriptor.unit_size)
            return Slot(
                descriptor: descriptor, header: load(bytes, place),
                units: Array(bytes[(place + 128)..<(place + 128 + size)]))
        }
    }

    /// The slots of a stream that are in use, first chunk first.
    func used(_ stream: ttlog_stream, vcpu: UInt16 = 0) -> [Slot] {
        slots.filter {
            UInt32($0.descriptor.stream) == stream.rawValue && $0.descriptor.vcpu == vcpu && $0.unitCount > 0
        }.sorted {
            ($0.header.epoch, $0.header.cell, $0.header.part) < ($1.header.epoch, $1.header.cell, $1.header.part)
        }
    }
}

/// All branches of vCPU 0 in an unclosed log: those of its chunks, then those of slots that no chunk repeats.
func allBranches(_ image: LogImage, _ open: OpenImage?) -> [BranchRecord] {
    let chunks = image.chunks(TTLOG_STREAM_BRANCH)
    let slots = open?.used(TTLOG_STREAM_BRANCH) ?? []
    return chunks.flatMap { $0.branches() ?? [] }
        + slots.filter { !isIn(chunks, $0) }.flatMap(\.branches)
}

func allEvents(_ image: LogImage, _ open: OpenImage?) -> [EventRecord] {
    let chunks = image.chunks(TTLOG_STREAM_EVENT)
    let slots = open?.used(TTLOG_STREAM_EVENT) ?? []
    return chunks.flatMap { $0.events() ?? [] } + slots.filter { !isIn(chunks, $0) }.flatMap(\.events)
}

private func isIn(_ chunks: [ChunkImage], _ slot: OpenImage.Slot) -> Bool {
    chunks.contains {
        $0.header.epoch == slot.header.epoch && $0.header.cell == slot.header.cell
            && $0.header.part == slot.header.part
    }
}
