// SPDX-License-Identifier: GPL-2.0-or-later

import CTTLog

/// One branch.
struct BranchRecord: Equatable {
    var from: UInt64
    var to: UInt64
    var icount: UInt64
    var label: UInt8

    var raw: ttlog_raw_branch { ttlog_raw_branch(from: from, to: to, icount_label: icount << 8 | UInt64(label)) }
}

/// One event, access or meta record.
struct EventRecord: Equatable {
    var kind: UInt16 = 1
    var validity: UInt16 = 0
    var info: UInt32 = 0
    var clock: UInt64 = 0
    var icount: UInt64 = 0
    var ip: UInt64 = 0
    var aux: UInt64 = 0
    var payload: [UInt8] = []
    var tsc: UInt64 = 0
    var ticket: UInt64 = 0
    var privatePayload: [UInt8] = []
}

private let fromSizes = [1, 2, 4, 8]
private let toSizes = [1, 2, 3, 8]

let labelOfNibble: [UInt8] = [
    0x21, 0x22, 0x24, 0x06, 0x03, 0x05, 0x08, 0x0a, 0x0b, 0x09, 0x00, 0x1f, 0x01, 0x0e, 0x0f,
]

extension ChunkImage {
    /// The branches of a body, decoded as docs/log-format.md specifies; nil if the columns do not fit the count.
    func branches() -> [BranchRecord]? {
        guard let columns = columns(7) else { return nil }
        let count = Int(header.count)
        guard columns[0].count == (count + 1) / 2, columns[3].count == columns[0].count else { return nil }
        let (controls, nibbles, icounts) = (columns[0], columns[3], columns[5])
        let hasIcount = !icounts.isEmpty
        guard !hasIcount || icounts.count == count else { return nil }
        var from = ByteReader(columns[1])
        var to = ByteReader(columns[2])
        var labels = ByteReader(columns[4])
        var steps = ByteReader(columns[6])
        var previousTo: UInt64 = 0
        var icount = header.icount_first
        var records: [BranchRecord] = []
        for index in 0..<count {
            let shift = UInt8(index % 2 * 4)
            let control = controls[index / 2] >> shift & 15
            guard let fromStep = from.little(fromSizes[Int(control & 3)]) else { return nil }
            let toSize = toSizes[Int(control >> 2)]
            guard let toStep = to.little(toSize) else { return nil }
            let unused = UInt64(64 - 8 * toSize)
            let start = previousTo &+ fromStep
            let target = start &+ UInt64(bitPattern: Int64(bitPattern: toStep << unused) >> Int64(unused))
            let nibble = nibbles[index / 2] >> shift & 15
            var label: UInt8
            if nibble == 15 {
                guard let escaped = labels.little(1), !labelOfNibble.contains(UInt8(escaped)) else { return nil }
                label = UInt8(escaped)
            } else {
                label = labelOfNibble[Int(nibble)]
            }
            if hasIcount {
                var step = UInt64(icounts[index])
                if step == 255 {
                    guard let long = steps.little(8), long >= 255 else { return nil }
                    step = long
                }
                icount &+= step
            }
            records.append(BranchRecord(from: start, to: target, icount: hasIcount ? icount : 0, label: label))
            previousTo = target
        }
        return from.isAtEnd && to.isAtEnd && labels.isAtEnd && steps.isAtEnd ? records : nil
    }

    /// The events of a body; nil if the columns do not fit the count.
    func events() -> [EventRecord]? {
        guard let columns = columns(13) else { return nil }
        var readers = columns.map { ByteReader($0) }
        var clock = header.clock_first
        var icount = header.icount_first
        var ticket = header.ticket
        var ip: UInt64 = 0
        var tsc: UInt64 = 0
        var records: [EventRecord] = []
        for _ in 0..<header.count {
            var record = EventRecord()
            guard let kind = readers[0].varint(), let validity = readers[1].varint(), let step = readers[2].zigzag(),
                let info = readers[5].varint(), let length = readers[7].varint(),
                let ticketStep = readers[9].zigzag(), let tscStep = readers[10].varint(),
                let privateLength = readers[11].varint()
            else { return nil }
            clock &+= step
            ticket &+= ticketStep
            (record.kind, record.validity) = (UInt16(kind), UInt16(validity))
            (record.clock, record.ticket, record.info) = (clock, ticket, UInt32(info))
            if validity & 2 != 0 {
                guard let step = readers[3].zigzag() else { return nil }
                icount &+= step
                record.icount = icount
            }
            if validity & 1 != 0 {
                guard let step = readers[4].zigzag() else { return nil }
                ip &+= step
                record.ip = ip
            }
            if validity & 12 != 0 {
                guard let aux = readers[6].little(8) else { return nil }
                record.aux = aux
            }
            if tscStep != 0 {
                tsc &+= ByteReader.unzigzag(tscStep - 1)
                record.tsc = tsc
                record.validity |= 64
            }
            guard let payload = readers[8].take(Int(length)), let hidden = readers[12].take(Int(privateLength)) else {
                return nil
            }
            record.payload = payload
            record.privatePayload = hidden
            records.append(record)
        }
        return readers.allSatisfy(\.isAtEnd) ? records : nil
    }
}

/// Reads little-endian values of any size, varints and byte runs.
struct ByteReader {
    let bytes: [UInt8]
    var place = 0

    init(_ bytes: [UInt8]) { self.bytes = bytes }

    var isAtEnd: Bool { place == bytes.count }

    mutating func little(_ size: Int) -> UInt64? {
        guard place + size <= bytes.count else { return nil }
        defer { place += size }
        if place + 8 <= bytes.count {
            let word: UInt64 = load(bytes, place)
            return size == 8 ? word : word & (1 << UInt64(8 * size) - 1)
        }
        var value: UInt64 = 0
        for index in 0..<size { value |= UInt64(bytes[place + index]) << UInt64(8 * index) }
        return value
    }

    mutating func varint() -> UInt64? {
        var value: UInt64 = 0
        for shift in stride(from: UInt64(0), to: 64, by: 7) {
            guard place < bytes.count else { return nil }
            let byte = bytes[place]
            place += 1
            value |= UInt64(byte & 0x7f) << shift
            if byte < 0x80 { return value }
        }
        return nil
    }

    static func unzigzag(_ value: UInt64) -> UInt64 { value >> 1 ^ (0 &- (value & 1)) }

    mutating func zigzag() -> UInt64? { varint().map(Self.unzigzag) }

    mutating func take(_ count: Int) -> [UInt8]? {
        guard place + count <= bytes.count else { return nil }
        defer { place += count }
        return Array(bytes[place..<(place + count)])
    }
}
