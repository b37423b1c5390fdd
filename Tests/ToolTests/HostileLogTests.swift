// SPDX-License-Identifier: GPL-2.0-or-later

import Foundation
import TestSupport
import Testing

/// Mutated logs through the executables: no trap, no hang, and verify reports the place of each damage.
@Suite struct HostileLogTests {
    private static func mutate(_ original: [UInt8], _ numbers: inout RandomNumbers) -> [UInt8] {
        var bytes = original
        func place(_ room: Int) -> Int { Int(numbers.below(UInt64(bytes.count - room))) }
        switch numbers.below(5) {
        case 0:  // single bits
            for _ in 0...numbers.below(8) { bytes[place(1)] ^= 1 << UInt8(numbers.below(8)) }
        case 1:  // cut short
            bytes.removeLast(1 + Int(numbers.below(UInt64(bytes.count - 1))))
        case 2:  // a stretch over another
            let length = 64 * (1 + Int(numbers.below(16)))
            let (from, to) = (place(length) & ~63, place(length) & ~63)
            bytes.replaceSubrange(to..<to + length, with: Array(bytes[from..<from + length]))
        case 3:  // hostile lengths in a chunk header
            let headers = stride(from: 4096, to: bytes.count - 192, by: 64).filter {
                bytes[$0..<$0 + 4].elementsEqual("TTCK".utf8)
            }
            let header = headers[Int(numbers.below(UInt64(headers.count)))]
            let field = [24, 28, 44, 56, 60][Int(numbers.below(5))]
            for index in 0..<4 { bytes[header + field + index] = UInt8(truncatingIfNeeded: numbers.next()) | 0x80 }
        default:  // bytes that are not there
            let at = place(1)
            bytes.insert(
                contentsOf: (0..<1 + numbers.below(200)).map { _ in UInt8(truncatingIfNeeded: numbers.next()) }, at: at)
        }
        return bytes
    }

    @Test func twoHundredMutatedLogs() throws {
        var numbers = RandomNumbers(seed: 200)
        let directory = try TemporaryDirectory()
        let originals = try ["raw", "zstd"].map { codec in
            let path = directory.file("\(codec).log")
            try assemble(SampleLogs.large(codec: codec), to: path)
            return [UInt8](try Data(contentsOf: URL(fileURLWithPath: path)))
        }
        let log = directory.file("mutated.log")
        for round in 0..<200 {
            let original = originals[round & 1]
            let bytes = Self.mutate(original, &numbers)
            if bytes == original { continue }
            try Data(bytes).write(to: URL(fileURLWithPath: log))

            let verify = try Tool.analyze.run(["verify", log], timeout: 20)
            #expect(verify.signal == nil, "round \(round)")
            #expect(verify.status == 2, "round \(round): \(verify.output)")
            let said = verify.output + verify.errors
            #expect(
                said.contains("offset ") || said.contains("4096 bytes of header expected"), "round \(round): \(said)")

            let others: [(Tool, [String])] = [
                (.dump, []), (.dump, ["--format", "jsonl", "--around", "500:100"]), (.analyze, ["info"]),
                (.analyze, ["events", "--stream", "all"]), (.dump, ["--calls", "--format", "jsonl"]),
                (.dump, ["--folded"]),
                (.analyze, ["slice", "--force", "--range", "100:3000", "--", log, directory.file("slice.log")]),
            ]
            let (tool, arguments) = others[round % others.count]
            let result = try tool.run(arguments.contains(log) ? arguments : arguments + [log], timeout: 20)
            #expect(result.signal == nil, "round \(round): \(arguments)")
            #expect(result.status == 0 || result.status == 2, "round \(round): \(arguments)")
        }
    }
}
