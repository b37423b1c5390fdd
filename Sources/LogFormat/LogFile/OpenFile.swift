// SPDX-License-Identifier: GPL-2.0-or-later

import CTTLog

/// The content of an open file (`<log>.open`): the chunks that had not been sealed when the log's writer died, or that
/// a running writer is filling.
struct OpenFile {
    /// A chunk from a slot; its raw body is `bodies[chunk.slot]`.
    private(set) var chunks: [Chunk] = []
    private(set) var bodies: [[UInt8]] = []
    private(set) var damage: [Damage] = []
    /// Records that the writer could not write, all streams.
    private(set) var lostRecords: UInt64 = 0
    /// The errno that ended the logging; 0 when none did.
    private(set) var error: Int32 = 0

    private let file: InputFile
    private let withIcount: Bool

    private static let headerSize = MemoryLayout<ttlog_open_header>.size
    private static let descriptorSize = MemoryLayout<ttlog_slot_descriptor>.size
    private static let slotHeaderSize = MemoryLayout<ttlog_slot_header>.size
    /// Two slots for each stream of each vCPU, and two for meta.
    private static let slotLimit = Int(TTLOG_VCPU_MAX) * 6 + 2

    /// Reads the open file of the log with that nonce; nil if it belongs to another log.
    static func read(_ file: InputFile, nonce: UInt64, withIcount: Bool) throws(LogError) -> OpenFile? {
        var result = OpenFile(file: file, withIcount: withIcount)
        return try result.run(nonce: nonce) ? result : nil
    }

    private init(file: InputFile, withIcount: Bool) {
        self.file = file
        self.withIcount = withIcount
    }

    private struct Slot {
        var stream: LogStream
        var vcpu: UInt16
        var offset: UInt64
        var capacity: Int
        var unitSize: Int

        var size: UInt64 { UInt64(OpenFile.slotHeaderSize + capacity * unitSize) }
    }

    private mutating func run(nonce: UInt64) throws(LogError) -> Bool {
        var buffer = ReusedBuffer()
        let bytes = buffer.room(for: OpenFile.headerSize)
        let present = try file.read(bytes, at: 0)
        guard present == bytes.count else {
            report(
                0,
                .truncated(
                    structure: .openHeader, expected: UInt64(bytes.count), present: UInt64(present)))
            return true
        }
        let raw = RawFields(UnsafeRawBufferPointer(bytes))
        let expected = checksum(UnsafeRawBufferPointer(bytes).prefixed(64), fieldAt: 12)
        guard raw.uint64(0) == TTLOG_OPEN_MAGIC, raw.uint32(12) == expected else {
            report(0, .checksum(structure: .openHeader, expected: expected, found: raw.uint32(12)))
            return true
        }
        guard raw.uint64(16) == nonce else { return false }
        guard raw.uint32(8) == TTLOG_VERSION else {
            report(0, .field(structure: .openHeader, name: "version", found: UInt64(raw.uint32(8))))
            return true
        }
        lostRecords = (0..<8).reduce(0) { $0 &+ raw.uint64(96 + $1 * 8) }
        error = Int32(truncatingIfNeeded: raw.uint64(160))
        let slotCount = Int(raw.uint32(24))
        guard slotCount <= OpenFile.slotLimit else {
            report(0, .field(structure: .openHeader, name: "slot_count", found: UInt64(slotCount)))
            return true
        }
        try readSlots(count: slotCount)
        return true
    }

    private mutating func readSlots(count: Int) throws(LogError) {
        var buffer = ReusedBuffer()
        let bytes = buffer.room(for: count * OpenFile.descriptorSize)
        let present = try file.read(bytes, at: UInt64(OpenFile.headerSize))
        let whole = present / OpenFile.descriptorSize
        if whole < count {
            report(
                UInt64(OpenFile.headerSize),
                .truncated(structure: .slotDescriptor, expected: UInt64(bytes.count), present: UInt64(present)))
        }
        var slots: [Slot] = []
        for index in 0..<whole {
            let start = index * OpenFile.descriptorSize
            let descriptor = UnsafeRawBufferPointer(
                rebasing: UnsafeRawBufferPointer(bytes)[start..<(start + OpenFile.descriptorSize)])
            if let slot = descriptorFields(descriptor, at: UInt64(OpenFile.headerSize + start)) { slots.append(slot) }
        }
        // Slots that overlap would make a small file give back much more than it holds.
        var end = UInt64(OpenFile.headerSize + count * OpenFile.descriptorSize)
        var streams: [ChunkIndex.RunKey: [Slot]] = [:]
        for slot in slots.sorted(by: { $0.offset < $1.offset }) {
            guard slot.offset >= end else {
                report(slot.offset, .field(structure: .slotDescriptor, name: "offset", found: slot.offset))
                continue
            }
            end = slot.offset &+ slot.size
            streams[ChunkIndex.RunKey(stream: slot.stream, vcpu: slot.vcpu), default: []].append(slot)
        }
        for slots in streams.values.sorted(by: { $0[0].offset < $1[0].offset }) {
            try readSlots(ofOneStream: slots)
        }
    }

