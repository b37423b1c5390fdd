// SPDX-License-Identifier: GPL-2.0-or-later

import BranchAnalysis
import Formatting
import LogFormat
import Symbolize
import TestSupport
import Testing

/// The coverage of a run of the small program, in which every instruction has a line of its own.
@Suite struct CoverageTests {
    private struct Counts {
        let coverage: Coverage
        private var lines: [String: UInt64] = [:]

        /// - Parameter text: the run.
        init(_ text: String, options: String = "", to end: UInt64 = .max) throws {
            let program = try SmallProgram(flags: "-g")
            let path = program.directory.file("ttd.log")
            try assemble(options + "\n" + program.definitions + "\n" + text, to: path)
            let symbolizer = Symbolizer()
            try symbolizer.add(program.path)
            let log = try LogFile(path: path)
            var stretches = StretchCounts()
            for vcpu in log.vcpus {
                stretches.begin()
                var branches = log.branches(vcpu: vcpu, to: end)
                while branches.nextBatch({ stretches.add($0, $1) }) {}
                stretches.end()
            }
            coverage = try Coverage(stretches, symbolizer, machine: .x86_64)
            let source = SmallProgram.source.split(separator: "\n", omittingEmptySubsequences: false)
            let file = try #require(coverage.files.first { $0.path?.hasSuffix("small.S") ?? false })
            for line in file.lines {
                let words = source[line.number - 1].split(separator: "#")[0].split(separator: " ")
                lines[words.joined(separator: " ")] = line.count
            }
        }

        func expect(_ expected: [String: UInt64], sourceLocation: SourceLocation = #_sourceLocation) {
            for (line, count) in expected {
                #expect(lines[line] == count, "\(line)", sourceLocation: sourceLocation)
            }
        }
    }

    @Test func everyInstructionCountsAsOftenAsItWasRun() throws {
        let counts = try Counts(SmallProgram.run)
        counts.expect([
            // Begun by the last branch, too.
            "mov $5, %ecx": 2,
            "dec %ecx": 5, "nop": 1, "jnz loop": 5, "call . + 5": 1, "call function": 1, "push %rbx": 1, "pop %rbx": 1,
            "ret": 1, "mov $100, %ecx": 1, "rep movsb": 1, "xor %eax, %eax": 1,
            // It faulted and began again.
            "mov (%rax), %rbx": 1, "lea 8(%rax), %rdx": 1, "jmp landing": 1, "jmp _start": 1,
        ])
        // In the handler: the first branch's source and the stretch after it.
        #expect(counts.coverage.outside == 2 && counts.coverage.contradicted == 0)
        #expect(counts.coverage.counted == 10)
    }

    @Test func aGapIsNoStretch() throws {
        let counts = try Counts(
            """
            branch 0x9000 -> back iret +1
            epoch 100
            branch jump -> landing jmp! +3
            branch end -> _start jmp! +2
            """)
        // The instructions between `back` and `jump` are not known to have run, except those at both.
        counts.expect([
            "mov $100, %ecx": 1, "rep movsb": 0, "xor %eax, %eax": 0, "lea 8(%rax), %rdx": 0, "jmp landing": 1,
            "jmp _start": 1, "mov $5, %ecx": 1, "dec %ecx": 0,
        ])
    }

    @Test func vcpusAreApart() throws {
        let counts = try Counts(
            """
            branch 0x9000 -> back iret +1
            vcpu 1
            branch jump -> landing jmp! +3
            branch end -> _start jmp! +2
            """, options: "options vcpus=2")
        counts.expect(["mov $100, %ecx": 1, "rep movsb": 0, "jmp landing": 1, "mov $5, %ecx": 1])
    }

    /// The instructions after a jump that is always taken do not run: a branch is missing, and the stretch is not
    /// counted.
    @Test func whatTheCodeForbidsIsNotCounted() throws {
        let counts = try Counts(
            """
            branch 0x9000 -> again iret +1
            branch end -> back jmp! +9
            branch loop+3 -> loop jcc! +2
            branch loop+3 -> loop jcc! +3
            """)
        #expect(counts.coverage.contradicted == 2)
        counts.expect(["lea 8(%rax), %rdx": 0, "jmp landing": 0, "jmp _start": 0, "mov $100, %ecx": 0, "jnz loop": 1])
    }
}
