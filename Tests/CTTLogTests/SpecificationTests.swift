// SPDX-License-Identifier: GPL-2.0-or-later

import CTTLog
import Testing

/// The writer writes exactly the example at the end of docs/log-format.md.
@Suite struct SpecificationTests {
    @Test func theExampleIsReal() throws {
        let log = try TestLog { options in
            options.run_kind = UInt8(TTLOG_RUN_RECORDING.rawValue)
            options.branch_cell_shift = 0
            options.event_cell_shift = 0
            options.nonce = 0x1122_3344_5566_7788
            options.created_unix_ns = 1_700_000_000_000_000_000
            withUnsafeMutableBytes(of: &options.recording_uuid) { uuid in
                for index in uuid.indices { uuid[index] = 0xa0 + UInt8(index) }
            }
            // The name is copied during the creation; a literal lives longer.
            options.recorder_name = UnsafeRawPointer(("example" as StaticString).utf8Start)
                .assumingMemoryBound(to: CChar.self)
        }
        log.branch(BranchRecord(from: 0x1010, to: 0x1000, icount: 4, label: 0x21))
        log.branch(BranchRecord(from: 0x1010, to: 0x2000, icount: 9, label: 0))
        log.event(
            EventRecord(
                kind: 3, validity: 35, clock: 1, icount: 8, ip: 0x1010, payload: [0, 0x20, 0, 0, 0, 0, 0, 0]))
        log.branch(BranchRecord(from: 0x2008, to: 0xffff_ffff_8100_0000, icount: 309, label: 12))
        ttlog_write_attribute(log.writer, "guest", "tiny")
        try log.close()
        let written = try readFile(log.path)

        let document = String(decoding: try readFile(repositoryRoot() + "/docs/log-format.md"), as: UTF8.self)
        let example = try #require(document.components(after: "## A complete example\n"))
        var lines = 0
        for line in example.split(separator: "\n") where line.hasPrefix("    ") && line.dropFirst(8).hasPrefix("  ") {
            let offset = try #require(Int(line.dropFirst(4).prefix(4), radix: 16))
            let bytes = line.dropFirst(10).prefix(47).split(separator: " ").compactMap { UInt8($0, radix: 16) }
            #expect(bytes.count == 16)
            #expect(Array(written[offset..<(offset + 16)]) == bytes, "line \(line)")
            lines += 1
        }
        #expect(lines > 60)
        #expect(written.count == 5824)
    }
}

extension String {
    /// The text after a heading.
    fileprivate func components(after heading: String) -> Substring? {
        var rest = self[...]
        while !rest.isEmpty {
            if rest.hasPrefix(heading) { return rest.dropFirst(heading.count) }
            guard let end = rest.firstIndex(of: "\n") else { return nil }
            rest = rest[rest.index(after: end)...]
        }
        return nil
    }
}

func repositoryRoot(_ file: String = #filePath) -> String {
    file.split(separator: "/").dropLast(3).reduce("") { $0 + "/" + $1 }
}
