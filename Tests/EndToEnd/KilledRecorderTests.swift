// SPDX-License-Identifier: GPL-2.0-or-later

@preconcurrency import Glibc
import LogFormat
import RunDirectory
import TestSupport
import Testing

@testable import ReplaySession

/// A page in which the plugin counts committed records: it outlives the plugin, also if QEMU is killed.
private final class Oracle {
    let path: String
    private let page: UnsafeMutableRawPointer
    private static let size = 4096

    init(path: String) throws {
        self.path = path
        let descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        try #require(descriptor >= 0)
        defer { close(descriptor) }
        try #require(ftruncate(descriptor, off_t(Oracle.size)) == 0)
        let mapped = mmap(nil, Oracle.size, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0)
        page = try #require(mapped == MAP_FAILED ? nil : mapped)
    }

    deinit { munmap(page, Oracle.size) }

    var branches: UInt64 { page.load(as: UInt64.self) }
    /// Events and accesses.
    var events: UInt64 { page.load(fromByteOffset: 8, as: UInt64.self) }
}

extension EndToEndTests {
    /// A killed recorder loses nothing that it has committed: fifty replays of one recording are killed, each at
    /// another moment. The plugin's oracle counts the committed records. At least these are recovered, from the files
    /// as they are and again after they have been closed, and they are the beginning of the uninterrupted run.
    @Test func fiftyKilledRecordersLoseNothing() throws {
        let scratch = try temporaryDirectory()
        let directory = scratch.file("run")
        let guest = try Products.guest(rounds: 120, in: scratch)
        #expect(try record(guest, into: directory).status == 0)
        let whole = try LogFile(path: directory)
        let total = UInt64(whole.chunks(.branch, vcpu: 0).reduce(0) { $0 + $1.count })
        let manifest = try Manifest.read("\(directory)/manifest.json")
        let details = try QEMUDetails(manifest)
        let qemu = QEMUProgram(path: details.program, version: manifest.engine.version)
        var random = RandomNumbers(seed: 20_261_121)

        var killed = 0
        for round in 0..<50 {
            let log = scratch.file("killed-\(round).log")
            let oracle = try Oracle(path: scratch.file("oracle-\(round)"))
            var plugin = try #require(details.plugin)
            plugin.options = ["oracle=\(oracle.path)"]
            var command = QEMUCommandLine(
                program: qemu.path, direction: .replay, guest: details.guest,
                inputLog: "\(directory)/replay.bin", serialLog: scratch.file("serial"),
                plugin: plugin.argument(log: log, runKind: .replay, uuid: manifest.recordingUUID, qemu: qemu))
            // Nothing answers the monitor, so nothing would resume the guest.
            command.startsPaused = false
            let (monitor, far) = try QMPClient.pair()
            let process = try ChildProcess(
                path: command.program, arguments: command.arguments,
                inheriting: [(far, QEMUCommandLine.monitorDescriptor)], output: scratch.file("qemu.log"))
            close(far)
            // At a random branch rather than at a random time: the machine may be slow.
            let moment = random.below(total)
            while process.poll() == nil, oracle.branches < moment { sched_yield() }
            usleep(useconds_t(random.below(200)))
            process.endNow()
            withExtendedLifetime(monitor) {}
            killed += process.end == .signaled(signal: SIGKILL) ? 1 : 0

            let found = try LogFile(path: log)
            try expectBeginning(found, of: whole, branches: oracle.branches, events: oracle.events, "killed \(round)")
            try LogWriter(appendingTo: log).close()
            let closed = try LogFile(path: log)
            #expect(closed.completeness == .closed)
            try expectBeginning(closed, of: whole, branches: oracle.branches, events: oracle.events, "closed \(round)")
            unlink(log)
        }
        // Some may have reached their end before they were hit.
        #expect(killed >= 45)
    }

    private func count(_ log: LogFile, _ stream: LogStream) -> UInt64 {
        UInt64(log.chunks(stream, vcpu: 0).reduce(0) { $0 + $1.count })
    }

    /// Checks that a log has at least this number of records, and that they are the beginning of the complete run.
    private func expectBeginning(
        _ log: LogFile, of whole: LogFile, branches: UInt64, events: UInt64, _ which: String
    ) throws {
        #expect(log.structuralDamage.isEmpty, "\(which): \(log.structuralDamage)")
        #expect(count(log, .branch) >= branches, "\(which)")
        #expect(count(log, .event) + count(log, .access) >= events, "\(which)")
        for stream in [LogStream.branch, .event, .access] {
            for (chunk, original) in zip(log.chunks(stream, vcpu: 0), whole.chunks(stream, vcpu: 0)) {
                if chunk.count == original.count {
                    #expect(chunk.digests == original.digests, "\(which): \(stream), cell \(chunk.cell)")
                } else {
                    // The last one of its stream.
                    #expect(chunk.firstOrdinal + UInt64(chunk.count) == count(log, stream), "\(which): \(stream)")
                    try expectSameRecords(chunk, of: log, original, of: whole, which)
                }
            }
        }
    }

    /// Compares record by record, as many as the first chunk has.
    private func expectSameRecords(
        _ chunk: Chunk, of log: LogFile, _ original: Chunk, of whole: LogFile, _ which: String
    ) throws {
        var difference: Int?
        if chunk.stream == .branch {
            var found = BranchBatch()
            var expected = BranchBatch()
            try log.decode(chunk, into: &found)
            try whole.decode(original, into: &expected)
            for index in 0..<found.count where difference == nil && found[index] != expected[index] {
                difference = index
            }
        } else {
            var found = EventBatch()
            var expected = EventBatch()
            try log.decode(chunk, into: &found)
            try whole.decode(original, into: &expected)
            for index in 0..<found.count where difference == nil {
                var (one, other) = (found[index], expected[index])
                // Host data, different in each run.
                (one.ticket, one.tsc, one.privatePayload) = (0, 0, [])
                (other.ticket, other.tsc, other.privatePayload) = (0, 0, [])
                if one != other { difference = index }
            }
        }
        #expect(difference == nil, "\(which): \(chunk.stream), cell \(chunk.cell)")
    }
}
