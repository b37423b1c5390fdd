// SPDX-License-Identifier: GPL-2.0-or-later

import LogFormat

/// Compares two runs and finds the first place at which they part.
///
///     let alignment = try align(LogFile(path: "run"), LogFile(path: "run/replays/1"))
///     print(alignment.verdict)
///
/// The logs are compared directory against directory, class by class, then in the cell that differs, then in the
/// record: two logs without a difference cost their directories only. Damaged, cut and unclosed logs are compared as
/// far as they go; what was not compared stands in ``Alignment/caveats``.
///
/// - Parameter progress: called with the share of the work that is done, 0 to 1.
/// - Throws: when reading fails (not when a log is damaged).
public func align(
    _ original: LogFile, _ replay: LogFile, options: AlignmentOptions = AlignmentOptions(),
    progress: (Double) -> Void = { _ in }
) throws(LogError) -> Alignment {
    let comparability = Comparability(original, replay, requireSameRecording: options.requireSameRecording)
    var alignment = Alignment(
        comparability: comparability, verdict: .notComparable(comparability.reasons), vcpu: nil, vcpus: [],
        caveats: comparability.caveats, statistics: AlignmentStatistics())
    guard comparability.isComparable else { return alignment }
    let bytesBefore = original.bytesRead &+ replay.bytesRead
    let total = comparability.ranges.values.reduce(0.0) { $0 + Double($1.count) }
    var done = 0.0
    var stretches: [UInt16: BranchComparison.Stretch] = [:]
    for vcpu in comparability.vcpus {
        let aligner = VCPUAligner(
            original: original, replay: replay, vcpu: vcpu, options: options, comparability: comparability)
        let range = comparability.ranges[vcpu] ?? 0..<0
        let outcome = try aligner.run { clock in
            progress(min(1, (done + Double(clock &- range.lowerBound)) / max(total, 1)))
        }
        done += Double(range.count)
        alignment.vcpus.append(outcome.alignment)
        alignment.caveats += outcome.caveats
        alignment.statistics.add(outcome.statistics)
        stretches[vcpu] = outcome.stretch
    }
    try VCPUOrder.decide(&alignment, original, replay)
    let finder = ContextFinder(original: original, replay: replay, options: options, features: comparability.features)
    for index in alignment.vcpus.indices {
        guard var divergence = alignment.vcpus[index].divergence else { continue }
        let vcpu = alignment.vcpus[index]
        try finder.complete(&divergence, stretches[vcpu.vcpu], event: vcpu[.event])
        alignment.vcpus[index].divergence = divergence
    }
    alignment.addClosingCaveats(options, original)
    alignment.statistics.bytesRead = original.bytesRead &+ replay.bytesRead &- bytesBefore
    return alignment
}

extension Alignment {
    /// What the verdict does not cover, and which differences were passed over as benign.
    fileprivate mutating func addClosingCaveats(_ options: AlignmentOptions, _ original: LogFile) {
        let isNothing = vcpus.allSatisfy { $0.branchesCompared == 0 && $0.eventsCompared == 0 }
        if verdict == .identical, isNothing {
            verdict = .notComparable(["nothing that both logs cover could be read"])
        }
        for rule in options.rules {
            guard let count = statistics.benign[rule.name], count > 0 else { continue }
            caveats.append(
                Caveat(.benign, "\(count) differences passed over (\(rule.name)): \(rule.reason)"))
        }
        let features = comparability.features
        if verdict == .identical, !features.contains(.state), !features.contains(.stateMemory) {
            let seen = features.contains(.branches) ? "branches and positions" : "events and positions"
            let values = features.contains(.accessValues) ? ", and the values of accesses," : ""
            caveats.append(
                Caveat(.dataNotSeen, "identical as far as \(seen)\(values) show: these logs cannot see other data"))
        }
    }
}
