// SPDX-License-Identifier: GPL-2.0-or-later

import Glibc
import LogFormat

/// Fills the table of console lines: the lines of `serial.log`, each with the position at which its last byte was
/// written, from QEMU's `replay.bin`.
///
/// Both files are in the log's directory; a replay has the `replay.bin` of its recording, two directories up. QEMU
/// counts instructions that were executed, the log those that began: ``ReplayJoin`` finds the faults by which they
/// differ.
struct ConsoleStage {
    private let log: LogFile
    private let database: Database
    private var problems = ProblemCounts(.console)

    /// The length in bytes at which lines are cut.
    private static let lineLimit = 4096
    /// Bytes of a serial.log that are read at most.
    private static let sizeLimit = 256 << 20

    init(_ log: LogFile, _ database: Database) {
        self.log = log
        self.database = database
    }

    mutating func run() throws(SQLError) {
        let directory = IndexLocation.directory(log.path)
        if let text = ConsoleStage.read("\(directory)/serial.log") {
            try write(text, positions(of: text.count, directory))
        } else {
            problems.add(.consoleMissing, source: "serial.log", text: "no serial.log beside the log")
        }
        try problems.write(to: database)
    }

    /// The lines of the console; `positions` has the instruction count of each byte.
    private func write(_ text: [UInt8], _ positions: [UInt64]) throws(SQLError) {
        let insert = try database.prepare("INSERT INTO _console VALUES (?, ?, ?, ?)")
        let finder = PositionFinder(log, vcpu: 0)
        var line: Int64 = 0
        var start = 0
        while start < text.count {
            let end = text[start...].firstIndex(of: 0x0a) ?? text.count
            var bytes = text[start..<end]
            while bytes.last == 0x0d { bytes.removeLast() }
            line += 1
            let icount = end < positions.count ? positions[end] : nil
            insert.bind(1, line)
            insert.bind(2, String(decoding: bytes.prefix(ConsoleStage.lineLimit), as: UTF8.self))
            insert.bind(3, bits: icount.flatMap { count in (try? finder.clock(icount: count)) ?? nil })
            insert.bind(4, bits: icount)
            try insert.run()
            start = end + 1
        }
    }

    /// The log's instruction count at which each byte of the console was written.
    private mutating func positions(of count: Int, _ directory: String) -> [UInt64] {
        let paths = ["\(directory)/replay.bin", "\(directory)/../../replay.bin"]
        guard let path = paths.first(where: { access($0, R_OK) == 0 }) else {
            problems.add(.consoleMissing, source: "replay.bin", text: "no replay.bin: lines have no positions")
            return []
        }
        do {
            let replay = try QEMUReplayLog(path: path)
            let join = try ReplayJoin.join(log, with: replay)
            problems.add(
                .replayLeftover, source: "replay.bin", count: UInt64(clamping: join.eventsWithoutTransition),
                text: "positions after the first of them may be off")
            let written = try replay.consoleBytes()
            if let damage = replay.damage {
                problems.add(.replayDamage, source: "replay.bin", text: damage.description)
            }
            if written.count != count {
                problems.add(
                    .consoleMismatch, source: "serial.log",
                    text:
                        "serial.log has \(count) bytes, replay.bin \(written.count): lines after the first difference "
                        + "have wrong positions")
            }
            return ConsoleStage.adjusted(written, join)
        } catch {
            problems.add(.replayDamage, source: "replay.bin", text: "\(error)")
            return []
        }
    }

    /// Adds to each of QEMU's counts the faults before it that were undone.
    private static func adjusted(_ written: [UInt64], _ join: ReplayJoin) -> [UInt64] {
        let faults = join.causes.filter { $0.kind == .fault }.map(\.icount).sorted()
        var place = 0
        return written.map { count in
            while place < faults.count, faults[place] <= count &+ UInt64(place) { place += 1 }
            return count &+ UInt64(place)
        }
    }

    private static func read(_ path: String) -> [UInt8]? {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else { return nil }
        var bytes = [UInt8](repeating: 0, count: min(Int(status.st_size), sizeLimit))
        var done = 0
        let size = bytes.count
        bytes.withUnsafeMutableBytes { buffer in
            while done < size, let base = buffer.baseAddress {
                let count = pread(descriptor, base + done, size - done, off_t(done))
                guard count > 0 else { return }
                done += count
            }
        }
        return Array(bytes.prefix(done))
    }
}
