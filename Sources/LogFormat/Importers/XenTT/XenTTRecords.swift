// SPDX-License-Identifier: GPL-2.0-or-later

/// One record of a log of XenTT. Its data may go on over the slots after it.
struct XenTTRecord {
    /// The record's offset in the file.
    var offset: UInt64
    /// The slots that it takes up.
    var slots: UInt64
    /// Bytes of its data.
    var dataLength: Int
    var event: UInt64
    var info: UInt32
    var domain: UInt64
    var vcpu: UInt16
    var brctr: UInt64
    var ip: UInt64
    var rcx: UInt64?
    var tsc: UInt64?
}

/// Reads the records of a log of XenTT: slots of a fixed size without a header.
///
/// A slot that cannot be a record is passed over: the next one may be. Plausible are the values that XenTT's own tools
/// accept: data below 100,000 bytes, domains 1 to 999, vCPUs 0 to 64; and, if the layout names events, one of these.
struct XenTTRecords: ~Copyable {
    let layout: RecordLayout
    /// The damage so far, stretches of bad slots as one part.
    private(set) var damage = DamageList()
    private var window: FileWindow
    private var next: UInt64 = 0
    private var bad: Range<UInt64>?

    static let dataLimit: UInt64 = 100_000
    private static let domains: ClosedRange<UInt64> = 1...999
    private static let lastVCPU: UInt64 = 64

    init(_ file: InputFile, layout: RecordLayout) {
        self.layout = layout
        window = FileWindow(file)
    }

    /// The share of the file that has been read, 0 to 1.
    var share: Double { Double(next) / Double(max(window.fileSize, 1)) }

    /// The next record; nil at the end of the file.
    mutating func nextRecord() -> XenTTRecord? {
        let size = UInt64(layout.size)
        while next < window.fileSize {
            let slot = window.bytes(at: next, count: layout.size)
            guard slot.count == layout.size else {
                endBad()
                let rest = window.fileSize &- next
                damage.add(
                    window.failure
                        ?? Damage(
                            file: window.file.path, offset: next, length: rest,
                            what: .truncated(structure: .record, expected: size, present: UInt64(slot.count)),
                            lostRecords: 1))
                next = window.fileSize
                return nil
            }
            if let record = record(slot) {
                endBad()
                next &+= record.slots &* size
                return record
            }
            bad = (bad?.lowerBound ?? next)..<next &+ size
            next &+= size
        }
        endBad()
        return nil
    }

    /// The data of a record; shorter where the file ends.
    mutating func data(of record: XenTTRecord) -> [UInt8] {
        let slot = window.bytes(at: record.offset, count: layout.size)
        var data = Array(slot.dropFirst(layout.data.lowerBound).prefix(min(layout.data.count, record.dataLength)))
        let rest = record.dataLength - data.count
        if rest > 0 { data += Array(window.bytes(at: record.offset &+ UInt64(layout.size), count: rest)) }
        return data
    }

    /// Reports that a record's data or position makes no sense.
    mutating func report(_ record: XenTTRecord, _ what: DamageKind) {
        damage.add(
            Damage(
                file: window.file.path, offset: record.offset, length: record.slots &* UInt64(layout.size), what: what,
                lostRecords: 1))
    }

    private func record(_ slot: UnsafeRawBufferPointer) -> XenTTRecord? {
        let length = layout.dataLength.value(in: slot)
        let domain = layout.domain.value(in: slot)
        let vcpu = layout.vcpu.value(in: slot)
        let event = layout.event.value(in: slot)
        guard length < XenTTRecords.dataLimit, XenTTRecords.domains.contains(domain), vcpu <= XenTTRecords.lastVCPU,
            layout.eventNames.isEmpty || layout.eventNames[event] != nil
        else { return nil }
        let beyond = Int(length) - min(Int(length), layout.data.count)
        return XenTTRecord(
            offset: next, slots: 1 &+ UInt64((beyond + layout.size - 1) / layout.size), dataLength: Int(length),
            event: event, info: UInt32(truncatingIfNeeded: layout.info?.value(in: slot) ?? 0), domain: domain,
            vcpu: UInt16(vcpu), brctr: layout.brctr.value(in: slot), ip: layout.ip.value(in: slot),
            rcx: layout.rcx?.value(in: slot), tsc: layout.tsc?.value(in: slot))
    }

    private mutating func endBad() {
        guard let bad else { return }
        damage.add(
            Damage(
                file: window.file.path, offset: bad.lowerBound, length: UInt64(bad.count),
                what: .missing(structure: .record),
                lostRecords: UInt64(bad.count) / UInt64(layout.size)))
        self.bad = nil
    }
}
