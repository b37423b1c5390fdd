// SPDX-License-Identifier: GPL-2.0-or-later

import LogFormat

/// Inserts decoded events into a table of events, row after row.
struct EventInserter {
    private let statement: Statement
    private var seq: Int64 = 0
    /// The number of value words that are bound in the statement.
    private var boundWords = 0
    private var hasBlob = false

    /// The parameters, by the order of ``EventColumns/names``.
    private enum Parameter {
        static let vcpu: Int32 = 2
        static let epoch: Int32 = 3
        static let brctr: Int32 = 4
        static let icount: Int32 = 5
        static let ip: Int32 = 6
        static let rcx: Int32 = 7
        static let registers: Int32 = 8
        static let kind: Int32 = 9
        static let info: Int32 = 10
        static let address: Int32 = 11
        static let word: Int32 = 12
        static let payload: Int32 = 18
        static let details: Int32 = 19
        static let ticket: Int32 = 20
        static let tsc: Int32 = 21
    }

    init(_ database: Database, table: String) throws(SQLError) {
        let marks = Array(repeating: "?", count: EventColumns.names.count + 1).joined(separator: ", ")
        statement = try database.prepare("INSERT INTO \(table) VALUES (\(marks))")
    }

    /// Rows so far.
    var count: Int64 { seq }

    /// The records that follow belong to that vCPU and epoch.
    mutating func begin(vcpu: UInt16, epoch: UInt32) {
        statement.bind(Parameter.vcpu, vcpu == noVCPU ? nil : Int64(vcpu))
        statement.bind(Parameter.epoch, Int64(epoch))
    }

    /// Inserts one record of a batch.
    mutating func insert(_ batch: borrowing EventBatch, _ index: Int) throws(SQLError) {
        let validity = batch.validity(index)
        seq += 1
        statement.bind(1, seq)
        statement.bind(Parameter.brctr, Int64(bitPattern: batch.clock(index)))
        statement.bind(Parameter.icount, bits: validity.contains(.icount) ? batch.icount(index) : nil)
        statement.bind(Parameter.ip, bits: validity.contains(.ip) ? batch.ip(index) : nil)
        statement.bind(Parameter.rcx, bits: validity.contains(.rcx) ? batch.aux(index) : nil)
        statement.bind(Parameter.registers, bits: validity.contains(.registers) ? batch.aux(index) : nil)
        statement.bind(Parameter.kind, Int64(batch.kind(index).rawValue))
        statement.bind(Parameter.info, Int64(batch.info(index)))
        statement.bind(Parameter.ticket, bits: batch.ticket(index))
        statement.bind(Parameter.tsc, bits: validity.contains(.tsc) ? batch.tsc(index) : nil)
        bindPayload(batch, index, validity)
        try statement.run()
    }

    private mutating func bindPayload(_ batch: borrowing EventBatch, _ index: Int, _ validity: EventValidity) {
        let payload = batch.payload(index)
        let words = EventWords(payload, validity)
        statement.bind(Parameter.address, bits: words.address)
        for place in 0..<words.count {
            statement.bind(Parameter.word + Int32(place), bits: words.value(place, of: payload))
        }
        if boundWords > words.count {
            for place in words.count..<boundWords { statement.bind(Parameter.word + Int32(place), nil as Int64?) }
        }
        boundWords = words.count
        if words.isRegular(batch.kind(index), info: batch.info(index)) {
            guard hasBlob else { return }
            statement.bind(Parameter.payload, nil as Int64?)
            statement.bind(Parameter.details, nil as Int64?)
            hasBlob = false
        } else {
            statement.bind(Parameter.payload, blob: payload)
            statement.bind(Parameter.details, batch[index].details { _ in "" })
            hasBlob = true
        }
    }
}

/// The words of a payload that have columns.
struct EventWords {
    /// The address word; nil without one.
    var address: UInt64?
    /// Value words with a column.
    var count: Int
    /// Whether the words are the whole payload.
    private var isWhole: Bool
    private let first: Int

    init(_ payload: UnsafeRawBufferPointer, _ validity: EventValidity) {
        first = validity.contains(.address) ? 8 : 0
        let hasAddress = first > 0 && payload.count >= 8
        address = hasAddress ? payload.loadUnaligned(fromByteOffset: 0, as: UInt64.self).littleEndian : nil
        let rest = max(0, payload.count - first)
        count = validity.contains(.value) ? min(rest / 8, EventColumns.wordCount) : 0
        isWhole = payload.count == (hasAddress ? 8 : 0) + 8 * count && (first == 0 || hasAddress)
    }

    /// A value word that has a column.
    func value(_ index: Int, of payload: UnsafeRawBufferPointer) -> UInt64 {
        payload.loadUnaligned(fromByteOffset: first + 8 * index, as: UInt64.self).littleEndian
    }

    /// Whether SQL can make the details from the words.
    func isRegular(_ kind: EventKind, info: UInt32) -> Bool {
        guard isWhole else { return false }
        let number = Int(kind.rawValue)
        guard number < EventWords.traits.count else { return true }
        let traits = EventWords.traits[number]
        return !traits.hasText && info & ~traits.namedBits == 0
    }

    /// The properties of a kind that make its records irregular.
    private struct Traits {
        /// Text or bytes.
        var hasText = false
        /// The bits of `info` that SQL knows: others have words without a name.
        var namedBits = UInt32.max
    }

    private static let traits: [Traits] = {
        let last = EventDefinition.all.map { Int($0.kind.rawValue) }.max() ?? 0
        var list = [Traits](repeating: Traits(), count: last + 1)
        for definition in EventDefinition.all {
            var traits = Traits()
            var bits: UInt32 = 0
            for field in definition.fields {
                switch field.source {
                case .text, .key, .textAfterKey, .bytes: traits.hasText = true
                case .flagged(let bit): bits |= 1 << bit
                default: break
                }
            }
            if bits != 0 { traits.namedBits = bits }
            list[Int(definition.kind.rawValue)] = traits
        }
        return list
    }()
}
