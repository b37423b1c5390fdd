// SPDX-License-Identifier: GPL-2.0-or-later

import Foundation
import LogFormat
import Synchronization
import Testing

@Suite("Logs that were not closed")
struct RecoveryTests {
    @Test("everything committed comes back, and the log verifies", arguments: [1, 15, 16, 17, 100, 200])
    func abandoned(branches: Int) throws {
        let scratch = Scratch()
        try SampleLog(isCompressed: true, branches: branches).write(to: scratch.file("whole"))
        try SampleLog(isCompressed: true, branches: branches, isAbandoned: true).write(to: scratch.file("log"))
        let whole = try LogFile(path: scratch.file("whole"))
        let log = try LogFile(path: scratch.file("log"))
        #expect(log.completeness == .unclosed(openFileFound: true))
        #expect(log.structuralDamage == [])
        #expect(log.chunks.contains { $0.isOpenSlot && $0.flags.contains(.recovered) })
        let contents = Contents(log)
        #expect(contents.branches == Contents(whole).branches)
        let compared = { (contents: Contents) in contents.events.filter { $0.value.stream != .meta } }
        #expect(compared(contents) == compared(Contents(whole)))
        #expect(log.attributes == ["guest": "sample"])
        #expect(log.verify().damage == [])
        #expect(log.verify().recordsRead[.branch] == UInt64(2 * branches))
        let partial: ChunkFlags = [.recovered, .partialTail]
        for chunk in log.chunks where chunk.stream.isCompared {
            let same = whole.chunks.first {
                $0.stream == chunk.stream && $0.vcpu == chunk.vcpu && $0.epoch == chunk.epoch && $0.cell == chunk.cell
                    && $0.part == chunk.part
            }
            #expect(same?.digests == chunk.digests)
            #expect(same?.chain == chunk.chain)
            #expect(same?.flags.subtracting(partial) == chunk.flags.subtracting(partial))
        }
    }

    @Test("what the reader brings back is what the writer recovers")
    func sameAsWriter() throws {
        let scratch = Scratch()
        try SampleLog(isAbandoned: true).write(to: scratch.file("log"))
        let before = Contents(try LogFile(path: scratch.file("log")))
        try LogWriter(appendingTo: scratch.file("log")).close()
        let log = try LogFile(path: scratch.file("log"))
        #expect(log.completeness == .closed)
        #expect(log.verify().damage == [])
        let after = Contents(log)
        #expect(after.branches == before.branches)
        #expect(after.differences(from: before) == [])
        #expect(after.count == before.count)
    }

    @Test("a log without its open file reports that records may be missing")
    func openFileMissing() throws {
        let scratch = Scratch()
        try SampleLog(isAbandoned: true).write(to: scratch.file("log"))
        let before = Contents(try LogFile(path: scratch.file("log")))
        try FileManager.default.removeItem(atPath: scratch.file("log.open"))
        let log = try LogFile(path: scratch.file("log"))
        #expect(log.completeness == .unclosed(openFileFound: false))
        #expect(log.structuralDamage.map(\.what) == [.openFileMissing])
        let contents = Contents(log)
        #expect(contents.differences(from: before) == [])
        #expect(contents.branches.count < before.branches.count)
    }

    @Test("the open file of another log is left unchanged")
    func otherLog() throws {
        let scratch = Scratch()
        try SampleLog(isAbandoned: true).write(to: scratch.file("log"))
        var open = LogImage(bytes: try readBytes(scratch.file("log.open")))
        open.set(UInt64(77), at: 16)
        open.repairOpenFile()
        try writeBytes(open.bytes, scratch.file("log.open"))
        let log = try LogFile(path: scratch.file("log"))
        #expect(log.completeness == .unclosed(openFileFound: false))
        #expect(log.chunks.filter(\.isOpenSlot) == [])
    }

    /// Writes 40 branches, in cells of 16, and copies the open file after 30 of them, or after `moment`.
    private func writeWithOldOpenFile(_ scratch: Scratch, copiedAt moment: UInt64 = 30) throws {
        var options = LogWriter.Options()
        options.branchCellShift = 4
        options.isCompressed = false
        let writer = try LogWriter(path: scratch.file("log"), options: options)
        for clock in 0..<40 as Range<UInt64> {
            if clock == moment {
                try FileManager.default.copyItem(atPath: scratch.file("log.open"), toPath: scratch.file("old"))
            }
            writer.branch(from: clock * 7, to: clock * 9, icount: clock, label: BranchLabel(.ret))
        }
        writer.abandon()
        try FileManager.default.removeItem(atPath: scratch.file("log.open"))
        try FileManager.default.moveItem(atPath: scratch.file("old"), toPath: scratch.file("log.open"))
    }

