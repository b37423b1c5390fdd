// SPDX-License-Identifier: GPL-2.0-or-later

import Foundation
import LogFormat
import TestSupport
import Testing

/// Compares `bts-dump --style perf` with perf itself, which reads the same branches as samples of a `perf.data`.
@Suite(.enabled(if: access("/usr/bin/perf", X_OK) == 0)) struct PerfStyleTests {
    private static let program = FixtureTests.path("tiny.elf")

    /// A `perf.data` (tools/perf/Documentation/perf.data-file-format.txt): one event that counts each branch, a mapping of
    /// the program, and a sample with ip and addr for each branch.
    static func perfData(_ branches: [Branch], mapping: Range<UInt64>, offset: UInt64) -> Data {
        var attribute = Data()
        // hardware, 128 bytes, branch instructions, period 1, samples of ip, tid, time, addr, cpu; mmap, comm, sample_id_all
        attribute.put(0 as UInt32, 128 as UInt32, 4 as UInt64, 1 as UInt64, 0x8f as UInt64, 0 as UInt64)
        attribute.put((1 << 8 | 1 << 9 | 1 << 18) as UInt64)
        attribute.append(Data(count: 128 - attribute.count))
        var identity = Data()
        identity.put(1 as UInt32, 1 as UInt32, 1 as UInt64, 0 as UInt32, 0 as UInt32)
        var records = Data()
        func record(_ type: UInt32, _ misc: UInt16, _ body: Data) {
            records.put(type, misc, UInt16(8 + body.count))
            records.append(body)
        }
        func text(_ text: String) -> Data { Data(text.utf8) + Data(count: 8 - text.utf8.count % 8) }
        var name = Data()
        name.put(1 as UInt32, 1 as UInt32)
        record(3, 0, name + text("tiny") + identity)
        var map = Data()
        map.put(1 as UInt32, 1 as UInt32, mapping.lowerBound, UInt64(mapping.count), offset)
        record(1, 2, map + text(Self.program) + identity)
        for (index, branch) in branches.enumerated() {
            var sample = Data()
            sample.put(branch.from, 1 as UInt32, 1 as UInt32, UInt64(index + 2) * 1000, branch.to, 0 as UInt64)
            record(9, 2, sample)
        }
        var file = Data("PERFILE2".utf8)
        file.put(104 as UInt64, 144 as UInt64, 104 as UInt64, 144 as UInt64)
        file.put(248 as UInt64, UInt64(records.count), 0 as UInt64, 0 as UInt64)
        file.append(Data(count: 32))
        file.append(attribute)
        file.put(0 as UInt64, 0 as UInt64)
        return file + records
    }

    @Test func rowsAreThoseOfPerfScript() throws {
        let directory = try TemporaryDirectory()
        let log = try LogFile(path: FixtureTests.path("recording.log"))
        // The beginning of the kernel and its first rounds.
        let (from, to) = (1_067_000 as UInt64, 1_075_000 as UInt64)
        var branches: [Branch] = []
        var cursor = log.branches(from: from, to: to)
        while let branch = cursor.next() { branches.append(branch) }
        try Self.perfData(branches, mapping: 0x200000..<0x202000, offset: 0x1000)
            .write(to: URL(fileURLWithPath: directory.file("perf.data")))
        let perf = try Tool(path: "/usr/bin/perf").run([
            "script", "-i", directory.file("perf.data"), "-F", "ip,sym,symoff,addr,dso",
        ])
        #expect(perf.status == 0, "\(perf.errors)")
        let ours = try Tool.dump.run([
            "--style", "perf", "--symbols", Self.program, "--range", "\(from):\(to)", log.path,
        ])
        let theirs = perf.output.split(separator: "\n")
        let rows = ours.output.split(separator: "\n")
        #expect(rows.count == branches.count && theirs.count == rows.count)
        var labels = 0
        for (row, line) in zip(rows, theirs) {
            let match = try #require(row.wholeMatch(of: /\[000\] \d+: branches:  [a-z ]{15}  ( *[0-9a-f]+ .*)/))
            if match.1.drop(while: { $0 == " " }) == line.drop(while: { $0 == " " }) { continue }
            // Rule: to perf a label inside of a function is where another one begins.
            #expect(line.contains(" map_large_page+0x") && row.contains(" start32+0x"), "\(row)\n\(line)")
            labels += 1
        }
        #expect(labels < rows.count / 10)
        #expect(rows.count { !$0.contains("[unknown]") } > 1000)
    }
}

extension Data {
    fileprivate mutating func put<each Number: FixedWidthInteger>(_ numbers: repeat each Number) {
        for number in repeat each numbers {
            Swift.withUnsafeBytes(of: number.littleEndian) { append(contentsOf: $0) }
        }
    }
}
