// SPDX-License-Identifier: GPL-2.0-or-later

import CallTree
import LogFormat

/// The calls that are open at a point of a run, rebuilt from the branches before it (``CallTree/CallTracker``).
///
/// The stack is a reconstruction. Calls before the first of these branches are unknown.
public struct CallStack: Sendable, Hashable {
    /// The open calls, the innermost last.
    public internal(set) var frames: [CallFrame] = []
    /// The number of branches from which the stack was rebuilt.
    public internal(set) var branchesSeen: UInt64 = 0
    /// How often the tracker had to find the open calls again.
    public internal(set) var resynchronisations: UInt64 = 0
    /// Whether the outermost frame is known to be the beginning: an entry from user code, or the beginning of the log.
    public internal(set) var isComplete = false

    /// A stack without open calls.
    public init() {}
}

extension CallStack {
    /// The number of outermost frames up to the last one of the firmware, if a kernel's frame follows; otherwise 0.
    ///
    /// A kernel has its code in the upper half of the address space, or a name.
    package func firmwareFrames(hasName: (UInt64) -> Bool) -> Int {
        guard let last = frames.lastIndex(where: \.isFirmware),
            frames[(last + 1)...].contains(where: { $0.target >> 63 != 0 || hasName($0.target) })
        else { return 0 }
        return last + 1
    }
}

/// Rebuilds call stacks from the branches of one vCPU.
package struct StackFinder {
    private let log: LogFile
    private let vcpu: UInt16
    private let reach: UInt64

    /// The number of branches that are read at first.
    private static let firstReach: UInt64 = 1 << 17
    /// How many times as many branches the next attempt reads.
    private static let growth: UInt64 = 16

    /// - Parameter reach: the largest number of branches to read backwards.
    package init(_ log: LogFile, vcpu: UInt16, reach: UInt64) {
        self.log = log
        self.vcpu = vcpu
        self.reach = reach
    }

    /// The clock of the log's first branch.
    var start: UInt64 { log.chunks(.branch, vcpu: vcpu).first?.clockFirst ?? 0 }

    /// The stack before a clock, and for each list of further branches the frames that are open after them.
    ///
    /// Reads further back, in steps of sixteen times as many branches, until the stack is complete or the limit is
    /// reached: a call that is still open can be any number of branches ago.
    package func find(before clock: UInt64, then lists: [[Branch]]) -> (stack: CallStack, later: [[CallFrame]]) {
        let start = start
        var length = min(StackFinder.firstReach, reach)
        while true {
            let first = clock > length ? max(start, clock - length) : start
            let found = find(first..<max(first, clock), then: lists, isWhole: first == start)
            if found.stack.isComplete || length >= reach { return found }
            length = min(length * StackFinder.growth, reach)
        }
    }

    private func find(
        _ clocks: Range<UInt64>, then lists: [[Branch]], isWhole: Bool
    ) -> (stack: CallStack, later: [[CallFrame]]) {
        var tracker = CallTracker(handlers: HandlerSet(log, vcpu: vcpu, clocks: clocks))
        var cursor = log.branches(vcpu: vcpu, from: clocks.lowerBound, to: clocks.upperBound)
        while cursor.nextBatch({ tracker.append($0, $1) }) {}
        var stack = CallStack()
        stack.frames = tracker.openFrames
        stack.branchesSeen = tracker.statistics.branches
        stack.resynchronisations = tracker.statistics.resynchronisations
        stack.isComplete = isWhole || stack.frames.contains(where: \.isEntryFromUser)
        let later = lists.map { branches in
            var tracker = CallTracker(copying: tracker)
            for branch in branches { tracker.append(branch) }
            return tracker.openFrames
        }
        return (stack, later)
    }
}

extension CallFrame {
    /// Whether the frame is an entry from user code into the kernel, by the halves of the address space.
    public var isEntryFromUser: Bool {
        kind != .call && kind != .start && callSite >> 63 == 0 && target >> 63 != 0
    }

    /// Whether the call is one of a PC's firmware: its code is below 1 MiB or at the end of the first 4 GiB.
    fileprivate var isFirmware: Bool {
        [callSite, target].contains { (0xa0000..<0x10_0000).contains($0) || (0xfffc_0000..<0x1_0000_0000).contains($0) }
    }

    /// Whether a frame of another log is the same call. The clocks can be off.
    func isSame(_ other: CallFrame) -> Bool {
        callSite == other.callSite && target == other.target && kind == other.kind
    }
}
