// SPDX-License-Identifier: GPL-2.0-or-later

import LogFormat
import TestSupport
import Testing

@testable import BranchAnalysis

/// The targets of a log's calls.
@Suite struct CallTargetsTests {
    private let directory: TemporaryDirectory

    init() throws { directory = try TemporaryDirectory() }

    private func log(_ text: String) throws -> LogFile {
        let path = directory.file("\(text.hashValue).log")
        try assemble(text, to: path)
        return try LogFile(path: path)
    }

    @Test func onlyCallsCountEachTargetOnce() throws {
        let log = try log(
            """
            branch 0x1000 -> 0x2000 call!
            branch 0x2010 -> 0x3000 call-indirect
            branch 0x3010 -> 0x2020 jmp!
            branch 0x2030 -> 0x1005 ret
            branch 0x1010 -> 0x2000 call!
            branch 0xffffffff81000000 -> 0xffffffff81000100 call!
            branch 0xffffffff81000000 -> 0xffffffffffffffff call!
            branch 0x1020 -> 0x4000 none
            branch 0x1030 -> 0x5000 syscall
            """)
        #expect(CallTargets.all(log, in: CallTargets.lowerHalf) == [0x2000, 0x3000])
        #expect(CallTargets.all(log, in: CallTargets.upperHalf) == [0xffff_ffff_8100_0100, .max])
        #expect(CallTargets.all(log, in: 0x2001...0x3000) == [0x3000])
        #expect(CallTargets.all(log, in: CallTargets.lowerHalf, from: 1, to: 3) == [0x3000])
        #expect(CallTargets.sample(log, in: CallTargets.lowerHalf) == [0x2000, 0x3000])
    }

    @Test func aLogWithoutClassesHasNone() throws {
        let log = try log("options features=branches\nbranch 0x1000 -> 0x2000 call!")
        #expect(!log.header.features.contains(.labels))
        #expect(CallTargets.all(log, in: CallTargets.lowerHalf).isEmpty)
        #expect(CallTargets.sample(log, in: CallTargets.lowerHalf).isEmpty)
    }

    /// A sample reads some chunks only, and more of them where it does not find enough.
    @Test func aSampleReadsAFewChunks() throws {
        var text = "options branch-cell-shift=4\n"
        for index in 0..<4096 { text += "branch 0x1000 -> \(0x10_0000 + index * 16) call!\n" }
        let log = try log(text)
        #expect(log.chunks(.branch, vcpu: 0).count == 256)
        let few = CallTargets.sample(log, in: CallTargets.lowerHalf, enough: 20)
        #expect(few.count == 32)
        let more = CallTargets.sample(log, in: CallTargets.lowerHalf)
        #expect(more.count == 48 * 16)
        // From beginning to end.
        #expect(more.first == 0x10_0000 && more.last == 0x10_0000 + 4095 * 16)
        #expect(CallTargets.all(log, in: CallTargets.lowerHalf).count == 4096)
    }

    @Test func moreThanTheLimitIsNotKept() throws {
        let limit = 5000
        let count = limit + 1000
        let path = directory.file("many.log")
        let writer = try LogWriter(path: path)
        for index in 0..<UInt64(count) {
            writer.branch(from: 1, to: 0x1000 + index * 8, icount: index, label: BranchLabel(.call))
        }
        try writer.close()
        #expect(CallTargets.all(try LogFile(path: path), in: CallTargets.lowerHalf, limit: limit).count == limit)
    }
}
