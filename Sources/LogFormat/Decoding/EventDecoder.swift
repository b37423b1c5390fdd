// SPDX-License-Identifier: GPL-2.0-or-later

import CTTLog

/// One decoded event, access or meta record; its payloads stay in the body.
struct EventRecord: BitwiseCopyable {
    var clock: UInt64
    var icount: UInt64
    var ip: UInt64
    var aux: UInt64
    var ticket: UInt64
    var tsc: UInt64
    var info: UInt32
    var kind: UInt16
    var validity: UInt16
    var payloadOffset: UInt32
    var privateOffset: UInt32
    var payloadLength: UInt16
    var privateLength: UInt16
}

/// Decodes the columns of an event, access or meta body record by record. Each access to a column is checked.
struct EventDecoder {
    private let layout: ColumnLayout
    private var kinds, validities, clocks, icounts, ips: VarintColumn
    private var infos: VarintColumn
    private var auxes: ByteColumn
    private var payloadLengths: VarintColumn
    private var payloads: ByteColumn
    private var tickets, tscs: VarintColumn
    private var privateLengths: VarintColumn
    private var privates: ByteColumn

    private var clock, icount, ticket: UInt64
    private var ip: UInt64 = 0
    private var tsc: UInt64 = 0

    init(body: UnsafeRawBufferPointer, chunk: Chunk) throws(MalformedBody) {
        layout = try ColumnLayout(body: body, columnCount: Int(TTLOG_EVENT_COLUMNS.rawValue))
        let columns = layout.columns
        func varints(_ column: ttlog_event_column) -> VarintColumn { VarintColumn(columns[Int(column.rawValue)]) }
        func bytes(_ column: ttlog_event_column) -> ByteColumn { ByteColumn(columns[Int(column.rawValue)]) }
        kinds = varints(TTLOG_ECOL_KIND)
        validities = varints(TTLOG_ECOL_VALIDITY)
        clocks = varints(TTLOG_ECOL_CLOCK)
        icounts = varints(TTLOG_ECOL_ICOUNT)
        ips = varints(TTLOG_ECOL_IP)
        infos = varints(TTLOG_ECOL_INFO)
        auxes = bytes(TTLOG_ECOL_AUX)
        payloadLengths = varints(TTLOG_ECOL_PAYLOAD_LENGTH)
        payloads = bytes(TTLOG_ECOL_PAYLOAD)
        tickets = varints(TTLOG_ECOL_TICKET)
        tscs = varints(TTLOG_ECOL_TSC)
        privateLengths = varints(TTLOG_ECOL_PRIVATE_LENGTH)
        privates = bytes(TTLOG_ECOL_PRIVATE)
        clock = chunk.clockFirst
        icount = chunk.icountFirst
        ticket = chunk.ticket
    }

    /// The payload columns.
    var payloadBytes: UnsafeRawBufferPointer { layout.columns[Int(TTLOG_ECOL_PAYLOAD.rawValue)] }
    var privateBytes: UnsafeRawBufferPointer { layout.columns[Int(TTLOG_ECOL_PRIVATE.rawValue)] }

