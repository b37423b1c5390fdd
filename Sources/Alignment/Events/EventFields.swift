// SPDX-License-Identifier: GPL-2.0-or-later

import LogFormat

/// Compares events field by field.
enum EventFields {
    /// Whether two state digests agree in all words that both have.
    static func isSameState(_ a: borrowing EventBatch, _ i: Int, _ b: borrowing EventBatch, _ j: Int) -> Bool {
        let common = a.info(i) & b.info(j)
        for bit in 0..<UInt32(32) where common >> bit & 1 != 0 {
            let mask = (UInt32(1) << bit) - 1
            let x = word(a.payload(i), (a.info(i) & mask).nonzeroBitCount)
            let y = word(b.payload(j), (b.info(j) & mask).nonzeroBitCount)
            if x != y { return false }
        }
        return true
    }

    private static func word(_ bytes: UnsafeRawBufferPointer, _ index: Int) -> UInt64? {
        guard bytes.count >= (index + 1) * 8 else { return nil }
        return UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: index * 8, as: UInt64.self))
    }

    /// The fields in which two events of one kind differ, of those that both logs can have.
    ///
    /// The fields of `info` and of the payload are those of the table of event kinds.
    static func differences(_ a: Event, _ b: Event, _ projection: EventProjection) -> [FieldDifference] {
        var found = Differences()
        found.add("kind", .name(a.kind.name), .name(b.kind.name))
        guard a.kind == b.kind else { return found.fields }
        let kind = a.kind
        let validA = projection.validity(a.validity, against: b.validity, of: kind)
        let validB = projection.validity(b.validity, against: a.validity, of: kind)
        func optional(_ bit: EventValidity, _ x: FieldDifference.Value, _ y: FieldDifference.Value, _ name: String) {
            found.add(name, validA.contains(bit) ? x : .absent, validB.contains(bit) ? y : .absent)
        }
        optional(.ip, .address(a.ip), .address(b.ip), "ip")
        optional(.icount, .number(a.icount), .number(b.icount), "icount")
        optional(.rcx, .word(a.aux), .word(b.aux), "rcx")
        optional(.registers, .word(a.aux), .word(b.aux), "register-hash")
        let comparesInfo = projection.comparesInfo(of: kind)
        let comparesAddress = validA.contains(.address) || validB.contains(.address)
        let comparesValues = projection.comparesValues(of: kind)
        let isInfoExplained = found.changes {
            for field in commonFields(a, b) {
                switch field.source {
                case .info: if comparesInfo { $0.add(field, a, b) }
                case .address: if comparesAddress { $0.add(field, a, b) }
                case .flagged: if kind != .state || isIn(field, a, b) { $0.add(field, a, b) }
                case .value, .values, .text, .key, .textAfterKey, .bytes: if comparesValues { $0.add(field, a, b) }
                }
            }
        }
        if isInfoExplained || kind == .state { return found.fields }
        if comparesInfo { found.add("info", .number(UInt64(a.info)), .number(UInt64(b.info))) }
        if comparesValues { found.add("payload", .bytes(a.payload), .bytes(b.payload)) }
        return found.fields
    }

    /// The fields that one of two events of a kind can have.
    private static func commonFields(_ a: Event, _ b: Event) -> [EventField] {
        let fields = a.fields
        return fields + b.fields.filter { !fields.contains($0) }
    }

    /// Whether both events have the word of a state digest: state digests are compared in the words that both have.
    private static func isIn(_ field: EventField, _ a: Event, _ b: Event) -> Bool {
        guard case .flagged(let bit) = field.source else { return true }
        return a.info & b.info >> bit & 1 != 0
    }
}

/// Collects the fields that differ.
private struct Differences {
    var fields: [FieldDifference] = []

    mutating func add(_ name: String, _ x: FieldDifference.Value, _ y: FieldDifference.Value) {
        if x != y { fields.append(FieldDifference(name: name, original: x, replay: y)) }
    }

    mutating func add(_ field: EventField, _ a: Event, _ b: Event) {
        let (x, y) = (field.value(in: a), field.value(in: b))
        guard case .words(let words) = x ?? y, x != y else {
            return add(field.name, value(field, x, a), value(field, y, b))
        }
        let (p, q) = (x.words ?? [], y.words ?? [])
        for index in 0..<max(p.count, q.count, words.count) {
            add(
                p.count <= 1 && q.count <= 1 ? field.name : name(field, index, a),
                index < p.count ? .word(p[index]) : .absent, index < q.count ? .word(q[index]) : .absent)
        }
    }

    /// The name of one of several words: a page of memory, or a number.
    private func name(_ field: EventField, _ index: Int, _ event: Event) -> String {
        guard event.kind == .pageDigests, let first = event.address else { return "\(field.name)[\(index)]" }
        return "page 0x\(String(first &+ UInt64(index), radix: 16))"
    }

    /// Runs a step, and returns whether it found a difference.
    mutating func changes(_ step: (inout Differences) -> Void) -> Bool {
        let count = fields.count
        step(&self)
        return fields.count > count
    }

    private func value(_ field: EventField, _ value: EventField.Value?, _ event: Event) -> FieldDifference.Value {
        switch value {
        case .number(let number): .number(number)
        case .address(let address): .address(address)
        case .word(let word): .word(word)
        case .flag(let isSet): .number(isSet ? 1 : 0)
        case .name(let name, _), .text(let name): .name(name)
        case .bytes(let bytes): .bytes(bytes)
        case .words, nil: field.isUnknown(in: event) ? .name("unknown") : .absent
        }
    }
}

extension EventField.Value? {
    fileprivate var words: [UInt64]? {
        if case .words(let words) = self { words } else { nil }
    }
}
