// SPDX-License-Identifier: GPL-2.0-or-later

import CTTLog

/// The text that `perf script` prints of branches (Intel PT, intel_bts) or branch stacks (LBR) as a log of branches.
///
/// Each thread becomes a vCPU; a line without a thread counts for its processor. The clock of a vCPU counts the branches
/// that perf printed of it. Where the trace has a gap a new epoch begins, after an event `trace-gap`: at `tr end` and
/// `tr strt`, at an error of the decoder, at lost records, and at a line that cannot be read. Each branch stack is an
/// epoch, without an event: nothing states what ran between two samples.
///
/// The text is read twice: a log's header states the number of vCPUs and whether branches have labels.
struct PerfScriptImporter: Importer {
    let format = InputFormat.perfScript
    private let file: InputFile
    private let vcpuCount: Int
    private let hasLabels: Bool

    init(_ file: InputFile, progress: ImportProgress) throws(LogError) {
        self.file = file
        var lines = LineReader(file)
        var lanes = PerfLanes()
        var line = PerfLine()
        var stack = PerfStack()
        var hasLabels = false
        while let text = lines.next() {
            switch line.parse(text) {
            case .branch: hasLabels = hasLabels || line.flags.label != nil
            case .stack(let start):
                guard stack.parse(UnsafeRawBufferPointer(rebasing: text[start...])) else { continue }
                hasLabels = hasLabels || stack.hasTypes
            case .gap, .other, .damaged: continue
            }
            _ = lanes.index(of: line, text)
            if lines.number & 0xffff == 0 { progress(0.5 * lines.share) }
        }
        self.hasLabels = hasLabels
        vcpuCount = max(1, lanes.list.count)
    }

    var path: String { file.path }

    var options: LogWriter.Options {
        var options = LogWriter.Options()
        options.machine = .unknown
        options.vcpuCount = vcpuCount
        // A lane keeps two chunks of records in memory.
        if vcpuCount > 32 { options.branchCellShift = 13 }
        options.features = hasLabels ? [.branches, .labels] : [.branches]
        options.runKind = .plain
        options.recorderName = "imported from the output of perf script"
        return options
    }

    func write(to writer: LogWriter, progress: ImportProgress) throws(LogError) -> [Damage] {
        var lines = LineReader(file)
        var output = PerfOutput(writer)
        var line = PerfLine()
        while let text = lines.next() {
            output.noteDamage(lines.damage)
            switch line.parse(text) {
            case .branch: output.add(line, text)
            case .stack(let start):
                if !output.addStack(line, text, from: start) { lines.report("a branch stack that cannot be read") }
            case .gap: output.gap(in: line.lane)
            case .other: break
            case .damaged(let problem): lines.report("\(problem)")
            }
            if lines.number & 0xffff == 0 { progress(0.5 + 0.5 * lines.share) }
        }
        output.finish()
        if output.lanes.leftOut > 0 {
            lines.damage.add(
                Damage(
                    file: path, offset: 0, length: 0,
                    what: .unknownContent(
                        name:
                            "lines of threads after the first \(TTLOG_VCPU_MAX) (select some with `perf script --tid`):",
                        found: output.lanes.leftOut), lostRecords: output.lanes.leftOut))
        }
        return lines.damage.all
    }

    // MARK: - Recognition

    /// Whether the beginning of a file is text of `perf script`: it has branches, and nine in ten of its lines can be read.
    static func isPerfScript(_ start: UnsafeRawBufferPointer) -> Bool {
        guard !start.contains(0) else { return false }
        var line = PerfLine()
        var (branches, damaged, others) = (0, 0, 0)
        var rest = start[...]
        while let end = rest.firstIndex(of: 0x0a) {
            switch line.parse(UnsafeRawBufferPointer(rebasing: rest[..<end])) {
            case .branch, .stack: branches += 1
            case .damaged: damaged += 1
            case .gap, .other: others += 1
            }
            rest = rest[(end + 1)...]
        }
        return branches > 0 && damaged * 9 <= branches + others
    }
}

/// Writes the branches of a text of `perf script` to a log.
private struct PerfOutput: ~Copyable {
    let writer: LogWriter
    var lanes = PerfLanes()
    /// The number of damaged parts that became gaps.
    private var damageSeen: UInt64 = 0
    private var stack = PerfStack()

    init(_ writer: LogWriter) { self.writer = writer }

    @inline(__always)
    mutating func add(_ line: PerfLine, _ text: UnsafeRawBufferPointer) {
        guard let lane = lanes.index(of: line, text) else { return }
        // Without flags, an address of 0 states the end of a trace.
        let hasFlags = !line.flags.isEmpty
        let starts = hasFlags ? line.flags.startsTrace : line.from == 0
        let ends = hasFlags ? line.flags.endsTrace : line.to == 0
        if starts { markGap(lane, ip: nil) }
        let isHalf = starts && line.from == 0 || ends && line.to == 0
        if !isHalf { write(lane, line.from, line.to, line.flags.label ?? BranchLabel(.unknown)) }
        if ends { markGap(lane, ip: line.from) }
    }

    /// Writes the branches of a sample's stack, the oldest first. Returns false if the stack cannot be read.
    mutating func addStack(_ line: PerfLine, _ text: UnsafeRawBufferPointer, from start: Int) -> Bool {
        guard stack.parse(UnsafeRawBufferPointer(rebasing: text[start...])) else { return false }
        guard let lane = lanes.index(of: line, text), !stack.branches.isEmpty else { return true }
        if lanes.list[lane].branches > 0 { lanes.list[lane].hasGap = true }
        for branch in stack.branches.reversed() {
            write(lane, branch.from, branch.to, BranchLabel(rawValue: UInt8(truncatingIfNeeded: branch.icountLabel)))
        }
        return true
    }

    /// Marks a gap in all lanes if there is new damage: a branch that cannot be read is missing in a thread that is not
    /// known.
    @inline(__always)
    mutating func noteDamage(_ damage: borrowing DamageList) {
        guard damage.count != damageSeen else { return }
        damageSeen = damage.count
        gap(in: 0)
    }

    /// Marks a gap in a lane; in all of them for 0.
    mutating func gap(in key: UInt64) {
        if key != 0 {
            if let lane = lanes.index(of: key) { markGap(lane, ip: nil) }
        } else {
            for lane in lanes.list.indices { markGap(lane, ip: nil) }
        }
    }

    @inline(__always)
    private mutating func write(_ lane: Int, _ from: UInt64, _ to: UInt64, _ label: BranchLabel) {
        let vcpu = UInt16(truncatingIfNeeded: lane)
        if lanes.list[lane].hasGap {
            lanes.list[lane].hasGap = false
            writer.beginEpoch(vcpu: vcpu, clock: writer.clock(vcpu: vcpu))
        }
        lanes.list[lane].branches &+= 1
        writer.branch(vcpu: vcpu, from: from, to: to, label: label)
    }

    /// Notes that the next branch of a lane does not follow the last one; once for each gap, and not before the first
    /// branch.
    private mutating func markGap(_ lane: Int, ip: UInt64?) {
        guard lanes.list[lane].branches > 0, !lanes.list[lane].hasGap else { return }
        lanes.list[lane].hasGap = true
        let vcpu = UInt16(truncatingIfNeeded: lane)
        writer.gap(vcpu: vcpu, clock: writer.clock(vcpu: vcpu), ip: ip)
    }

    /// Writes what is known of the threads.
    mutating func finish() {
        for (number, lane) in lanes.list.enumerated() where !lane.title.isEmpty {
            writer.attribute("import.vcpu.\(number)", lane.title)
        }
    }
}