    /// Decodes the next record.
    mutating func next() throws(MalformedBody) -> EventRecord {
        let kind = try EventDecoder.narrow(kinds.next(), UInt16.self, TTLOG_ECOL_KIND)
        var validity = EventValidity(
            rawValue: try EventDecoder.narrow(validities.next(), UInt16.self, TTLOG_ECOL_VALIDITY))
        validity.remove(.tsc)
        clock &+= try EventDecoder.some(clocks.nextDifference(), TTLOG_ECOL_CLOCK)
        if validity.contains(.icount) {
            icount &+= try EventDecoder.some(icounts.nextDifference(), TTLOG_ECOL_ICOUNT)
        }
        if validity.contains(.ip) { ip &+= try EventDecoder.some(ips.nextDifference(), TTLOG_ECOL_IP) }
        let info = try EventDecoder.narrow(infos.next(), UInt32.self, TTLOG_ECOL_INFO)
        let hasAux = !validity.isDisjoint(with: [.rcx, .registers])
        let aux = hasAux ? try EventDecoder.some(auxes.nextWord(), TTLOG_ECOL_AUX) : 0
        let payloadLength = try EventDecoder.narrow(
            payloadLengths.next(), UInt16.self, TTLOG_ECOL_PAYLOAD_LENGTH)
        let payloadOffset = try EventDecoder.some(payloads.take(Int(payloadLength)), TTLOG_ECOL_PAYLOAD)
        ticket &+= try EventDecoder.some(tickets.nextDifference(), TTLOG_ECOL_TICKET)
        let tscStep = try EventDecoder.some(tscs.next(), TTLOG_ECOL_TSC)
        if tscStep != 0 {
            let zigzag = tscStep &- 1
            tsc &+= (zigzag >> 1) ^ (0 &- (zigzag & 1))
            validity.insert(.tsc)
        }
        let privateLength = try EventDecoder.narrow(
            privateLengths.next(), UInt16.self, TTLOG_ECOL_PRIVATE_LENGTH)
        let privateOffset = try EventDecoder.some(privates.take(Int(privateLength)), TTLOG_ECOL_PRIVATE)
        return EventRecord(
            clock: clock, icount: validity.contains(.icount) ? icount : 0, ip: validity.contains(.ip) ? ip : 0,
            aux: aux, ticket: ticket, tsc: tscStep != 0 ? tsc : 0, info: info, kind: kind,
            validity: validity.rawValue, payloadOffset: UInt32(truncatingIfNeeded: payloadOffset),
            privateOffset: UInt32(truncatingIfNeeded: privateOffset), payloadLength: payloadLength,
            privateLength: privateLength)
    }

    /// Checks that nothing is left in any column.
    func finish() throws(MalformedBody) {
        let ends: [(ttlog_event_column, Bool, Int)] = [
            (TTLOG_ECOL_KIND, kinds.isAtEnd, kinds.position),
            (TTLOG_ECOL_VALIDITY, validities.isAtEnd, validities.position),
            (TTLOG_ECOL_CLOCK, clocks.isAtEnd, clocks.position),
            (TTLOG_ECOL_ICOUNT, icounts.isAtEnd, icounts.position),
            (TTLOG_ECOL_IP, ips.isAtEnd, ips.position),
            (TTLOG_ECOL_INFO, infos.isAtEnd, infos.position),
            (TTLOG_ECOL_AUX, auxes.isAtEnd, auxes.position),
            (TTLOG_ECOL_PAYLOAD_LENGTH, payloadLengths.isAtEnd, payloadLengths.position),
            (TTLOG_ECOL_PAYLOAD, payloads.isAtEnd, payloads.position),
            (TTLOG_ECOL_TICKET, tickets.isAtEnd, tickets.position),
            (TTLOG_ECOL_TSC, tscs.isAtEnd, tscs.position),
            (TTLOG_ECOL_PRIVATE_LENGTH, privateLengths.isAtEnd, privateLengths.position),
            (TTLOG_ECOL_PRIVATE, privates.isAtEnd, privates.position),
        ]
        for (column, isAtEnd, position) in ends where !isAtEnd {
            let index = Int(column.rawValue)
            throw MalformedBody(
                column: index, expected: UInt64(position), found: UInt64(layout.columns[index].count))
        }
    }

    private static func some<Value>(_ value: Value?, _ column: ttlog_event_column) throws(MalformedBody) -> Value {
        guard let value else { throw MalformedBody(column: Int(column.rawValue), expected: 1, found: 0) }
        return value
    }

    private static func narrow<Narrow: FixedWidthInteger>(
        _ value: UInt64?, _: Narrow.Type, _ column: ttlog_event_column
    ) throws(MalformedBody) -> Narrow {
        let wide = try some(value, column)
        guard let narrow = Narrow(exactly: wide) else {
            throw MalformedBody(column: Int(column.rawValue), expected: UInt64(Narrow.max), found: wide)
        }
        return narrow
    }
}