    @Test("a slot that repeats a chunk in the log gives way to it")
    func repeatedSlot() throws {
        let scratch = Scratch()
        try writeWithOldOpenFile(scratch)
        let log = try LogFile(path: scratch.file("log"))
        #expect(log.chunks.map(\.cell) == [0, 1])
        #expect(log.chunks.filter(\.isOpenSlot) == [])
        #expect(Contents(log).branches.count == 32)
    }

    @Test("a slot comes in for a chunk whose body did not get to the disk")
    func tornChunk() throws {
        let scratch = Scratch()
        try writeWithOldOpenFile(scratch)
        var image = LogImage(bytes: try readBytes(scratch.file("log")))
        let torn = try #require(image.chunks.last)
        for index in (torn + 192)..<image.bytes.count { image.bytes[index] = 0 }
        try writeBytes(image.bytes, scratch.file("log"))
        let log = try LogFile(path: scratch.file("log"))
        #expect(log.chunks.map(\.isOpenSlot) == [false, true])
        #expect(Contents(log).branches.count == 30)

        image.bytes.removeSubrange((torn + 200)...)
        try writeBytes(image.bytes, scratch.file("log"))
        #expect(Contents(try LogFile(path: scratch.file("log"))).branches.count == 30)
    }

    /// A writer that is killed in the middle of a write leaves the beginning of the chunk, and the chunk in its slot.
    @Test("a chunk that was written in part is no damage if its slot has the records", arguments: [0, 100, 200])
    func halfWrittenChunk(present: Int) throws {
        let scratch = Scratch()
        try writeWithOldOpenFile(scratch, copiedAt: 32)
        var image = LogImage(bytes: try readBytes(scratch.file("log")))
        let torn = try #require(image.chunks.last)
        image.bytes.removeSubrange((torn + present)...)
        try writeBytes(image.bytes, scratch.file("log"))
        let log = try LogFile(path: scratch.file("log"))
        #expect(log.structuralDamage == [])
        #expect(Contents(log).branches.count == 32)
    }

    @Test("a chunk that was written in part is damage if its slot has only some of the records")
    func halfWrittenChunkThatIsLost() throws {
        let scratch = Scratch()
        try writeWithOldOpenFile(scratch)
        var image = LogImage(bytes: try readBytes(scratch.file("log")))
        let torn = try #require(image.chunks.last)
        image.bytes.removeSubrange((torn + 200)...)
        try writeBytes(image.bytes, scratch.file("log"))
        let damage = try LogFile(path: scratch.file("log")).structuralDamage
        #expect(damage.map(\.offset) == [UInt64(torn)])
    }

    @Test("a log that is being written can be read, and is known as such")
    func beingWritten() throws {
        let scratch = Scratch()
        var options = LogWriter.Options()
        options.branchCellShift = 4
        let writer = try LogWriter(path: scratch.file("log"), options: options)
        for clock in 0..<100 as Range<UInt64> {
            writer.branch(from: clock, to: clock, label: BranchLabel(.ret))
            let log = try LogFile(path: scratch.file("log"))
            #expect(log.completeness == .beingWritten)
            #expect(log.structuralDamage == [])
            #expect(Contents(log).branches.count == Int(clock) + 1)
        }
        #expect(throws: LogError.self) { try LogWriter(path: scratch.file("log")) }
        try writer.close()
        #expect(try LogFile(path: scratch.file("log")).completeness == .closed)
    }

    @Test("mode digest: open slots replace bodies that were elided")
    func digestMode() throws {
        let scratch = Scratch()
        var options = LogWriter.Options()
        options.mode = .digest
        options.branchCellShift = 4
        let writer = try LogWriter(path: scratch.file("log"), options: options)
        for clock in 0..<100 as Range<UInt64> { writer.branch(from: clock, to: clock, label: BranchLabel(.ret)) }
        writer.abandon()
        let log = try LogFile(path: scratch.file("log"))
        #expect(log.chunks.map(\.cell) == Array(0..<7))
        #expect(log.chunks.last.map(\.isElided) == false)
        #expect(log.verify().damage == [])
        var cursor = log.branches(from: 96)
        #expect(cursor.next()?.clock == 96)
    }

