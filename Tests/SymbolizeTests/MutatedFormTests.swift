// SPDX-License-Identifier: GPL-2.0-or-later

import CLzma
import Foundation
import Testing

@testable import Symbolize

/// Damaged files in the forms that Symbolize unpacks itself: an answer or an error, in bounded memory.
@Suite struct MutatedFormTests {
    private let scratch: ScratchDirectory

    init() throws { scratch = try ScratchDirectory() }

    /// What became of a number of files.
    private struct Outcomes {
        var read = 0
        var warned = 0
        var refused = 0
    }

    private func bytes(_ path: String) throws -> [UInt8] { [UInt8](try Data(contentsOf: URL(fileURLWithPath: path))) }

    /// Reads a file, asks for addresses, and counts what happens.
    private func read(_ bytes: [UInt8], onDemand: Bool, _ outcomes: inout Outcomes) throws {
        let path = try scratch.write(bytes, to: "mutated")
        let symbolizer = Symbolizer(reading: onDemand ? .onDemand(smallest: 0, largestPart: 1) : .whole)
        do throws(SymbolError) {
            let info = try symbolizer.add(path)
            let addresses = (0..<32 as Range<UInt64>).map { info.range.lowerBound &+ $0 &* 13 }
            let lookup = try symbolizer.lookup(for: addresses)
            for hit in lookup.find(addresses) { lookup.forEachFrame(hit) { #expect($0.line < .max) } }
            outcomes.read += 1
            if symbolizer.modules.contains(where: { !$0.warnings.isEmpty }) { outcomes.warned += 1 }
        } catch {
            outcomes.refused += 1
        }
        _ = symbolizer.resolve(name: "second+1")
    }

    /// Programs with sections compressed by zstd, zlib and old zlib: headers, streams, anything.
    @Test func mutatedCompressedSectionsDoNoHarm() throws {
        let source = try scratch.write(Programs.main.utf8, to: "main.c")
        let linked = scratch.path("linked")
        _ = try run(["gcc", "-g", "-O1", "-shared", "-fPIC", "-o", linked, source])
        let originals = try ["zstd", "zlib", "zlib-gnu"].map { kind in
            let path = scratch.path(kind)
            _ = try run(["objcopy", "--compress-debug-sections=\(kind)", linked, path])
            return try bytes(path)
        }
        var generator = SplitMix(state: 11)
        var outcomes = Outcomes()
        for round in 0..<3000 {
            var bytes = originals[round % originals.count]
            // Half of the rounds leave the ELF headers as they are.
            let part = round % 2 == 0 ? bytes.indices : 0x1000..<bytes.count - 0x1000
            for _ in 0..<Int.random(in: 1...6, using: &generator) {
                let at = Int.random(in: part, using: &generator)
                bytes[at] = [0, 1, 2, 0x7f, 0xff].randomElement(using: &generator) ?? 0
            }
            try read(bytes, onDemand: round % 3 == 0, &outcomes)
        }
        #expect(outcomes.read > 1500, "\(outcomes)")
        #expect(outcomes.warned > 500, "\(outcomes)")
    }

    /// A stripped program whose MiniDebugInfo is damaged, before or after compression.
    @Test func mutatedMiniDebugInfoDoesNoHarm() throws {
        let program = try MiniDebugProgram(in: scratch)
        let original = try bytes(program.path)
        let inner = try bytes(program.symbols)
        var generator = SplitMix(state: 12)
        var outcomes = Outcomes()
        for round in 0..<3000 {
            var packed = inner
            let isPackedFirst = round % 3 == 0
            if isPackedFirst { packed = pack(inner) }
            for _ in 0..<Int.random(in: 1...8, using: &generator) {
                let at = Int.random(in: packed.indices, using: &generator)
                packed[at] = [0, 1, 0x7f, 0x80, 0xff].randomElement(using: &generator) ?? 0
            }
            if !isPackedFirst { packed = pack(packed) }
            try read(program.bytes(original, with: packed), onDemand: round % 2 == 0, &outcomes)
        }
        // The program's own dynamic symbols stay.
        #expect(outcomes.read == 3000, "\(outcomes)")
    }

    /// The forms of nm's output, with bytes changed, lost and repeated.
    @Test func mutatedOutputOfNmDoesNoHarm() throws {
        let source = try scratch.write(Programs.second.utf8, to: "second.c")
        let path = scratch.path("p.so")
        _ = try run(["gcc", "-g", "-O1", "-shared", "-fPIC", "-o", path, source])
        let originals = try ["-n", "-S", "-A", "-P", "-l", "-D"].map { Array(try run(["nm", $0, path]).utf8) }
        var generator = SplitMix(state: 13)
        var outcomes = Outcomes()
        for round in 0..<3000 {
            var bytes = originals[round % originals.count]
            for _ in 0..<Int.random(in: 1...8, using: &generator) {
                let at = Int.random(in: bytes.indices.dropLast(), using: &generator)
                switch Int.random(in: 0..<4, using: &generator) {
                case 0: bytes[at] = UInt8.random(in: 0...255, using: &generator)
                case 1: bytes.remove(at: at)
                case 2: bytes[at] = 0x66
                default: bytes.insert(contentsOf: bytes[at...].prefix(40), at: at)
                }
            }
            try read(bytes, onDemand: false, &outcomes)
        }
        #expect(outcomes.read > 1500, "\(outcomes)")
    }

    private func pack(_ content: [UInt8]) -> [UInt8] {
        var packed = [UInt8](repeating: 0, count: content.count + 4096)
        var size = 0
        let code = lzma_easy_buffer_encode(
            0, LZMA_CHECK_NONE, nil, content, content.count, &packed, &size, packed.count)
        #expect(code == LZMA_OK)
        return Array(packed.prefix(size))
    }
}
