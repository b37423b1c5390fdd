// SPDX-License-Identifier: GPL-2.0-or-later

import CTTLog

/// Rows of branches and events, in CSV or JSON lines, as a log.
///
/// The rows of a vCPU come in the order of their clocks. A branch whose clock is after the next one begins a new epoch; a
/// row whose clock goes back is damage. A row without a clock follows the vCPU's last branch. If no row states a clock and
/// there are only events with instruction counts, these are the clock.
///
/// The rows are read twice: a log's header states the number of vCPUs and what the records have.
struct RowImporter: Importer {
    let format: InputFormat
    private let file: InputFile
    private let survey: RowSurvey

    init(_ file: InputFile, format: InputFormat, progress: ImportProgress) throws(LogError) {
        self.file = file
        self.format = format
        var survey = RowSurvey()
        var rows = RowParser(file, format: format)
        while let kind = rows.next() {
            switch kind {
            case .branch: survey.add(rows.branch, vcpu: rows.vcpu, clock: rows.clock, hasIcount: rows.hasIcount)
            case .event: survey.add(rows.event, hasClock: rows.clock != nil)
            case .nothing, .damaged: break
            }
            if rows.lines.number & 0xffff == 0 { progress(0.5 * rows.lines.share) }
        }
        self.survey = survey
    }

    var path: String { file.path }

    var options: LogWriter.Options {
        var options = LogWriter.Options()
        options.machine = .unknown
        options.vcpuCount = survey.vcpuCount
        if options.vcpuCount > 32 { options.branchCellShift = 13 }
        options.features = survey.features
        options.mode = survey.branches == 0 ? .events : .branches
        options.clock = survey.countsInstructions ? .instructions : .transitions
        options.clockBase = survey.clockBase
        options.recorderName = "imported from rows (\(format.name))"
        return options
    }

    func write(to writer: LogWriter, progress: ImportProgress) throws(LogError) -> [Damage] {
        var rows = RowParser(file, format: format)
        var lanes = [Lane](repeating: Lane(), count: survey.vcpuCount)
        lanes[0].epochClock = survey.clockBase
        while let kind = rows.next() {
            let lane = Int(rows.vcpu)
            switch kind {
            case .branch where lane < lanes.count:
                let next = writer.clock(vcpu: rows.vcpu)
                let clock = rows.clock ?? next
                guard clock >= next else {
                    rows.lines.report("brctr \(clock): \(next) or more expected")
                    continue
                }
                // The counter after it would be 0.
                guard clock < .max else {
                    rows.lines.report("brctr \(clock): less than \(UInt64.max) expected")
                    continue
                }
                if clock > next {
                    writer.beginEpoch(vcpu: rows.vcpu, clock: clock)
                    lanes[lane] = Lane(epochClock: clock)
                }
                let word = rows.branch.icountLabel
                writer.branch(
                    vcpu: rows.vcpu, from: rows.branch.from, to: rows.branch.to, icount: word >> 8,
                    label: BranchLabel(rawValue: UInt8(truncatingIfNeeded: word)))
            case .event:
                var event = rows.event
                if let problem = place(&event, clock: rows.clock, in: &lanes, writer) { rows.lines.report(problem) }
            case .branch, .nothing, .damaged: break
            }
            if rows.lines.number & 0xffff == 0 { progress(0.5 + 0.5 * rows.lines.share) }
        }
        return rows.lines.damage.all
    }

    /// The clocks of a vCPU's events.
    private struct Lane {
        var epochClock: UInt64 = 0
        var eventClock: UInt64 = 0
        var accessClock: UInt64 = 0
    }

    /// Writes an event at its clock. Returns why it cannot be written.
    private func place(
        _ event: inout Event, clock: UInt64?, in lanes: inout [Lane], _ writer: LogWriter
    ) -> String? {
        guard event.stream != .meta else {
            return writer.event(event) ? nil : "the record cannot be written"
        }
        let lane = Int(event.vcpu)
        guard lane < lanes.count else { return nil }
        if clock == nil { event.clock = survey.countsInstructions ? event.icount : writer.clock(vcpu: event.vcpu) }
        let isAccess = event.stream == .access
        let least = max(lanes[lane].epochClock, isAccess ? lanes[lane].accessClock : lanes[lane].eventClock)
        guard event.clock >= least else { return "brctr \(event.clock): \(least) or more expected" }
        if isAccess { lanes[lane].accessClock = event.clock } else { lanes[lane].eventClock = event.clock }
        return writer.event(event) ? nil : "the record cannot be written"
    }