    @Test("a log read while threads write it is a prefix at every moment")
    func concurrent() throws {
        let scratch = Scratch()
        var options = LogWriter.Options()
        options.branchCellShift = 8
        options.sealsInline = false
        let writer = try LogWriter(path: scratch.file("log"), options: options)
        let isDone = Atomic(false)
        try withThread {
            for clock in 0..<200_000 as Range<UInt64> {
                if clock % 64 == 0 {
                    writer.event(Event(stream: .event, kind: .interrupt, clock: clock))
                }
                writer.branch(from: clock, to: clock + 3, icount: clock, label: BranchLabel(.ret))
            }
            isDone.store(true, ordering: .releasing)
        } meanwhile: {
            var last = 0
            while !isDone.load(ordering: .acquiring) {
                let log = try LogFile(path: scratch.file("log"))
                #expect(log.completeness == .beingWritten)
                #expect(log.structuralDamage == [])
                var cursor = log.branches()
                var count = 0
                while cursor.nextBatch({ batch, range in
                    #expect(batch[range.lowerBound].from == UInt64(count))
                    #expect(batch[range.upperBound - 1].to == UInt64(count + range.count + 2))
                    count += range.count
                }) {}
                #expect(cursor.skipped == [])
                #expect(count >= last)
                last = count
            }
        }
        try writer.close()
        #expect(try LogFile(path: scratch.file("log")).verify().isIntact)
    }

    private func withThread(_ work: @escaping @Sendable () -> Void, meanwhile: () throws -> Void) throws {
        let thread = Thread(block: work)
        thread.start()
        try meanwhile()
        while !thread.isFinished { usleep(1000) }
    }

    @Test("a log that is cut short under the reader is damage, not a fault")
    func shrinking() throws {
        let scratch = Scratch()
        try SampleLog().write(to: scratch.file("log"))
        let log = try LogFile(path: scratch.file("log"))
        #expect(truncate(scratch.file("log"), 6000) == 0)
        let contents = Contents(log)
        #expect(contents.branches.count < 400)
        #expect(contents.damage.allSatisfy { if case .truncated(.body, _, _) = $0.what { true } else { false } })
        #expect(!contents.damage.isEmpty)
        #expect(!log.verify().isIntact)
    }
}

@Suite("Logs of many directories")
struct ManyDirectoriesTests {
    /// Writes this number of one-branch chunks; the writer adds a directory after every 4096 chunks.
    private func write(_ branches: Int, to path: String, isAbandoned: Bool) throws {
        var options = LogWriter.Options()
        options.branchCellShift = 1
        options.isCompressed = false
        let writer = try LogWriter(path: path, options: options)
        for clock in 0..<UInt64(branches * 2) {
            writer.branch(from: clock, to: clock, icount: clock, label: BranchLabel(.ret))
        }
        if isAbandoned { writer.abandon() } else { try writer.close() }
    }

    @Test("a closed log of more than 4096 chunks is opened by its directories")
    func closed() throws {
        let scratch = Scratch()
        try write(9000, to: scratch.file("log"), isAbandoned: false)
        let log = try LogFile(path: scratch.file("log"))
        #expect(log.completeness == .closed)
        #expect(log.structuralDamage == [])
        #expect(log.chunks.count == 9000)
    }

    @Test("one recovered by the writer too", arguments: [4096, 4097, 9000])
    func recovered(chunks: Int) throws {
        let scratch = Scratch()
        try write(chunks, to: scratch.file("log"), isAbandoned: true)
        let before = try LogFile(path: scratch.file("log"))
        #expect(before.completeness == .unclosed(openFileFound: true))
        #expect(before.structuralDamage == [])
        #expect(before.chunks.count == chunks)
        try LogWriter(appendingTo: scratch.file("log")).close()
        let log = try LogFile(path: scratch.file("log"))
        #expect(log.completeness == .closed)
        #expect(log.structuralDamage == [])
        #expect(log.chunks.count == chunks)
        #expect(log.verify().isIntact)
    }
}