    /// Reads the slots of a stream that are in use. A running writer continues meanwhile; no gaps may result from it.
    private mutating func readSlots(ofOneStream slots: [Slot]) throws(LogError) {
        var latest: (slot: Slot, seen: SlotHeader)?
        for slot in slots {
            guard let seen = try header(of: slot), seen.units > 0 else { continue }
            if latest.map({ seen.firstOrdinal >= $0.seen.firstOrdinal }) ?? true { latest = (slot, seen) }
        }
        guard let latest else { return }
        // A slot that was begun before the latest one has been full since the latest one was begun. It stays as it is
        // or is sealed; a sealed one is in the log, which is read afterwards. So the others are read once more: one of
        // them may have been free at the first read, and full when the latest one was read. Slots that were begun since
        // are left out.
        var wanted = [latest]
        for slot in slots where slot.offset != latest.slot.offset {
            guard let seen = try header(of: slot), seen.units > 0, seen.firstOrdinal <= latest.seen.firstOrdinal else {
                continue
            }
            wanted.append((slot, seen))
        }
        for (slot, seen) in wanted.sorted(by: { $0.seen.firstOrdinal > $1.seen.firstOrdinal }) {
            try readSlot(slot, generation: seen.generation)
        }
    }

    private mutating func descriptorFields(_ bytes: UnsafeRawBufferPointer, at offset: UInt64) -> Slot? {
        let raw = RawFields(bytes)
        let expected = checksum(bytes, fieldAt: 20)
        guard raw.uint32(20) == expected else {
            report(offset, .checksum(structure: .slotDescriptor, expected: expected, found: raw.uint32(20)))
            return nil
        }
        func refuse(_ name: String, _ found: UInt64) -> Slot? {
            report(offset, .field(structure: .slotDescriptor, name: name, found: found))
            return nil
        }
        guard let stream = LogStream(rawValue: raw.uint8(16)), stream != .directory else {
            return refuse("stream", UInt64(raw.uint8(16)))
        }
        let isBranch = stream == .branch
        let unitSize = isBranch ? MemoryLayout<ttlog_raw_branch>.size : MemoryLayout<ttlog_raw_event>.size
        guard Int(raw.uint32(12)) == unitSize else { return refuse("unit_size", UInt64(raw.uint32(12))) }
        let isMeta = stream == .meta
        guard isMeta ? raw.uint16(18) == noVCPU : raw.uint16(18) < UInt16(TTLOG_VCPU_MAX) else {
            return refuse("vcpu", UInt64(raw.uint16(18)))
        }
        // Events: three units a record at most, beside the payload.
        let unitLimit =
            isBranch ? stream.chunkLimit : 3 * stream.chunkLimit + Int(TTLOG_EVENT_CHUNK_PAYLOAD_MAX) / unitSize + 1026
        guard Int(raw.uint32(8)) <= unitLimit else { return refuse("capacity", UInt64(raw.uint32(8))) }
        guard raw.uint64(0) <= UInt64(Int64.max) >> 1 else { return refuse("offset", raw.uint64(0)) }
        return Slot(
            stream: stream, vcpu: raw.uint16(18), offset: raw.uint64(0), capacity: Int(raw.uint32(8)),
            unitSize: unitSize)
    }

    private struct SlotHeader {
        var commit: UInt64
        var cell: UInt64
        var epoch: UInt32
        var part: UInt32
        var flags: ChunkFlags
        var firstOrdinal: UInt64
        var clockFirst: UInt64

        var generation: UInt64 { commit >> 32 }
        var units: Int { Int(commit & 0xffff_ffff) }
    }

    /// A slot's header; nil, and reported, when the file ends before.
    private mutating func header(of slot: Slot) throws(LogError) -> SlotHeader? {
        var buffer = ReusedBuffer()
        let bytes = buffer.room(for: OpenFile.slotHeaderSize)
        let present = try file.read(bytes, at: slot.offset)
        guard present == bytes.count else {
            report(slot.offset, .truncated(structure: .slot, expected: slot.size, present: UInt64(present)))
            return nil
        }
        let raw = RawFields(UnsafeRawBufferPointer(bytes))
        return SlotHeader(
            commit: raw.uint64(0), cell: raw.uint64(8), epoch: raw.uint32(16), part: raw.uint32(20),
            flags: ChunkFlags(rawValue: raw.uint32(24)), firstOrdinal: raw.uint64(32), clockFirst: raw.uint64(40))
    }

