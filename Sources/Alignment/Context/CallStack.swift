// SPDX-License-Identifier: GPL-2.0-or-later

import CallTree
import LogFormat

/// The calls that are open at some point of a run, rebuilt from the branches before it (``CallTracker``).
///
/// What was called before the first branch looked at is not known: the stack is a reconstruction, and says how far back
/// it looked and how often it had to guess.
public struct CallStack: Sendable, Hashable {
    /// The open calls, the innermost last.
    public private(set) var frames: [CallFrame] = []
    /// Branches that the stack was rebuilt from.
    public private(set) var branchesSeen: UInt64 = 0
    /// How often the open calls had to be found again on the way.
    public private(set) var resynchronisations: UInt64 = 0

    public init() {}

    /// Takes the branches of a vCPU with clocks in `clocks`.
    init(_ log: LogFile, vcpu: UInt16, clocks: Range<UInt64>) {
        var tracker = CallTracker(handlers: HandlerSet(log, vcpu: vcpu, clocks: clocks))
        var cursor = log.branches(vcpu: vcpu, from: clocks.lowerBound, to: clocks.upperBound)
        while cursor.nextBatch({ tracker.append($0, $1) }) {}
        frames = tracker.openFrames
        branchesSeen = tracker.statistics.branches
        resynchronisations = tracker.statistics.resynchronisations
    }
}
