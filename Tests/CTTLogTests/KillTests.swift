// SPDX-License-Identifier: GPL-2.0-or-later

import CTTLog
import Glibc
import Testing

/// A recorder is killed at random moments; every record that it committed can be read.
@Suite struct KillTests {
    @Test(arguments: [TTLOG_MODE_BRANCHES, TTLOG_MODE_EVENTS])
    func aKilledWriterLosesNothing(mode: ttlog_mode) throws {
        var numbers = Sequence64(state: UInt64(mode.rawValue))
        var sealed = 0
        for round in 0..<25 {
            let directory = try temporaryDirectory()
            let log = directory + "/ttd.log"
            let oracle = try Torture.makeOracle(in: directory)
            let child = try Program(
                try Torture.executable(), [log, oracle, "mode=\(mode.rawValue)", "codec=\(round % 2)"])
            // Progress, not time, selects the moment, so that it is not too early on a loaded machine. A chunk is full after
            // 65,536 branches (1,074 events) or 4,096 events.
            let moment = Int(numbers.next() % (mode == TTLOG_MODE_BRANCHES ? 2200 : 9000))
            while try Torture.committed(oracle).events <= moment { usleep(50) }
            // The helper thread seals, and on a loaded machine it may wait. So half of the kills come after its first chunk
            // has been started.
            if round & 2 != 0 { while fileSize(log) <= Int(TTLOG_FILE_HEADER_SIZE) { usleep(50) } }
            usleep(UInt32(numbers.next() % 200))
            kill(child.process, SIGKILL)
            #expect(try child.wait().signal == SIGKILL)

            let committed = try Torture.committed(oracle)
            let image = try LogImage(path: log)
            let open = try OpenImage(path: log + ".open")
            let branches = allBranches(image, open)
            let events = allEvents(image, open)
            #expect(image.problems.isEmpty && !image.isClosed)
            #expect(branches.count >= committed.branches)
            #expect(Torture.firstDifference(branches) == nil)
            #expect(events.count >= committed.events)
            #expect(Torture.firstDifference(events) == nil)
            sealed += image.chunks.count

            // The writer's own recovery has the same result.
            try TestLog(appendingTo: log).close()
            let recovered = try LogImage(path: log)
            #expect(recovered.isClosed && recovered.problems.isEmpty && !fileExists(log + ".open"))
            #expect(allBranches(recovered, nil) == branches)
            #expect(allEvents(recovered, nil) == events)
            removeDirectory(directory)
        }
        // Some kills came after the first sealed chunk.
        #expect(sealed > 0)
    }

    /// The host program's threads handle signals; the helper blocks them.
    @Test func theHelperTakesNoSignals() throws {
        let directory = try temporaryDirectory()
        let oracle = try Torture.makeOracle(in: directory)
        let child = try Program(try Torture.executable(), [directory + "/ttd.log", oracle])
        while try Torture.committed(oracle).events == 0 { usleep(100) }
        let tasks = try Program("/bin/sh", ["-c", "grep -h SigBlk /proc/\(child.process)/task/*/status"]).wait().output
        kill(child.process, SIGKILL)
        try child.wait()
        let masks = tasks.split(separator: "\n").compactMap { UInt64($0.dropFirst(8), radix: 16) }
        #expect(masks.count == 2)
        let signals = [SIGINT, SIGTERM, SIGUSR1, SIGALRM, SIGXFSZ].reduce(UInt64(0)) { $0 | 1 << UInt64($1 - 1) }
        #expect(masks.filter { $0 & signals == signals }.count == 1)
        removeDirectory(directory)
    }
}

/// 0 when there is no such file.
private func fileSize(_ path: String) -> Int {
    var status = stat()
    return stat(path, &status) == 0 ? Int(status.st_size) : 0
}

func removeDirectory(_ path: String) {
    for name in ["ttd.log", "ttd.log.open", "oracle"] { unlink(path + "/" + name) }
    rmdir(path)
}
