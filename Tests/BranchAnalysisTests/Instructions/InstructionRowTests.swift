// SPDX-License-Identifier: GPL-2.0-or-later

import BranchAnalysis
import Formatting
import Foundation
import LogFormat
import MachineCode
import Symbolize
import TestSupport
import Testing

@testable import LogViews

/// The rows of `bts-dump --instructions`.
struct InstructionRowTests {
    /// The rows that a log makes, with these of a program's files.
    private func rows(
        _ text: String, _ program: SmallProgram, isJSON: Bool = false, from: UInt64 = 0,
        syntax: Disassembler.Syntax = .att, functions: [Range<UInt64>] = []
    ) throws -> [String] {
        let path = program.directory.file("ttd.log")
        try assemble(program.definitions + "\n" + text, to: path)
        let log = try LogFile(path: path)
        let symbolizer = Symbolizer()
        try symbolizer.add(program.path)
        let disassembler = try Disassembler(syntax: syntax)
        var (code, warnings) = CodeMap.of(symbolizer.modules)
        #expect(warnings.isEmpty)
        try code.findPatchSites(disassembler)
        let style = InstructionRows.Style(
            isJSON: isJSON, showsVCPU: false, hasIcount: log.header.features.contains(.icount), widths: (2, 3))
        let words = InstructionWords(
            code: code, disassembler: disassembler, symbolizer: symbolizer,
            style: isJSON ? .json : .text(lines: false), isJSON: isJSON)
        let sink = MemorySink()
        var printer = InstructionPrinter(
            InstructionWalk(log, code, disassembler), InstructionRows(to: sink, style, words, symbolizer, lines: false),
            hasLabels: log.header.features.contains(.labels), functions: AddressRanges(functions))
        printer.begin(vcpu: 0)
        var branches = log.branches(from: from)
        while branches.nextBatch({ batch, range in
            for index in range { printer.add(batch, index, isWanted: true) }
        }) {}
        printer.finish()
        return sink.text.split(separator: "\n").map(String.init)
    }

    private static let run = """
        branch 0x9000 -> loop iret +1
        branch loop+3 -> loop jcc! +3
        branch call_it -> function call! +5
        branch function_end -> back ret +3
        branch fault -> 0x9000 none +104
        branch 0x9010 -> 0x9020 jmp! +6
        branch 0x9030 -> fault iret +2
        branch jump -> landing jmp! +3
        epoch 20
        branch end -> _start jmp! +2
        """

    @Test func aRunInText() throws {
        let program = try SmallProgram()
        let found = try rows(Self.run, program)
        let expected = """
             1:   1 0x0000000000401005 <loop>  decl %ecx
             1:   2 0x0000000000401007 <loop+0x2>  nop
             1:   3 0x0000000000401008 <loop+0x3>  jne 0x401005  -> 0x0000000000401005 <loop>
             2:   4 0x0000000000401005 <loop>  decl %ecx
             2:   5 0x0000000000401007 <loop+0x2>  nop
             2:   6 0x0000000000401008 <loop+0x3>  jne 0x401005
             2:   7 0x000000000040100a <loop+0x5>  callq 0x40100f
             2:   8 0x000000000040100f <call_it>  callq 0x401028  -> 0x0000000000401028 <function>
             3:   9 0x0000000000401028 <function>  pushq %rbx
             3:  10 0x0000000000401029 <function+0x1>  popq %rbx
             3:  11 0x000000000040102a <function_end>  retq  -> 0x0000000000401014 <back>
             4:  12 0x0000000000401014 <back>  movl $0x64, %ecx
             4:  13 0x0000000000401019 <copy>  rep movsb (%rsi), (%rdi)  (101 times)
             4: 114 0x000000000040101b <copied>  xorl %eax, %eax
             4: 115 0x000000000040101d <fault>  movq (%rax), %rbx  -> 0x0000000000009000 *
            --- 8 instructions, 2 branches where no file has code, from 0x9000 on
             7: 124 0x000000000040101d <fault>  movq (%rax), %rbx  (again)
             7: 125 0x0000000000401020 <again>  leaq 8(%rax), %rdx
             7: 126 0x0000000000401024 <jump>  jmp 0x40102b  -> 0x000000000040102b <landing>
            --- something is missing here
            20: 128 0x000000000040102c <end>  jmp 0x401000  -> 0x0000000000401000 <_start>
            """
        for (row, wanted) in zip(found, expected.split(separator: "\n").map(String.init)) {
            #expect(row == wanted)
        }
        #expect(found.count == 21)
    }

