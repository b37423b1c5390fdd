// SPDX-License-Identifier: GPL-2.0-or-later

import Formatting
@preconcurrency import Glibc
import Reporting
import RunDirectory

/// The output of `diverge --pairs`: JSON lines, in the order of the pairs. It is locked while it is open.
///
/// It is read and written a piece at a time: memory does not depend on the number of pairs.
final class FleetOutput {
    private let path: String
    private let descriptor: Int32

    /// The longest line of an earlier call that is read, in bytes.
    private static let lineLimit = 1 << 20

    /// Opens the output and locks it, so that two calls do not write to one file.
    init(_ path: String) throws {
        self.path = path
        descriptor = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0o666)
        guard descriptor >= 0 else {
            throw DivergeError("\(path.onOneLine): cannot be opened: \(String(cString: strerror(errno)))")
        }
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
            throw DivergeError("\(path.onOneLine): another tt-analyze is writing to it")
        }
    }

    deinit { if descriptor >= 0 { close(descriptor) } }

    /// Checks the lines that the output has, and cuts off an incomplete last one.
    ///
    /// - Parameter pairs: the pairs of this call.
    /// - Returns: The number of pairs that are done.
    func resume(_ pairs: [PairList.Pair], _ table: inout FleetTable) throws -> Int {
        let file = try PlainFile(path, what: "output")
        var (done, end) = (0, 0 as UInt64)
        var line: [UInt8] = []
        var block = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let count = try block.withUnsafeMutableBytes { try file.read(into: $0) }
            if count == 0 { break }
            for part in block[..<count].split(
                separator: UInt8(ascii: "\n"), maxSplits: Int.max, omittingEmptySubsequences: false
            ).enumerated() {
                if part.offset > 0 {
                    try add(line, done, pairs, &table)
                    (done, end) = (done + 1, end + UInt64(line.count) + 1)
                    line.removeAll(keepingCapacity: true)
                }
                line += part.element
                guard line.count <= FleetOutput.lineLimit else { throw foreign(done) }
            }
        }
        guard line.isEmpty || ftruncate(descriptor, off_t(end)) == 0 else {
            throw DivergeError("\(path.onOneLine): cannot be cut: \(String(cString: strerror(errno)))")
        }
        return done
    }

    private func add(_ text: [UInt8], _ done: Int, _ pairs: [PairList.Pair], _ table: inout FleetTable) throws {
        guard let line = try? FleetLine(json: String(decoding: text, as: UTF8.self)), line.index == done,
            done < pairs.count, pairs[done] == PairList.Pair(original: line.original, replay: line.replay)
        else { throw foreign(done) }
        table.add(line)
    }

    private func foreign(_ done: Int) -> DivergeError {
        DivergeError(
            "\(path.onOneLine), line \(done + 1): not the line of pair \(done) of this list; remove the file, or name "
                + "another one")
    }

    /// Adds lines.
    func write(_ text: String) throws {
        let code = Files.write(Array(text.utf8), to: descriptor)
        guard code == 0 else {
            throw DivergeError("\(path.onOneLine): cannot be written: \(String(cString: strerror(code)))")
        }
    }
}