    /// Reads a slot's records, unless its writer has sealed it since it was seen with that generation.
    private mutating func readSlot(_ slot: Slot, generation: UInt64) throws(LogError) {
        guard let header = try header(of: slot), header.generation == generation else { return }
        guard header.units <= slot.capacity else {
            return report(slot.offset, .field(structure: .slot, name: "commit", found: header.commit))
        }
        var buffer = ReusedBuffer()
        let units = buffer.room(for: header.units * slot.unitSize)
        let present = try file.read(units, at: slot.offset + UInt64(OpenFile.slotHeaderSize))
        if present < units.count {
            report(
                slot.offset,
                .truncated(structure: .slot, expected: UInt64(units.count), present: UInt64(present)))
        }
        guard let after = try self.header(of: slot), after.generation == generation else { return }
        var chunk = Chunk(
            stream: slot.stream, vcpu: slot.vcpu, epoch: header.epoch, part: header.part, cell: header.cell,
            flags: header.flags.union(.recovered).subtracting([.elided, .window]), codec: 0, count: 0, rawSize: 0,
            storedSize: 0, privateSize: 0, offset: slot.offset, firstOrdinal: header.firstOrdinal,
            clockFirst: header.clockFirst, clockLast: 0, icountFirst: 0, icountLast: 0, ticket: 0, bodyHash: 0,
            digests: Digests(), chain: 0, slot: Int32(bodies.count))
        encode(UnsafeRawBufferPointer(units), units: present / slot.unitSize, as: &chunk)
    }

    /// Makes a chunk of the units.
    private mutating func encode(_ bytes: UnsafeRawBufferPointer, units: Int, as chunk: inout Chunk) {
        var header = ttlog_chunk_header()
        var usable = units
        let isBranch = chunk.stream == .branch
        if !isBranch {
            usable = OpenFile.wholeRecords(bytes, units: units, limit: chunk.stream.chunkLimit)
            if usable < units {
                report(
                    chunk.offset, .truncated(structure: .slot, expected: UInt64(units), present: UInt64(usable)))
            }
        }
        guard usable > 0, let base = bytes.baseAddress else { return }
        let bound = isBranch ? ttlog_branch_body_bound(usable) : ttlog_event_body_bound(usable)
        var body = [UInt8](repeating: 0, count: bound)
        let size = body.withUnsafeMutableBufferPointer { output in
            isBranch
                ? ttlog_encode_branches(
                    base.assumingMemoryBound(to: ttlog_raw_branch.self), usable, chunk.clockFirst, withIcount ? 1 : 0,
                    output.baseAddress, &header)
                : ttlog_encode_events(base, usable, output.baseAddress, &header)
        }
        guard size > 0, size <= bound, Int(header.count) <= chunk.stream.chunkLimit else {
            return report(chunk.offset, .field(structure: .slot, name: "records", found: UInt64(header.count)))
        }
        body.removeSubrange(size...)
        chunk.count = Int(header.count)
        chunk.rawSize = size
        chunk.storedSize = size
        chunk.privateSize = Int(header.private_size)
        chunk.clockFirst = header.clock_first
        chunk.clockLast = header.clock_last
        chunk.icountFirst = header.icount_first
        chunk.icountLast = header.icount_last
        chunk.ticket = header.ticket
        chunk.digests = Digests(
            path: header.digest.0, label: header.digest.1, position: header.digest.2, payload: header.digest.3)
        chunk.bodyHash = body.withUnsafeBytes { ttlog_hash($0.baseAddress, $0.count, 0) }
        chunks.append(chunk)
        bodies.append(body)
    }

    /// The number of units that make up complete event records, at most `limit`.
    private static func wholeRecords(_ bytes: UnsafeRawBufferPointer, units: Int, limit: Int) -> Int {
        let unitSize = MemoryLayout<ttlog_raw_event>.size
        let raw = RawFields(bytes)
        var place = 0
        var records = 0
        while place < units, records < limit {
            let payload = Int(raw.uint16(place * unitSize + 4))
            let privates = Int(raw.uint16(place * unitSize + 6))
            guard privates <= Int(TTLOG_PRIVATE_MAX) else { break }
            let length = 1 + (payload + unitSize - 1) / unitSize + (privates > 0 ? 1 : 0)
            guard length <= units - place else { break }
            place += length
            records += 1
        }
        return place
    }

    private mutating func report(_ offset: UInt64, _ what: DamageKind) {
        damage.append(Damage(file: file.path, offset: offset, length: 0, what: what))
    }
}
