// SPDX-License-Identifier: GPL-2.0-or-later

import CTTLog
import Glibc
import Testing

/// A full disk ends the logging, not the guest.
@Suite struct DiskFullTests {
    static let isRoot = geteuid() == 0
    static let branchCount = 4_000_000

    @Test(.enabled(if: isRoot, "a small file system can be mounted by root only"), arguments: [UInt8(0), 1])
    func theLogIsClosedWithTheReserve(codec: UInt8) throws {
        try withFileSystem(size: codec == 0 ? "20m" : "17m") { directory in
            let log = directory + "/ttd.log"
            let oracle = try Torture.makeOracle(in: try temporaryDirectory())
            let child = try Program(
                try Torture.executable(), [log, oracle, "codec=\(codec)", "branches=\(Self.branchCount)"])
            let end = try child.wait()
            #expect(end.signal == 0 && end.status == 0)
            // The log is closed, and the close reports why records are missing.
            #expect(end.output == "0 \(ENOSPC)\n")
            #expect(!fileExists(log + ".open"))
            try checkLoss(log)
        }
    }

    /// Random addresses do not compress, so the slots hold more than the reserve. The open file must stay.
    @Test(.enabled(if: isRoot, "a small file system can be mounted by root only"))
    func theOpenFileStaysWhenTheReserveIsTooSmall() throws {
        try withFileSystem(size: "20m") { directory in
            let log = directory + "/ttd.log"
            let oracle = try Torture.makeOracle(in: try temporaryDirectory())
            let child = try Program(
                try Torture.executable(), [log, oracle, "random=1", "branches=\(Self.branchCount)"])
            let end = try child.wait()
            #expect(end.signal == 0 && end.output == "-1 \(ENOSPC)\n")
            let image = try LogImage(path: log)
            let open = try OpenImage(path: log + ".open")
            // A chunk that was written in part is cut off: the log ends with its last chunk.
            #expect(image.problems.isEmpty && image.end == image.bytes.count && !image.isClosed)
            let branches = allBranches(image, open)
            #expect(branches.count == (try Torture.committed(oracle).branches))
            #expect(branches.count + Int(open.header.lost.1) == Self.branchCount)
            #expect(Torture.firstDifference(branches, random: true) == nil)
            #expect(open.header.error == UInt64(ENOSPC))

            // With more space the log can be closed.
            #expect(throws: WriterProblem.self) { try TestLog(appendingTo: log) }
            #expect(fileExists(log + ".open"))
            #expect(mount("none", directory, "tmpfs", UInt(MS_REMOUNT), "size=40m") == 0)
            try TestLog(appendingTo: log).close()
            let recovered = try LogImage(path: log)
            #expect(recovered.isClosed && recovered.problems.isEmpty && !fileExists(log + ".open"))
            #expect(allBranches(recovered, nil) == branches)
            #expect(recovered.trailers.last?.lost_records == open.header.lost.1 + open.header.lost.2)
        }
    }

    /// RLIMIT_FSIZE raises SIGXFSZ, which would end the process: the writer must suppress it in both ways of sealing.
    @Test func aFileSizeLimitDoesNotKill() throws {
        let directory = try temporaryDirectory()
        let log = directory + "/ttd.log"
        let oracle = try Torture.makeOracle(in: directory)
        let child = try Program(
            try Torture.executable(), [log, oracle, "branches=\(Self.branchCount)", "limit=3000000"])
        let end = try child.wait()
        #expect(end.signal == 0)
        #expect(end.output == "-1 \(EFBIG)\n")
        let image = try LogImage(path: log)
        let open = try OpenImage(path: log + ".open")
        let branches = allBranches(image, open)
        #expect(image.problems.isEmpty && image.end == image.bytes.count)
        #expect(branches.count + Int(open.header.lost.1) == Self.branchCount)
        #expect(Torture.firstDifference(branches) == nil)
        // Without the limit the log can be closed.
        try TestLog(appendingTo: log).close()
        #expect(allBranches(try LogImage(path: log), nil).count == branches.count)
        removeDirectory(directory)
    }

    @Test(.enabled(if: isRoot, "a small file system can be mounted by root only"))
    func aFileSystemWithoutRoomForTheOpenFileIsAnError() throws {
        try withFileSystem(size: "1m") { directory in
            let problem = #expect(throws: WriterProblem.self) {
                try TestLog(path: directory + "/ttd.log") { $0.branch_cell_shift = 16 }
            }
            #expect(problem?.code == ENOSPC)
            #expect(problem?.message.contains("ttd.log.open") == true)
            // No file remains.
            #expect(!fileExists(directory + "/ttd.log") && !fileExists(directory + "/ttd.log.open"))
        }
    }

    private func checkLoss(_ log: String) throws {
        let image = try LogImage(path: log)
        #expect(image.problems.isEmpty && image.isClosed)
        let branches = allBranches(image, nil)
        let events = allEvents(image, nil)
        #expect(Torture.firstDifference(branches) == nil)
        #expect(Torture.firstDifference(events) == nil)
        let lostBranches = Self.branchCount - branches.count
        let lostEvents = (Self.branchCount + 60) / 61 - events.count
        #expect(lostBranches > 0)
        #expect(image.trailers.last?.lost_records == UInt64(lostBranches + lostEvents))
        // There is a record for each stream with a loss: stream, records, clock after the loss.
        let losses = image.metaChunks.flatMap { $0.events() ?? [] }.filter { $0.kind == 66 }
        var expected = [[UInt64(1), UInt64(lostBranches), UInt64(Self.branchCount)]]
        if lostEvents > 0 { expected.append([2, UInt64(lostEvents), UInt64(Self.branchCount)]) }
        #expect(
            losses.map { loss in
                (0..<3).map { load(loss.payload, 8 * $0) as UInt64 }
            } == expected)
    }

    /// Runs the body with a small tmpfs.
    private func withFileSystem(size: String, _ body: (String) throws -> Void) throws {
        let directory = try temporaryDirectory()
        guard mount("none", directory, "tmpfs", 0, "size=\(size)") == 0 else {
            throw FileProblem(path: directory, code: errno)
        }
        defer {
            umount2(directory, Int32(MNT_DETACH))
            rmdir(directory)
        }
        try body(directory)
    }
}
