// SPDX-License-Identifier: GPL-2.0-or-later

import CallTree
import LogFormat

/// Code that is known to behave differently in the two runs: an allocator, a random-number function.
///
/// If the paths differ in such code, both runs are followed to its return and compared from there. Events at its
/// addresses are not compared.
public struct IgnoredCode: Sendable, Hashable {
    /// The name of the code in reports.
    public var name: String
    /// Its addresses in the original.
    public var original: [Range<UInt64>]
    /// Its addresses in the replay.
    public var replay: [Range<UInt64>]

    /// Names code to ignore.
    public init(name: String, original: [Range<UInt64>], replay: [Range<UInt64>]) {
        self.name = name
        self.original = original
        self.replay = replay
    }

    func contains(_ address: UInt64, _ side: Side) -> Bool {
        switch side {
        case .original: original.contains { $0.contains(address) }
        case .replay: replay.contains { $0.contains(address) }
        }
    }
}

/// Follows both runs through ignored code.
struct IgnoredPassage {
    /// The code that was passed.
    var name: String
    /// The clock after the return, in each log.
    var originalEnd: UInt64
    var replayEnd: UInt64
    /// The offsets of the replay's counters after the return.
    var skew: Skew

    /// Branches that are followed to a return.
    private static let limit: UInt64 = 1 << 22
    /// Branches from which open calls are rebuilt.
    private static let stackReach: UInt64 = 1 << 17

    /// The way through ignored code at a difference of the path; nil if the runs do not differ in ignored code, or do
    /// not return from it to one place.
    ///
    /// - Parameter replayClock: the clock of the difference in the replay's log.
    init?(
        _ code: [IgnoredCode], _ original: LogFile, _ replay: LogFile, vcpu: UInt16, clock: UInt64, replayClock: UInt64
    ) {
        let finder = StackFinder(original, vcpu: vcpu, reach: IgnoredPassage.stackReach)
        let frames = finder.find(before: clock, then: []).stack.frames
        guard let (index, callSite) = IgnoredPassage.open(code, frames, original, vcpu, clock),
            let a = IgnoredPassage.end(original, vcpu, clock, callSite, { code[index].contains($0, .original) }),
            let b = IgnoredPassage.end(replay, vcpu, replayClock, callSite, { code[index].contains($0, .replay) }),
            a.to == b.to
        else { return nil }
        name = code[index].name
        (originalEnd, replayEnd) = (a.clock + 1, b.clock + 1)
        skew = Skew(clock: b.clock &- a.clock, icount: b.icount &- a.icount)
    }

    /// The ignored code that is open at a clock, and the address from which it was called if that is known.
    private static func open(
        _ code: [IgnoredCode], _ frames: [CallFrame], _ log: LogFile, _ vcpu: UInt16, _ clock: UInt64
    ) -> (index: Int, callSite: UInt64?)? {
        // The outermost activation: inner ones return into it.
        for frame in frames where frame.kind == .call {
            if let index = code.firstIndex(where: { $0.contains(frame.target, .original) }) {
                return (index, frame.callSite)
            }
        }
        guard clock > 0 else { return nil }
        var cursor = log.branches(vcpu: vcpu, from: clock - 1, to: clock)
        guard let last = cursor.next() else { return nil }
        return code.firstIndex { $0.contains(last.to, .original) }.map { ($0, nil) }
    }

    /// The branch that leaves the ignored code: the return to its caller or, if that is unknown, the first return from
    /// its addresses to others.
    private static func end(
        _ log: LogFile, _ vcpu: UInt16, _ clock: UInt64, _ callSite: UInt64?, _ contains: (UInt64) -> Bool
    ) -> Branch? {
        let (limit, overflows) = clock.addingReportingOverflow(limit)
        var cursor = log.branches(vcpu: vcpu, from: clock, to: overflows ? .max : limit)
        while let branch = cursor.next() {
            guard branch.label.branchClass == .ret else { continue }
            if let callSite {
                // A call instruction has 2 to 9 bytes.
                if branch.to &- callSite &- 2 <= 7 { return branch }
            } else if contains(branch.from), !contains(branch.to) {
                return branch
            }
        }
        return nil
    }
}
