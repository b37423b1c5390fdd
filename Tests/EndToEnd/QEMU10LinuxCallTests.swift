// SPDX-License-Identifier: GPL-2.0-or-later

import CallTree
import LogFormat
import Testing

extension EndToEndTests.QEMU10.Linux {
    /// At each return to user code exactly the entry from there is open, before anything is repaired, and the open calls
    /// had to be found again less than once in 100,000 branches.
    @Test func theCallTreeDoesNotDrift() throws {
        let log = try LogFile(path: LinuxRecording.current)
        var tracker = CallTracker(handlers: HandlerSet(log, vcpu: 0))
        var branches = log.branches()
        while branches.nextBatch({ tracker.append($0, $1) }) {}
        #expect(branches.skipped.isEmpty)
        let statistics = tracker.statistics
        #expect(statistics.branches > 100_000_000)
        #expect(statistics.userReturns > 1000)
        #expect(statistics.levelUserReturns == statistics.userReturns)
        #expect(statistics.switches > 100)
        #expect(statistics.resynchronisations < statistics.branches / 100_000)
        print(
            "call tree of a Linux boot: \(statistics.resynchronisations) resynchronisations in \(statistics.branches)"
                + " branches, \(statistics.levelUserReturns) of \(statistics.userReturns) returns to user code level")
    }
}
