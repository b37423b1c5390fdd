// SPDX-License-Identifier: GPL-2.0-or-later

import Foundation
import TestSupport
import Testing

/// Compares `tt-analyze symbolize` with eu-addr2line and llvm-symbolizer, by Tests/compare-symbolizers: every
/// difference has a written rule.
@Suite struct SymbolizerComparisonTests {
    private static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .appendingPathComponent("../..").standardized.path

    private static let source = """
        #include <stdio.h>
        #include <stdlib.h>
        static inline __attribute__((always_inline)) int leaf(int x) { volatile int y = x; return y * 3 + 1; }
        static inline int middle(int x) { int s = 0; for (int i = 0; i < x; i++) s += leaf(i); return s; }
        __attribute__((noinline, cold)) static void fail(int x) { fprintf(stderr, "%d", x); abort(); }
        __attribute__((noinline)) int outer(int x) {
            if (__builtin_expect(x > 100, 0)) fail(middle(x));
            return middle(x) + leaf(x);
        }
        int main(int argc, char **argv) { (void)argv; return outer(argc) + middle(argc); }
        """

    private func compare(_ program: String) throws {
        let result = try Tool(path: "/usr/bin/python3").run([
            "\(Self.root)/Tests/compare-symbolizers", program, "--random", "600", "--targets", "60", "--tool",
            Tool("tt-analyze").path,
        ])
        #expect(result.status == 0, "\(result.output)\(result.errors)")
        #expect(result.output.contains("identical"), "\(result.output)")
    }

    private func build(_ options: [String], in directory: TemporaryDirectory) throws -> String {
        let file = directory.file("program.c")
        try Self.source.write(toFile: file, atomically: true, encoding: .utf8)
        let program = directory.file("program")
        let made = try Tool(path: "/usr/bin/gcc").run(["-g", "-o", program, file] + options)
        #expect(made.status == 0, "\(made.errors)")
        return program
    }

    @Test(arguments: [["-O2"], ["-O2", "-no-pie", "-fno-pie", "-gdwarf-4"], ["-O1", "-gz=zlib"]])
    func strippedProgramsWithADebugLink(_ options: [String]) throws {
        let directory = try TemporaryDirectory()
        let program = try build(options, in: directory)
        for arguments in [
            ["--only-keep-debug", program, "\(program).debug"], ["--strip-debug", program],
            ["--add-gnu-debuglink=\(program).debug", program],
        ] {
            let made = try Tool(path: "/usr/bin/objcopy").run(arguments)
            #expect(made.status == 0, "\(made.errors)")
        }
        try compare(program)
    }

    @Test func aPositionIndependentProgramWithSplitUnits() throws {
        let directory = try TemporaryDirectory()
        try compare(try build(["-O2", "-gsplit-dwarf"], in: directory))
    }
}
