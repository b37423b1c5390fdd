// SPDX-License-Identifier: GPL-2.0-or-later

import CTTLog
import Glibc

/// What ``slice(_:to:from:upTo:isCompressed:)`` wrote.
public struct SliceSummary: Sendable {
    /// Branches that were written.
    public internal(set) var branches: UInt64 = 0
    /// Events and accesses.
    public internal(set) var events: UInt64 = 0
    /// The chunks of the original that could not be read or are elided: a new epoch begins after each.
    public internal(set) var skipped: [Damage] = []
}

/// Writes a new log of the branches and events of all vCPUs with clocks in `from ..< to` (no end when `to` is `.max`).
///
/// The new log has the original's header, its own nonce, and a clock base of `from`. Whole cells have the same digests
/// as in the original; events keep their order across vCPUs. Meta records are copied, and the attributes
/// `slice.source`, `slice.nonce`, `slice.from` and `slice.to` record the origin. Where the branches of a vCPU are not
/// consecutive (elided or damaged bodies, epochs of the original), a new epoch begins.
///
/// The slice gets its name when it is complete; until then an existing file of that name stays unchanged. If the
/// original continues after `to`, the slice's comparable end is `to`.
///
/// - Parameters:
///   - isReproducible: the same log and range give the same bytes: the nonce follows from the original's, the time of
///     creation is the original's, and the path of the original is not recorded.
///   - isRedacted: contents of events and accesses are left out (``Event/redacted``), as well as all meta records but
///     the comparable end and the reason of the run's end.
///
/// Throws when the range is empty, when `path` is the original itself, is being written or may not be replaced
/// (`replacing`), or when the log cannot be written.
@discardableResult
public func slice(
    _ log: LogFile, to path: String, replacing: Bool = true, from: UInt64, to end: UInt64 = .max,
    isCompressed: Bool = true, isReproducible: Bool = false, isRedacted: Bool = false
) throws(LogError) -> SliceSummary {
    guard from < end else {
        throw LogError(file: log.path, kind: .invalidRequest("the range \(from):\(end) is empty; give FROM below TO"))
    }
    guard !log.file.isSame(as: path) else {
        throw LogError(file: path, kind: .invalidRequest("a slice cannot replace the log it is cut from"))
    }
    var options = LogWriter.Options(like: log.header)
    options.clockBase = max(from, log.header.clockBase)
    if options.clockBase != log.header.clockBase { options.icountBase = log.icount(atClock: options.clockBase) ?? 0 }
    if log.header.mode == .digest { options.mode = .branches }
    options.isCompressed = isCompressed
    if isReproducible {
        let origin = [log.header.nonce, from, end]
        options.nonce = max(1, origin.withUnsafeBytes { ttlog_hash($0.baseAddress, $0.count, 0) })
        options.createdUnixNanoseconds = max(1, log.header.createdUnixNanoseconds)
    }
    try checkTarget(path)
    let file = try PendingFile(for: path)
    let writer = try LogWriter(nameless: file.descriptor, name: path, options: options)
    var slicer = Slicer(log, writer, from: from, to: end, isRedacted: isRedacted)
    slicer.run()
    carryMeta(of: log, to: writer, from: from, end: end, isRedacted: isRedacted)
    if !isReproducible { writer.attribute("slice.source", log.path) }
    try writer.close()
    try file.publish(as: path, replacing: replacing)
    return slicer.finish()
}

/// Refuses to replace a log that is being written, or anything but a regular file.
func checkTarget(_ path: String) throws(LogError) {
    do throws(LogError) {
        guard try InputFile(path: path).isLocked else { return }
    } catch {
        if case .cannotOpen = error.kind { return }
        throw error
    }
    throw LogError(file: path, kind: .writer(errno: EBUSY, message: "\(path): another process is writing this log"))
}

private func carryMeta(of log: LogFile, to writer: LogWriter, from: UInt64, end: UInt64, isRedacted: Bool) {
    // If the original continues after `end`, nothing at or after `end` can be compared.
    let cut = log.vcpus.filter { vcpu in
        end < log.endClock(vcpu: vcpu) && log.comparableEnd(vcpu: vcpu).map { $0.clock > end } ?? true
    }
    for event in log.metaEvents {
        if event.kind == .comparableEnd, cut.contains(where: { UInt32($0) == event.info }) { continue }
        if isRedacted, event.kind != .comparableEnd, event.kind != .runEnd { continue }
        writer.event(event)
    }
    for vcpu in cut { writer.comparableEnd(vcpu: vcpu, clock: end, icount: nil, reason: "the end of a slice") }
    writer.attribute("slice.nonce", "0x" + hexadecimal(log.header.nonce, digits: 16))
    writer.attribute("slice.from", String(from))
    writer.attribute("slice.to", end == .max ? "end" : String(end))
}

extension LogFile {
    /// The clock after the last record of a vCPU.
    fileprivate func endClock(vcpu: UInt16) -> UInt64 {
        [LogStream.branch, .event, .access].flatMap { chunks($0, vcpu: vcpu) }
            .reduce(0) { max($0, $1.clockLast == .max ? .max : $1.clockLast + 1) }
    }

