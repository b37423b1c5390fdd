// SPDX-License-Identifier: GPL-2.0-or-later

import CTTLog

/// The trace buffers of Xen, as `xentrace` writes them, as a log of events.
///
/// Each vCPU of each domain is a vCPU of the log. The clock counts the entries of the guest into the hypervisor. Records
/// that our table of kinds has no place for are events of kinds without a name. Where records were lost, a new epoch
/// begins.
///
/// The file is read twice: a log's header states the number of vCPUs.
struct XenTraceImporter: Importer {
    let format = InputFormat.xentrace
    private let file: InputFile
    private var vcpuCount = 1
    private var features: FileHeader.Features = []
    private var total: UInt64 = 0

    init(_ file: InputFile, progress: ImportProgress) throws(LogError) {
        self.file = file
        var records = XenTraceMerge(file)
        var lanes = XenTraceLanes()
        let size = Double(max(file.size, 1))
        var done: UInt64 = 0
        while records.next() {
            total &+= 1
            done &+= UInt64(records.record.size)
            if total & 0xffff == 0 { progress(0.5 * min(1, Double(done) / size)) }
            if records.record.event == XenTraceRecord.lost {
                _ = lanes.lose(records.record)
            } else if lanes.index(of: records.record) != nil {
                features.formUnion(records.record.features)
            }
        }
        vcpuCount = max(1, lanes.list.count)
    }

    var path: String { file.path }

    var options: LogWriter.Options {
        var options = LogWriter.Options()
        options.vcpuCount = vcpuCount
        options.mode = .events
        options.clock = .synchronousEntries
        options.features = features
        options.runKind = .plain
        options.recorderName = "imported from trace buffers of Xen"
        return options
    }

    func write(to writer: LogWriter, progress: ImportProgress) throws(LogError) -> [Damage] {
        var records = XenTraceMerge(file)
        var lanes = XenTraceLanes()
        var clocks = [UInt64](repeating: 0, count: vcpuCount)
        var unnamed: [UInt16: UInt32] = [:]
        var (count, lost) = (0 as UInt64, 0 as UInt64)
        while records.next() {
            let record = records.record
            count &+= 1
            if count & 0xffff == 0 { progress(0.5 + 0.5 * Double(count) / Double(max(total, 1))) }
            if record.event == XenTraceRecord.lost {
                lost &+= UInt64(record[0])
                for lane in lanes.lose(record) where lane < vcpuCount { markGap(lane, clocks[lane], writer) }
                continue
            }
            guard record.event != XenTraceRecord.wrap, let lane = lanes.index(of: record), lane < vcpuCount else {
                continue
            }
            var event = record.asEvent()
            event.vcpu = UInt16(lane)
            event.clock = clocks[lane]
            if record.isEntry { clocks[lane] &+= 1 }
            if !event.kind.isKnown { unnamed[event.kind.rawValue] = record.event }
            writer.event(event)
        }
        for (number, lane) in lanes.list.enumerated() { writer.attribute("import.vcpu.\(number)", lane.title) }
        for (kind, number) in unnamed.sorted(by: { $0.key < $1.key }).prefix(XenTraceImporter.nameLimit) {
            writer.attribute("import.kind.\(kind)", "xentrace 0x\(hexadecimal(UInt64(number)))")
        }
        if lost > 0 { writer.attribute("import.lost", String(lost)) }
        var damage = records.damage
        if lanes.leftOut > 0 {
            let name = "records of vCPUs after the first \(TTLOG_VCPU_MAX):"
            damage.add(
                Damage(
                    file: path, offset: 0, length: 0, what: .unknownContent(name: name, found: lanes.leftOut),
                    lostRecords: lanes.leftOut))
        }
        return damage.all
    }

    /// Kinds that are named in attributes at most.
    private static let nameLimit = 1000

    private func markGap(_ lane: Int, _ clock: UInt64, _ writer: LogWriter) {
        let vcpu = UInt16(lane)
        writer.gap(vcpu: vcpu, clock: clock)
        writer.beginEpoch(vcpu: vcpu, clock: clock)
    }

    /// Whether a file begins like one of `xentrace`: with the window of a processor.
    static func isXenTrace(_ start: UnsafeRawBufferPointer) -> Bool {
        guard start.count >= 16, start.loadUnaligned(as: UInt32.self) == XenTraceRecord.cpuChangeHeader else {
            return false
        }
        let window = start.loadUnaligned(fromByteOffset: 8, as: UInt32.self)
        return window % 4 == 0 && window > 0
    }
}