    // MARK: - Recognition

    /// The format of a file with this beginning; nil if it is none of rows.
    static func format(of start: UnsafeRawBufferPointer) -> InputFormat? {
        var lines = start.split(separator: 0x0a, maxSplits: 64).prefix(64).makeIterator()
        while var line = lines.next() {
            if line.last == 0x0d { line = line.dropLast() }
            let text = UnsafeRawBufferPointer(rebasing: line)
            guard let first = text.first(where: { $0 != 0x20 }) else { continue }
            guard first == 0x7b else { return CSVRows.isHeader(text) ? .csv : nil }
            var cells = RowCells()
            guard JSONRows.read(text, into: &cells) == nil else { return nil }
            let schema = cells[.schema].bytes
            if !schema.isEmpty {
                return JSONRows.schemas.contains { $0.utf8.elementsEqual(schema) } ? .jsonl : nil
            }
            let isBranch = cells[.from].start != nil && cells[.to].start != nil && cells[.count].start == nil
            return isBranch || !cells[.kind].isEmpty ? .jsonl : nil
        }
        return nil
    }
}

extension JSONRows {
    /// The schemas whose rows are branches or events.
    static let schemas = ["bts-dump", "tt-analyze events"]
}

/// What a file of rows holds, for the header of its log.
private struct RowSurvey {
    private(set) var branches: UInt64 = 0
    private var branchesWithIcount: UInt64 = 0
    private var events: UInt64 = 0
    private var eventsWithIcount: UInt64 = 0
    private var eventsWithClock: UInt64 = 0
    private var hasLabels = false
    private var lastVCPU: UInt16 = 0
    private var firstClock: UInt64?
    private var eventFeatures: FileHeader.Features = []
    private var hasValues = false
    private var hasMMIOValues = false

    @inline(__always)
    mutating func add(_ branch: RawBranch, vcpu: UInt16, clock: UInt64?, hasIcount: Bool) {
        branches &+= 1
        if hasIcount { branchesWithIcount &+= 1 }
        let label = BranchLabel(rawValue: UInt8(truncatingIfNeeded: branch.icountLabel))
        if label.branchClass != .unknown { hasLabels = true }
        if vcpu > lastVCPU { lastVCPU = vcpu }
        if vcpu == 0 { firstClock = min(firstClock ?? .max, clock ?? 0) }
    }

    mutating func add(_ event: Event, hasClock: Bool) {
        guard event.stream != .meta else { return }
        events &+= 1
        if event.validity.contains(.icount) { eventsWithIcount &+= 1 }
        if hasClock { eventsWithClock &+= 1 }
        lastVCPU = max(lastVCPU, event.vcpu)
        if event.vcpu == 0 { firstClock = min(firstClock ?? .max, hasClock ? event.clock : 0) }
        if let features = event.kind.definition?.features { eventFeatures.formUnion(features) }
        if event.validity.contains(.rcx) { eventFeatures.insert(.rcx) }
        if event.stream == .access, event.validity.contains(.value) {
            if event.kind == .mmioRead || event.kind == .mmioWrite { hasMMIOValues = true } else { hasValues = true }
        }
    }

    var vcpuCount: Int { Int(lastVCPU) + 1 }
    /// The first clock of vCPU 0; events alone do not say where the log begins.
    var clockBase: UInt64 { branches == 0 ? 0 : firstClock ?? 0 }
    /// Whether the instruction count is the only position.
    var countsInstructions: Bool { branches == 0 && eventsWithClock == 0 && eventsWithIcount == events && events > 0 }

    var features: FileHeader.Features {
        var features = eventFeatures
        if branches > 0 { features.insert(.branches) }
        if hasLabels { features.insert(.labels) }
        let hasIcount = branches > 0 ? branchesWithIcount == branches : eventsWithIcount > 0
        if hasIcount { features.insert(.icount) }
        if hasValues { features.insert(.accessValues) }
        if hasMMIOValues { features.insert(.mmioValues) }
        return features
    }
}