    /// The number of instructions that vCPU 0 had begun at a clock, from the branch before; nil if that cannot be read.
    fileprivate func icount(atClock clock: UInt64) -> UInt64? {
        guard clock > 0, header.features.contains(.icount) else { return nil }
        var cursor = branches(from: clock - 1, to: clock)
        return cursor.next()?.icount
    }
}

/// The position of one vCPU of a log while it is sliced.
private final class SliceLane {
    let vcpu: UInt16
    var events: StreamCursor
    var accesses: StreamCursor
    /// The epoch of the original that corresponds to the writer's epoch; nil before the first record.
    var epoch: UInt32?
    private let branchChunks: [Chunk]
    private var nextChunk = 0

    init(_ log: LogFile, vcpu: UInt16, from: UInt64, to: UInt64) {
        self.vcpu = vcpu
        events = StreamCursor(log, log.index.run(.event, vcpu: vcpu, from: from, to: to), from: from, to: to)
        accesses = StreamCursor(log, log.index.run(.access, vcpu: vcpu, from: from, to: to), from: from, to: to)
        branchChunks = log.index.run(.branch, vcpu: vcpu, from: from, to: to)
    }

    /// The branch chunk that has not been written yet; nil at the end.
    var nextBranches: Chunk? { nextChunk < branchChunks.count ? branchChunks[nextChunk] : nil }

    func advance() { nextChunk += 1 }
}

/// Copies records from a log to a writer. Events lead, in the order of their tickets; before each one, the vCPU's
/// branches up to its clock are written.
private struct Slicer: ~Copyable {
    private let log: LogFile
    private let writer: LogWriter
    private let lanes: [SliceLane]
    private let from: UInt64
    private let to: UInt64
    private let isRedacted: Bool
    private var batch = BranchBatch()
    private var units: [RawBranch] = []
    private var summary = SliceSummary()

    init(_ log: LogFile, _ writer: LogWriter, from: UInt64, to: UInt64, isRedacted: Bool) {
        self.isRedacted = isRedacted
        self.log = log
        self.writer = writer
        self.from = from
        self.to = to
        lanes = log.vcpus.map { SliceLane(log, vcpu: $0, from: from, to: to) }
    }

    mutating func run() {
        // vCPU 0 begins at the new log's clock base; the others need an epoch that begins there.
        for lane in lanes where lane.vcpu != 0 && from > 0 { writer.beginEpoch(vcpu: lane.vcpu, clock: from) }
        while let (lane, isAccess, key) = nextEvent() {
            writeBranches(lane, before: (key.epoch, key.clock))
            enterEpoch(lane, key.epoch, at: key.clock, needsNew: false)
            let event = isAccess ? lane.accesses.take() : lane.events.take()
            if let event, writer.event(isRedacted ? event.redacted : event) { summary.events += 1 }
        }
        for lane in lanes { writeBranches(lane, before: nil) }
    }

    /// The summary, after ``run()``.
    consuming func finish() -> SliceSummary {
        for lane in lanes { summary.skipped += lane.events.skipped + lane.accesses.skipped }
        return summary
    }

    /// Where the record with the lowest ticket is next.
    private func nextEvent() -> (lane: SliceLane, isAccess: Bool, key: StreamCursor.Key)? {
        var best: (lane: SliceLane, isAccess: Bool, key: StreamCursor.Key)?
        for lane in lanes {
            if let key = lane.events.head(), best.map({ key.ticket < $0.key.ticket }) ?? true {
                best = (lane, false, key)
            }
            if let key = lane.accesses.head(), best.map({ key.ticket < $0.key.ticket }) ?? true {
                best = (lane, true, key)
            }
        }
        return best
    }

    /// Writes the lane's branch chunks that begin at or before a position; all of them for nil.
    private mutating func writeBranches(_ lane: SliceLane, before position: (epoch: UInt32, clock: UInt64)?) {
        while let chunk = lane.nextBranches {
            if let position, (chunk.epoch, chunk.clockFirst) > position { return }
            lane.advance()
            do throws(LogError) {
                try log.decode(chunk, into: &batch)
                write(lane)
            } catch {
                summary.skipped.append(error.damage(of: chunk))
            }
        }
    }

    /// Writes the part of the batch that is in the range.
    private mutating func write(_ lane: SliceLane) {
        let range = batch.range(from: from, to: to)
        guard !range.isEmpty else { return }
        let clock = batch.clockFirst &+ UInt64(range.lowerBound)
        enterEpoch(lane, batch.epoch, at: clock, needsNew: clock != writer.clock(vcpu: lane.vcpu))
        units.removeAll(keepingCapacity: true)
        for index in range {
            let label = BranchLabel(rawValue: batch.label[index])
            units.append(
                RawBranch(from: batch.from[index], to: batch.to[index], icount: batch.icount[index], label: label))
        }
        units.withUnsafeBufferPointer { writer.branches(vcpu: lane.vcpu, $0) }
        summary.branches += UInt64(units.count)
    }

    /// Makes sure that the writer is in an epoch of its own for that of the original. `needsNew`: the records cannot be
    /// in the writer's present epoch.
    private func enterEpoch(_ lane: SliceLane, _ epoch: UInt32, at clock: UInt64, needsNew: Bool) {
        let isOther = lane.epoch.map { $0 != epoch } ?? false
        lane.epoch = epoch
        if isOther || needsNew { writer.beginEpoch(vcpu: lane.vcpu, clock: clock) }
    }
}
