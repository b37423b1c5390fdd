// SPDX-License-Identifier: GPL-2.0-or-later

import LogFormat

/// Compares two runs and finds the first place at which they differ.
///
///     let alignment = try align(LogFile(path: "run"), LogFile(path: "run/replays/1"))
///     print(alignment.verdict)
///
/// The comparison reads the chunk directories, then decodes the first cell that differs. If two logs do not differ,
/// only their directories are read. Damaged, truncated and unclosed logs are compared as far as possible;
/// ``AlignmentResult/caveats`` names the parts that were not compared.
///
/// - Parameters:
///   - original: The log of the recording.
///   - replay: The log of the run that is compared with it.
///   - options: How to compare.
///   - progress: Receives the fraction of the work that is done, 0 to 1.
/// - Returns: The verdict, the evidence for it, and caveats.
/// - Throws: `LogError` if reading fails. Damage in a log is no error but a caveat.
public func align(
    _ original: LogFile, _ replay: LogFile, options: AlignmentOptions = AlignmentOptions(),
    progress: (Double) -> Void = { _ in }
) throws(LogError) -> AlignmentResult {
    let comparability = Comparability(original, replay, requireSameRecording: options.requireSameRecording)
    var alignment = AlignmentResult(
        comparability: comparability, verdict: .notComparable(comparability.reasons), vcpu: nil, vcpus: [],
        caveats: comparability.caveats, statistics: AlignmentStatistics())
    guard comparability.isComparable else { return alignment }
    let bytesBefore = original.bytesRead &+ replay.bytesRead
    let total = comparability.ranges.values.reduce(0.0) { $0 + Double($1.upperBound - $1.lowerBound) }
    var done = 0.0
    var stretches: [UInt16: BranchComparison.Stretch] = [:]
    for vcpu in comparability.vcpus {
        let aligner = VCPUAligner(
            original: original, replay: replay, vcpu: vcpu, options: options, comparability: comparability)
        let range = comparability.ranges[vcpu] ?? 0..<0
        let outcome = try aligner.run { clock in
            progress(min(1, (done + Double(clock &- range.lowerBound)) / max(total, 1)))
        }
        done += Double(range.upperBound - range.lowerBound)
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

extension AlignmentResult {
    /// Adds the caveats about what the verdict does not cover and about the use of benign rules.
    fileprivate mutating func addClosingCaveats(_ options: AlignmentOptions, _ original: LogFile) {
        let isNothing = vcpus.allSatisfy { $0.branchesCompared == 0 && $0.eventsCompared == 0 }
        if verdict == .identical, isNothing {
            verdict = .notComparable(["nothing that both logs cover could be read"])
        }
        for rule in options.rules {
            guard let count = statistics.benign[rule.name], count > 0 else { continue }
            caveats.append(
                Caveat(.benign, "\(count) differences ignored (\(rule.name)): \(rule.reason)"))
        }
        for code in options.ignoredCode {
            let count = statistics.ignored[code.name] ?? 0
            caveats.append(Caveat(.ignored, "\(count) differences of the path ignored in \(code.name)"))
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
