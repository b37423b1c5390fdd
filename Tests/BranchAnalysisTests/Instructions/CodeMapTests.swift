// SPDX-License-Identifier: GPL-2.0-or-later

import Foundation
import MachineCode
import TestSupport
import Testing

@testable import Symbolize

struct CodeMapTests {
    private func byte(_ code: CodeMap, _ address: UInt64) -> UInt8? { code.bytes(at: address, count: 1).first }

    @Test func slidesRangesAndOrder() throws {
        let program = try SmallProgram()
        let (start, end) = (program["_start"], program["end"] + 2)
        var code = CodeMap()
        #expect(code.isEmpty && code.bytes(at: start, count: 9).isEmpty)
        try code.add(program.path)
        #expect(code.ranges.count == 1 && code.ranges[0].lowerBound == start && code.ranges[0].contains(end - 1))
        #expect(byte(code, start) == 0xb9 && !code.contains(start - 1))
        #expect(code.mode(at: start) == .bits64)

        // Moved down by 0x1000, only its first four bytes.
        try code.add(program.path, slide: -0x1000, range: 0..<start - 0x1000 + 4)
        #expect(byte(code, start - 0x1000) == 0xb9 && !code.contains(start - 0x1000 + 4))
        #expect(code.bytes(at: start - 0x1000, count: 9).count == 4)

        // Code that was added first stays; the new code is on both sides of it.
        let moved = try SmallProgram(SmallProgram.source, origin: start - 8)
        try code.add(moved.path)
        #expect(
            byte(code, start - 8) == 0xb9 && code.bytes(at: start - 8, count: 99).count == 8
                && byte(code, start) == 0xb9)

        // By its lowest segment, as FILE@ADDRESS has it.
        let placed = try CodeMap(files: [SymbolFile(argument: "\(program.path)@0x7000000")])
        #expect(placed.ranges.allSatisfy { $0.lowerBound >= 0x700_0000 && $0.upperBound <= 0x701_0000 })
        #expect(!placed.isEmpty)

        // Up to the end of the address space, and over it.
        var high = CodeMap()
        try high.add(program.path, slide: Int64(bitPattern: 0 &- (start &+ 4)))
        #expect(high.isEmpty)
    }

    @Test func whatHasNoCodeIsSaid() throws {
        let program = try SmallProgram()
        let debug = program.directory.file("debug")
        _ = try output(of: "objcopy", "--only-keep-debug", program.path, debug)
        let list = program.directory.file("System.map")
        try "0000000000401000 T _start\n".write(toFile: list, atomically: true, encoding: .utf8)
        var code = CodeMap()
        func kind(_ path: String) -> SymbolError.Kind? {
            do throws(SymbolError) {
                try code.add(path)
                return nil
            } catch {
                return error.kind
            }
        }
        #expect(kind(debug) == .noCode)
        #expect(kind(program.directory.path) == .directory)
        #expect(kind("/nonexistent") == .cannotOpen(errno: ENOENT))
        if case .notELF = kind(list) {} else { Issue.record("a list of symbols is no ELF file") }
        #expect(code.isEmpty)
        let modules = [list, debug, program.path].map {
            ModuleInfo(path: $0, slide: 0, range: 0..<UInt64.max, symbolCount: 0, functionCount: 0, warnings: [])
        }
        let (found, warnings) = CodeMap.of(modules)
        #expect(found.contains(program["_start"]))
        #expect(warnings.map(\.kind) == [.noCode, .noCode])
    }

    /// Damaged files: an error or code within the file, never a trap.
    @Test func mutatedFiles() throws {
        let program = try SmallProgram()
        let original = [UInt8](try Data(contentsOf: URL(fileURLWithPath: program.path)))
        var generator = RandomNumbers(seed: 7)
        let disassembler = try Disassembler()
        let path = program.directory.file("mutated")
        var opened = 0
        for round in 0..<2000 {
            var bytes = original
            for _ in 0..<Int.random(in: 1...8, using: &generator) {
                // File header, program headers and section headers are what places code.
                let isSection = Bool.random(using: &generator)
                let place =
                    isSection
                    ? bytes.count - 1 - Int.random(in: 0..<400, using: &generator)
                    : Int.random(in: 16..<300, using: &generator)
                bytes[place] =
                    [0, 0xff, 0x7f, UInt8.random(in: 0...255, using: &generator)].randomElement(using: &generator) ?? 0
            }
            if round % 10 == 0 { bytes.removeLast(Int.random(in: 1..<bytes.count, using: &generator)) }
            try Data(bytes).write(to: URL(fileURLWithPath: path))
            var code = CodeMap()
            guard (try? code.add(path, machine: nil)) != nil else { continue }
            opened += 1
            for range in code.ranges.prefix(8) {
                for address in [range.lowerBound, range.upperBound - 1] {
                    let count = code.withBytes(at: address) { bytes in
                        for mode in CodeMode.allCases { _ = disassembler.decode(bytes, at: address, mode: mode) }
                        return bytes.count
                    }
                    #expect(UInt64(try #require(count)) <= range.upperBound - address)
                }
            }
        }
        #expect(opened > 200)
    }
}
