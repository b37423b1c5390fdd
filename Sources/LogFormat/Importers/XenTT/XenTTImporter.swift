// SPDX-License-Identifier: GPL-2.0-or-later

import CTTLog

/// A log of XenTT, an array of `struct ttd_rec`, as a log of branches and events of one domain: that of the first record.
///
/// The clock is XenTT's branch counter. A record `…HW_BRANCHES…` holds branches; all have its counter, and are numbered on
/// from it. Other records are events: of our kind of the same name (`TTD_EXCEPTION`: exception), else of a kind without a
/// name, which the attribute `import.kind.N` names.
struct XenTTImporter: Importer {
    let format = InputFormat.xentt
    private let file: InputFile
    private let layout: RecordLayout
    private let kinds: [UInt64: Kind]
    private var domain: UInt64?
    private var vcpuCount = 1
    private var features: FileHeader.Features = []
    private var clockBase: UInt64 = .max
    private var otherRecords: UInt64 = 0

    /// What the records of an event's number become.
    private enum Kind: Hashable {
        case branches
        case event(EventKind)
    }

    init(_ file: InputFile, layout: RecordLayout, progress: ImportProgress) throws(LogError) {
        self.file = file
        self.layout = layout
        kinds = layout.eventNames.reduce(into: [:]) { $0[$1.key] = XenTTImporter.kind($1.key, $1.value) }
        var records = XenTTRecords(file, layout: layout)
        var count: UInt64 = 0
        while let record = records.nextRecord() {
            count &+= 1
            if count & 0xffff == 0 { progress(0.5 * records.share) }
            domain = domain ?? record.domain
            guard record.domain == domain else {
                otherRecords &+= 1
                continue
            }
            vcpuCount = max(vcpuCount, Int(record.vcpu) + 1)
            if record.vcpu == 0 { clockBase = min(clockBase, record.brctr) }
            switch kind(of: record) {
            case .branches: features.insert(.branches)
            case .event(let kind):
                features.formUnion(kind.definition?.features.intersection([.causes, .accesses]) ?? [])
            }
        }
        guard domain != nil else {
            let problem = "no record of \(layout.size) bytes with a plausible domain, vCPU, event and length; "
            throw LogError(
                file: file.path, kind: .foreign(problem + "take the layout from the binaries that wrote the file"))
        }
        if layout.rcx != nil { features.insert(.rcx) }
    }

    var path: String { file.path }

    var options: LogWriter.Options {
        var options = LogWriter.Options()
        options.machine = .unknown
        options.vcpuCount = vcpuCount
        options.features = features
        options.clock = .retiredBranches
        options.mode = features.contains(.branches) ? .branches : .events
        options.clockBase = clockBase == .max ? 0 : clockBase
        options.recorderName = "imported from records of XenTT"
        return options
    }

    func write(to writer: LogWriter, progress: ImportProgress) throws(LogError) -> [Damage] {
        var records = XenTTRecords(file, layout: layout)
        // The clock before which a vCPU's next event or branch cannot be.
        var least = [UInt64](repeating: 0, count: vcpuCount)
        var unnamed: Set<UInt64> = []
        var count: UInt64 = 0
        while let record = records.nextRecord() {
            count &+= 1
            if count & 0xffff == 0 { progress(0.5 + 0.5 * records.share) }
            let lane = Int(record.vcpu)
            guard record.domain == domain, lane < vcpuCount else { continue }
            let data = records.data(of: record)
            if data.count < record.dataLength {
                records.report(
                    record,
                    .truncated(
                        structure: .record, expected: UInt64(record.dataLength), present: UInt64(data.count)))
                continue
            }
            guard record.brctr >= least[lane] else {
                records.report(record, .clock(expected: least[lane], found: record.brctr))
                continue
            }
            switch kind(of: record) {
            case .branches:
                if data.count % RawBTSFile.recordSize != 0 {
                    records.report(record, .field(structure: .record, name: "data_len", found: UInt64(data.count)))
                }
                if write(data, at: record.brctr, vcpu: record.vcpu, to: writer) { least[lane] = record.brctr }
            case .event(let kind):
                least[lane] = record.brctr
                if !kind.isKnown { unnamed.insert(record.event) }
                if !writer.event(event(record, kind, data)) {
                    records.report(record, .clock(expected: least[lane], found: record.brctr))
                }
            }
        }
        finish(writer, unnamed)
        return records.damage.all
    }

    /// Writes the branches of a record. Returns whether a new epoch began.
    private func write(_ data: [UInt8], at brctr: UInt64, vcpu: UInt16, to writer: LogWriter) -> Bool {
        let begins = brctr > writer.clock(vcpu: vcpu)
        if begins { writer.beginEpoch(vcpu: vcpu, clock: brctr) }
        data.withUnsafeBytes { bytes in
            for index in 0..<bytes.count / RawBTSFile.recordSize {
                let place = index * RawBTSFile.recordSize
                writer.branch(
                    vcpu: vcpu, from: bytes.loadUnaligned(fromByteOffset: place, as: UInt64.self),
                    to: bytes.loadUnaligned(fromByteOffset: place + 8, as: UInt64.self), label: BranchLabel(.unknown))
            }
        }
        return begins
    }

    private func event(_ record: XenTTRecord, _ kind: EventKind, _ data: [UInt8]) -> Event {
        var event = Event(
            stream: kind.usualStream == .access ? .access : .event, vcpu: record.vcpu, kind: kind, validity: .ip,
            info: record.info, clock: record.brctr, ip: record.ip, payload: Array(data.prefix(Int(TTLOG_PAYLOAD_MAX))))
        if let rcx = record.rcx {
            event.validity.insert(.rcx)
            event.aux = rcx
        }
        if let tsc = record.tsc {
            event.validity.insert(.tsc)
            event.tsc = tsc
        }
        return event
    }

    /// Names the domain and the kinds that our table of kinds does not have.
    private func finish(_ writer: LogWriter, _ unnamed: Set<UInt64>) {
        if let domain { writer.attribute("import.domid", String(domain)) }
        if otherRecords > 0 { writer.attribute("import.records-of-other-domains", String(otherRecords)) }
        for number in unnamed.sorted() {
            guard case .event(let kind) = kinds[number] ?? .event(XenTTImporter.unnamed(number)) else { continue }
            writer.attribute("import.kind.\(kind.rawValue)", layout.eventNames[number] ?? "event \(number)")
        }
    }

    // MARK: - Kinds

    private func kind(of record: XenTTRecord) -> Kind {
        kinds[record.event] ?? .event(XenTTImporter.unnamed(record.event))
    }

    /// The kind of events of a number that our table does not have.
    private static func unnamed(_ number: UInt64) -> EventKind {
        EventKind(rawValue: 0x4000 | UInt16(truncatingIfNeeded: number & 0x3fff))
    }

    /// The kind that an enumerator names: `TTD_HYPERCALL` is our hypercall.
    private static func kind(_ number: UInt64, _ name: String) -> Kind {
        if name.contains("HW_BRANCHES") { return .branches }
        let words = name.split(separator: "_").dropFirst().map { $0.lowercased() }
        let known = EventKind(name: words.joined(separator: "-"))
        return .event(known.flatMap { $0.isKnown && $0.usualStream != .meta ? $0 : nil } ?? unnamed(number))
    }
}
