// SPDX-License-Identifier: GPL-2.0-or-later

import LogFormat

/// The parts of two logs that can be compared: the common features, the common range, and the reasons for the limits.
///
/// Everything that compares two logs must use this type.
public struct Comparability: Sendable {
    /// Why the logs cannot be compared; empty if they can.
    public var reasons: [String] = []
    /// The features that both recorders have.
    public var features: FileHeader.Features
    /// The vCPUs that both logs have.
    public var vcpus: [UInt16] = []
    /// The clocks that both logs cover, for each vCPU: from the later start to the earlier comparable end.
    public var ranges: [UInt16: Range<UInt64>] = [:]
    /// Facts about the comparison that limit its result.
    /// Facts about the comparison that limit its result.
    public var caveats: [Caveat] = []
    /// Whether both logs are cut into the same cells and chunks. If so, their digests can be compared.
    public var isSameGrid: Bool
    /// Whether both logs name the same recording.
    public var isSameRecording: Bool

    /// Whether the logs can be compared.
    /// Whether the logs can be compared.
    public var isComparable: Bool { reasons.isEmpty }

    /// Compares the headers and meta records of two logs.
    ///
    /// - Parameters:
    ///   - original: The log of the recording.
    ///   - replay: The log of the run that is compared with it.
    ///   - requireSameRecording: Treats different or unknown recordings as a reason instead of a caveat.
    public init(_ original: LogFile, _ replay: LogFile, requireSameRecording: Bool = false) {
        let (a, b) = (original.header, replay.header)
        features = a.features.intersection(b.features)
        isSameGrid =
            a.branchCellShift == b.branchCellShift && a.eventCellShift == b.eventCellShift
            && a.branchChunkMax == b.branchChunkMax && a.eventChunkMax == b.eventChunkMax
            && a.accessChunkMax == b.accessChunkMax
        isSameRecording = a.uuid.isKnown && a.uuid == b.uuid
        vcpus = original.vcpus.filter(Set(replay.vcpus).contains)
        checkIdentity(a, b, requireSameRecording: requireSameRecording)
        checkFeatures(a, b)
        checkState(original, .original)
        checkState(replay, .replay)
        if isComparable { findRanges(original, replay) }
    }

    private mutating func checkIdentity(_ a: FileHeader, _ b: FileHeader, requireSameRecording: Bool) {
        if a.machine != b.machine {
            reasons.append("the guests' processors differ: \(a.machine) and \(b.machine)")
        }
        if a.clock != b.clock {
            reasons.append("the positions count different things: \(a.clock.name) and \(b.clock.name)")
        }
        if a.recorder != b.recorder {
            if a.recorder == .unknown || b.recorder == .unknown {
                caveats.append(Caveat(.recorderUnknown, "one log does not name its recorder"))
            } else {
                reasons.append("the recorders differ: \(a.recorderText) and \(b.recorderText)")
            }
        } else if a.recorderGeneration != b.recorderGeneration {
            reasons.append(
                "the recorder's generations differ, and see different things: \(a.recorderText) and \(b.recorderText)")
        }
        guard !isSameRecording else { return }
        let isUnknown = !a.uuid.isKnown || !b.uuid.isKnown
        let text =
            isUnknown
            ? "whether both logs belong to one recording is unknown: no recording UUID in "
                + (a.uuid.isKnown ? "the replay" : b.uuid.isKnown ? "the original" : "either")
            : "the logs belong to different recordings: \(a.uuid) and \(b.uuid)"
        if requireSameRecording {
            reasons.append(text)
        } else {
            caveats.append(Caveat(isUnknown ? .recordingUnknown : .recordingDiffers, text))
        }
    }

    private mutating func checkFeatures(_ a: FileHeader, _ b: FileHeader) {
        for (side, missing) in [
            (Side.original, b.features.subtracting(a.features)), (.replay, a.features.subtracting(b.features)),
        ] where !missing.isEmpty {
            caveats.append(
                Caveat(
                    .featureMissing, side: side,
                    "only the other log has \(missing.names.joined(separator: ", ")): not compared"))
        }
        if !isSameGrid {
            caveats.append(Caveat(.gridDiffers, "the logs are cut into different chunks: everything is decoded"))
        }
        let compared: FileHeader.Features = [.branches, .accesses, .mmio, .ram, .causes, .state, .context]
        if features.isDisjoint(with: compared), a.mode != .events || b.mode != .events {
            reasons.append("the logs have no stream in common")
        }
    }

