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

    /// The names of a state digest's words, by bit of `info`.
    static let stateNames = ["registers", "control-registers", "vector-registers", "cr2-cr3", "memory"]

    /// The fields in which two events of one kind differ, those that both logs can have.
    static func differences(_ a: Event, _ b: Event, _ projection: EventProjection) -> [FieldDifference] {
        var fields: [FieldDifference] = []
        func add(_ name: String, _ x: FieldDifference.Value, _ y: FieldDifference.Value) {
            if x != y { fields.append(FieldDifference(name: name, original: x, replay: y)) }
        }
        add("kind", .name(a.kind.name), .name(b.kind.name))
        guard a.kind == b.kind else { return fields }
        let kind = a.kind
        let validA = projection.validity(a.validity, against: b.validity, of: kind)
        let validB = projection.validity(b.validity, against: a.validity, of: kind)
        func optional(_ bit: EventValidity, _ x: FieldDifference.Value, _ y: FieldDifference.Value, _ name: String) {
            add(name, validA.contains(bit) ? x : .absent, validB.contains(bit) ? y : .absent)
        }
        optional(.ip, .address(a.ip), .address(b.ip), "ip")
        optional(.icount, .number(a.icount), .number(b.icount), "icount")
        optional(.rcx, .word(a.aux), .word(b.aux), "rcx")
        optional(.registers, .word(a.aux), .word(b.aux), "register-hash")
        if kind == .state {
            addState(a, b, add)
            return fields
        }
        if projection.comparesInfo(of: kind) { addInfo(a, b, add) }
        optional(.address, .address(a.address ?? 0), .address(b.address ?? 0), "address")
        guard projection.comparesValues(of: kind) else { return fields }
        let (x, y) = (a.values, b.values)
        for index in 0..<max(x.count, y.count) {
            add(
                x.count <= 1 && y.count <= 1 ? "value" : "value[\(index)]", index < x.count ? .word(x[index]) : .absent,
                index < y.count ? .word(y[index]) : .absent)
        }
        let isCovered = fields.contains { $0.name.hasPrefix("value") || $0.name == "address" }
        if !isCovered { add("payload", .bytes(a.payload), .bytes(b.payload)) }
        return fields
    }

    private static func addInfo(
        _ a: Event, _ b: Event, _ add: (String, FieldDifference.Value, FieldDifference.Value) -> Void
    ) {
        switch a.kind {
        case .discontinuity:
            func label(_ info: UInt32) -> FieldDifference.Value {
                .name(BranchLabel(rawValue: UInt8(truncatingIfNeeded: info)).name)
            }
            add("label", label(a.info), label(b.info))
        case .interrupt, .exception, .softwareInterrupt, .upcall:
            add("vector", .number(UInt64(a.info)), .number(UInt64(b.info)))
        case .syscall, .hypercall, .hypercallResult:
            add("number", .number(UInt64(a.info)), .number(UInt64(b.info)))
        case .portRead, .portWrite, .mmioRead, .mmioWrite:
            add("size", .number(UInt64(a.info & 0xff)), .number(UInt64(b.info & 0xff)))
            add("string", .number(UInt64(a.info >> 8)), .number(UInt64(b.info >> 8)))
        default: add("info", .number(UInt64(a.info)), .number(UInt64(b.info)))
        }
    }

    private static func addState(
        _ a: Event, _ b: Event, _ add: (String, FieldDifference.Value, FieldDifference.Value) -> Void
    ) {
        for bit in 0..<UInt32(32) where a.info & b.info >> bit & 1 != 0 {
            let mask = (UInt32(1) << bit) - 1
            let (i, j) = ((a.info & mask).nonzeroBitCount, (b.info & mask).nonzeroBitCount)
            let (x, y) = (a.values, b.values)
            let name = Int(bit) < stateNames.count ? stateNames[Int(bit)] : "state-\(bit)"
            add(name, i < x.count ? .word(x[i]) : .absent, j < y.count ? .word(y[j]) : .absent)
        }
    }
}