    @Test func partsOfARun() throws {
        let program = try SmallProgram()
        // From the middle on: the first instruction that is known is the one that branched.
        let tail = try rows(Self.run, program, from: 3)
        #expect(tail.first == " 3:  11 0x000000000040102a <function_end>  retq  -> 0x0000000000401014 <back>")
        #expect(tail.count == 11)
        // Only one function; no word about what is elsewhere.
        let function = program["function"]..<program["function_end"] + 1
        let some = try rows(Self.run, program, functions: [function])
        #expect(some.count == 4 && some[0].hasSuffix("<function>  pushq %rbx") && some[3].contains("missing"))
        // Without counts.
        let bare = try rows("options features=branches,labels\n" + Self.run, program)
        #expect(bare[0] == " 1: 0x0000000000401005 <loop>  decl %ecx")
        #expect(bare.contains("--- 2 branches where no file has code, from 0x9000 on"))
        #expect(bare.contains { $0.hasSuffix("rep movsb (%rsi), (%rdi)  (? times)") })
        let intel = try rows(Self.run, program, syntax: .intel)
        #expect(intel[15].isEmpty == false && intel[11].hasSuffix("<back>  mov ecx, 0x64"))
    }

    @Test func aStretchThatDoesNotDecode() throws {
        let program = try SmallProgram()
        let text = """
            branch 0x9000 -> jump iret +1
            branch end -> _start jmp! +5
            branch loop+1 -> _start jmp! +1
            """
        let found = try rows(text, program)
        #expect(found.count == 5)
        #expect(found[0] == " 1:   1 0x0000000000401024 <jump>  jmp 0x40102b")
        #expect(
            found[1]
                == "--- the stretch up to 0x40102c does not decode, at 0x401024: the instruction there never lets the "
                + "next one begin; 1 of 5 instructions are shown")
        #expect(found[4].contains("at 0x401005: the instruction there overlaps the branch; 2 of 1 instructions"))
    }

    @Test func jsonLinesAreJSON() throws {
        let program = try SmallProgram()
        let text = Self.run + "\nbranch end+7 -> _start jmp! +1"
        let objects = try rows(text, program, isJSON: true).map { line in
            try #require(try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any], "\(line)")
        }
        let kinds = objects.compactMap { $0["kind"] as? String }
        #expect(kinds.count == objects.count)
        #expect(kinds.filter { $0 == "instruction" }.count == 19 + 6)
        #expect(Set(kinds) == ["instruction", "outside", "gap", "undecoded"])
        let copy = try #require(objects.first { ($0["text"] as? String)?.hasPrefix("rep ") == true })
        #expect(copy["times"] as? String == "101" && copy["icount"] as? String == "13" && copy["size"] as? Int == 2)
        let left = try #require(
            objects.compactMap { $0["branch"] as? [String: Any] }.first { $0["label"] as? String == "none" })
        #expect(left["discontinuity"] as? Bool == true && left["to"] as? String == "0x9000")
        let again = objects.filter { $0["again"] as? Bool == true }
        #expect(again.count == 1 && again[0]["address"] as? String == "0x40101d")
        let undecoded = try #require(objects.first { $0["kind"] as? String == "undecoded" })
        #expect(undecoded["reason"] as? String == "passes-branch" && undecoded["at"] as? String == "0x40100f")
    }

    @Test func codeThatTheKernelChanges() throws {
        let program = try SmallProgram(PatchSiteTests.source, origin: 0x1_0040_1000)
        let found = try rows(PatchSiteTests.run, program)
        let place = { (label: String) in
            "0x00000001" + String(program[label] & 0xffff_ffff | 1 << 32, radix: 16).dropFirst()
        }
        #expect(
            found.contains(" 2:   4 \(place("site")) <site>  (changed by the kernel: ret)  -> \(place("back")) <back>"))
        // Five instructions may have been there, or one: six make the total of eight.
        #expect(found.contains(" 3:   6 \(place("alternative")) <alternative>  (changed by the kernel, 5 bytes)"))
        #expect(found.contains(" 3:   ? \(place("after")) <after>  nop"))
        // One was there: the count continues.
        #expect(found.contains(" 6:  18 \(place("alternative")) <alternative>  (changed by the kernel, 5 bytes)"))
        #expect(found.contains(" 6:  19 \(place("after")) <after>  nop"))
    }
}
