// SPDX-License-Identifier: GPL-2.0-or-later

import CQEMUPlugin
import Foundation
import MachineCode
import Symbolize
import TestSupport
import Testing

/// Compares our disassembly with objdump's, and the classes of instructions with those of the recorder.
struct DisassemblerTests {
    /// An instruction of `objdump -d`.
    struct Line {
        var address: UInt64
        var bytes: [UInt8]
        var text: Substring

        /// `  401000:\t48 83 ec 08 \tsub    $0x8,%rsp`
        init?(_ line: Substring) {
            let fields = line.split(separator: "\t", omittingEmptySubsequences: false)
            guard fields.count >= 3, let colon = fields[0].firstIndex(of: ":"),
                let address = UInt64(fields[0][..<colon].drop { $0 == " " }, radix: 16)
            else { return nil }
            self.address = address
            bytes = fields[1].split(separator: " ").compactMap { UInt8($0, radix: 16) }
            text = fields[2]
        }
    }

    /// Each instruction that objdump finds is one of ours, of the same size; ours has the recorder's class and target.
    /// Only newer vector instructions may be unknown to capstone 4, and their share is bounded.
    @Test(arguments: [
        ("/bin/bash", 0), ("/lib/x86_64-linux-gnu/libc.so.6", 2000),
    ]) func boundariesAndClassesOf(program: String, unknownLimit: Int) throws {
        var code = CodeMap()
        try code.add(program)
        let disassembler = try Disassembler()
        var (known, unknown, branches) = (0, 0, 0)
        var differences: [String] = []
        for line in try output(of: "objdump", "-d", "--insn-width=15", program).split(separator: "\n") {
            guard let expected = Line(line), !expected.text.contains("(bad)") else { continue }
            let bytes = code.bytes(at: expected.address, count: 15)
            try #require(bytes.starts(with: expected.bytes), "\(line)")
            let decoded = bytes.withUnsafeBytes { disassembler.decode($0, at: expected.address, mode: .bits64) }
            guard let found = decoded else {
                unknown += 1
                // EVEX, VEX, rdpkru, wrpkru: not what a kernel or a compiler's default code has.
                let isNew =
                    [0x62, 0xc4, 0xc5].contains(expected.bytes.first)
                    || [[0x0f, 0x01, 0xee], [0x0f, 0x01, 0xef]].contains(expected.bytes)
                if !isNew { differences.append("unknown: \(line)") }
                continue
            }
            known += 1
            var seen = ttd_instruction()
            ttd_decode(expected.bytes, UInt32(expected.bytes.count), expected.address, &seen)
            if found.branchClass != .none { branches += 1 }
            if Int(found.size) != expected.bytes.count { differences.append("size \(found.size): \(line)") }
            if found.branchClass.rawValue != seen.branch_class {
                differences.append("class \(found.branchClass): \(line)")
            }
            if found.hasTarget != (seen.has_static_target != 0) || (found.hasTarget && found.target != seen.target) {
                differences.append("target \(String(found.target, radix: 16)): \(line)")
            }
        }
        #expect(known > 10_000 && branches > 1_000)
        #expect(unknown <= unknownLimit)
        #expect(differences.isEmpty, "\(differences.count) differences, first: \(differences.prefix(5))")
    }

    @Test func bothSyntaxes() throws {
        let bytes: [UInt8] = [0x48, 0x8d, 0x44, 0x8b, 0x08]
        func text(_ syntax: Disassembler.Syntax) throws -> String {
            let disassembler = try Disassembler(syntax: syntax)
            #expect(bytes.withUnsafeBytes { disassembler.decode($0, at: 0, mode: .bits64) }?.size == 5)
            return disassembler.text
        }
        #expect(try text(.intel) == "lea rax, [rbx + rcx*4 + 8]")
        #expect(try text(.att) == "leaq 8(%rbx, %rcx, 4), %rax")
    }

    @Test func nothingIsReadAfterTheBytes() throws {
        let disassembler = try Disassembler()
        // A movabs of ten bytes, cut short at each length.
        let bytes: [UInt8] = [0x48, 0xb8, 1, 2, 3, 4, 5, 6, 7, 8]
        for count in 0..<bytes.count {
            let found = bytes.withUnsafeBytes {
                disassembler.decode(UnsafeRawBufferPointer(rebasing: $0[..<count]), at: 0, mode: .bits64)
            }
            #expect(found == nil && disassembler.text.isEmpty)
        }
        #expect(bytes.withUnsafeBytes { disassembler.decode($0, at: 0, mode: .bits64) }?.size == 10)
        // rdpkru and wrpkru, complete and cut.
        for bytes: [UInt8] in [[0x0f, 0x01, 0xee], [0x0f, 0x01, 0xef, 0x90]] {
            let found = bytes.withUnsafeBytes { disassembler.decode($0, at: 0, mode: .bits64) }
            #expect(found?.size == 3)
            #expect(found?.canFallThrough == true)
            #expect(bytes.prefix(2).withUnsafeBytes { disassembler.decode($0, at: 0, mode: .bits64) } == nil)
        }
        // ud1 with a displacement, complete and cut.
        let ud1: [UInt8] = [0x0f, 0xb9, 0x80, 1, 2, 3, 4]
        #expect(ud1.withUnsafeBytes { disassembler.decode($0, at: 0, mode: .bits64) }?.size == 7)
        let cut = ud1.withUnsafeBytes {
            disassembler.decode(UnsafeRawBufferPointer(rebasing: $0[..<6]), at: 0, mode: .bits64)
        }
        #expect(cut == nil)
    }
}