    private mutating func checkState(_ log: LogFile, _ side: Side) {
        switch log.completeness {
        case .closed: break
        case .beingWritten:
            caveats.append(
                Caveat(.beingWritten, side: side, "the log is being written: compared as far as it was on opening"))
        case .unclosed(let found):
            caveats.append(
                Caveat(
                    .notClosed, side: side,
                    found
                        ? "the log was not closed, its recorder was killed: its last records come from the open file"
                        : "the log was not closed and has no open file: records that were not sealed are missing"))
        }
        if log.lostRecords > 0 {
            caveats.append(
                Caveat(.recordsLost, side: side, "the recorder could not write \(log.lostRecords) records"))
        }
        for damage in log.structuralDamage.prefix(8) where damage.what != .openFileMissing {
            caveats.append(Caveat(.damaged, side: side, "\(damage)"))
        }
        if log.structuralDamage.count > 8 {
            caveats.append(
                Caveat(.damaged, side: side, "\(log.structuralDamage.count - 8) more places: see tt-analyze verify"))
        }
        if let damage = log.metaDamage.first {
            caveats.append(
                Caveat(.damaged, side: side, "\(damage): the log's comparable end can be lost"))
        }
    }

    private mutating func findRanges(_ original: LogFile, _ replay: LogFile) {
        for (side, log, other) in [(Side.original, original, replay), (.replay, replay, original)] {
            let missing = other.vcpus.filter { !log.vcpus.contains($0) }
            for vcpu in missing {
                caveats.append(
                    Caveat(.vcpuMissing, side: side, vcpu: vcpu, "vCPU \(vcpu) is in the other log only"))
            }
        }
        var hasRecords = false
        for vcpu in vcpus {
            let (a, b) = (LogExtent(original, vcpu: vcpu), LogExtent(replay, vcpu: vcpu))
            hasRecords = hasRecords || (a.hasRecords && b.hasRecords)
            let start = max(a.start, b.start)
            let end = min(a.endClock, b.endClock)
            ranges[vcpu] = start..<max(start, end)
            if a.start != b.start, start <= end {
                caveats.append(
                    Caveat(
                        .startsLater, side: a.start > b.start ? .original : .replay, vcpu: vcpu,
                        clocks: min(a.start, b.start)..<start,
                        "the log starts at clock \(start), the other one at \(min(a.start, b.start))"))
            }
            for (side, extent) in [(Side.original, a), (.replay, b)] where extent.comparableEnd == nil {
                let isOther = (side == .original ? b : a).comparableEnd != nil
                guard isOther else { continue }
                caveats.append(
                    Caveat(
                        .noComparableEnd, side: side, vcpu: vcpu,
                        "the log names no comparable end: compared up to the other's"))
            }
        }
        guard hasRecords else {
            reasons.append("there is nothing to compare: \(Comparability.emptyText(original, replay))")
            return
        }
        let shareNothing = vcpus.allSatisfy { vcpu in
            let (a, b) = (LogExtent(original, vcpu: vcpu), LogExtent(replay, vcpu: vcpu))
            return max(a.start, b.start) > min(a.endClock, b.endClock) || !a.hasRecords || !b.hasRecords
        }
        if shareNothing {
            let spans = [original, replay].map { log in
                let extent = LogExtent(log, vcpu: vcpus.first ?? 0)
                return "\(extent.start) to \(extent.endClock)"
            }
            reasons.append("the logs share no part of the run: clocks \(spans[0]) and \(spans[1])")
        }
    }

    private static func emptyText(_ original: LogFile, _ replay: LogFile) -> String {
        let empty = [original, replay].filter { log in !log.vcpus.contains { LogExtent(log, vcpu: $0).hasRecords } }
        guard !empty.isEmpty else { return "no vCPU has records in both logs" }
        return empty.map { "\($0.path) has no records" }.joined(separator: ", ")
    }
}

extension FileHeader {
    /// The recorder and its generation, for reasons.
    var recorderText: String {
        let name = recorderName.isEmpty ? "\(recorder)" : recorderName
        return recorderGeneration == 0 ? name : "\(name) (generation \(recorderGeneration))"
    }
}

extension FileHeader.Clock {
    /// The name of the clock's unit.
    public var name: String {
        switch self {
        case .unknown: "something unknown"
        case .transitions: "transitions"
        case .retiredBranches: "retired branches"
        case .synchronousEntries: "synchronous entries"
        case .instructions: "instructions"
        }
    }
}
