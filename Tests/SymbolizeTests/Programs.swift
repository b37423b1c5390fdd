// SPDX-License-Identifier: GPL-2.0-or-later

import Foundation

/// The programs that the tests build with gcc and then look into.
enum Programs {
    /// Inline chains, split-off cold parts, two static functions of one name, aliases, padding.
    static let main = """
        #include <stdio.h>
        #include <stdlib.h>
        #define UNLIKELY(x) __builtin_expect(!!(x), 0)
        static inline __attribute__((always_inline)) int leaf(int x) {
            volatile int y = x;
            return y * 3 + 1;
        }
        static inline __attribute__((always_inline)) int middle(int x) {
            int sum = 0;
            for (int i = 0; i < x; i++)
                sum += leaf(i);
            return sum;
        }
        int table[64];
        static __attribute__((cold, noreturn, noinline)) void fail(int x) {
            fprintf(stderr, "too big: %d\\n", x);
            abort();
        }
        __attribute__((noinline)) int outer(int x) {
            if (UNLIKELY(x > 100))
                fail(middle(x));
            return middle(x) + middle(x + 1);
        }
        __attribute__((noinline)) int other_name(int x) __attribute__((alias("outer")));
        __attribute__((noinline)) static int same(int x) { return table[x & 63] + middle(x & 7); }
        #define MAKE(n)                                                                     \\
            static inline int inner_##n(int x) { return leaf(x + n) ^ table[(x + n) & 63]; } \\
            __attribute__((noinline)) int made_##n(int x) {                                 \\
                if (UNLIKELY(x == n * 1000))                                                \\
                    fail(inner_##n(x));                                                     \\
                int sum = inner_##n(x);                                                     \\
                for (int i = 0; i < x; i++) {                                               \\
                    int step = inner_##n(i);                                                \\
                    if (step & 1)                                                           \\
                        sum += middle(step & 3);                                            \\
                    else                                                                    \\
                        sum -= inner_##n(sum);                                              \\
                }                                                                           \\
                return sum;                                                                 \\
            }
        #define TEN(n) MAKE(n##0) MAKE(n##1) MAKE(n##2) MAKE(n##3) MAKE(n##4) \\
            MAKE(n##5) MAKE(n##6) MAKE(n##7) MAKE(n##8) MAKE(n##9)
        TEN(1) TEN(2) TEN(3)
        int second(int x);
        int from_assembly(int x);
        static int (*volatile calls[])(int) = {made_10, made_21, made_32, outer, other_name, second, from_assembly};
        int main(int argc, char **argv) {
            int sum = same(argc);
            for (int i = 0; i < argc + 5; i++)
                sum += calls[i % 7](i);
            printf("%d\\n", sum);
            return 0;
        }
        """

    /// A second unit with a static function of the same name, and one that nobody calls.
    static let second = """
        int table2[64];
        __attribute__((noinline)) static int same(int x) {
            int sum = 0;
            for (int i = 0; i < (x & 15); i++)
                sum += table2[i] * x;
            return sum;
        }
        int nobody(int x) { return same(x) * 2; }
        int second(int x) { return same(x) + 1; }
        """

    /// Hand-written assembly: a function with a size, one without, padding between them.
    static let assembly = """
            .text
            .p2align 6
            .globl from_assembly
            .type from_assembly, @function
        from_assembly:
            lea 1(%rdi), %eax
            ret
            .size from_assembly, . - from_assembly
            .p2align 6
            .globl bare_label
        bare_label:
            xor %eax, %eax
            ret
            nop
        second_label:
            ret
            .p2align 6
            .section .note.GNU-stack,"",@progbits
        """

    /// The ways in which they are built.
    enum Variant: String, CaseIterable, CustomStringConvertible {
        case pie = "-O2 -fPIE -pie"
        case fixed = "-O2 -fno-pie -no-pie"
        case dwarf4 = "-O2 -gdwarf-4 -no-pie -fno-pie"
        case unoptimised = "-O0 -fPIE -pie"
        case compressed = "-O2 -gz=zlib -fPIE -pie"
        case collected = "-O3 -ffunction-sections -Wl,--gc-sections -fPIE -pie"
        case withLibrary = "-O2 -static -no-pie -fno-pie"

        var description: String { rawValue }
    }

    static let sources = [("main.c", main), ("second.c", second), ("assembly.S", assembly)]

    /// Builds the program; returns its path.
    static func build(_ variant: Variant, in directory: URL, debug: Bool = true) throws -> String {
        for (name, text) in sources {
            try text.write(to: directory.appendingPathComponent(name), atomically: true, encoding: .utf8)
        }
        let output = directory.appendingPathComponent("\(variant)-\(debug)").path
        _ = try run(
            ["gcc"] + (debug ? ["-g"] : []) + variant.rawValue.split(separator: " ").map(String.init)
                + ["-o", output] + sources.map { directory.appendingPathComponent($0.0).path })
        return output
    }
}

struct CommandFailed: Error, CustomStringConvertible {
    var description: String
}

/// Runs a command with text on its standard input; returns its standard output.
func run(_ command: [String], input: String = "", accepting statuses: ClosedRange<Int32> = 0...0) throws -> String {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    process.arguments = command
    let output = Pipe()
    process.standardOutput = output
    let file = FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString)
    try input.write(to: file, atomically: true, encoding: .utf8)
    defer { try? FileManager.default.removeItem(at: file) }
    process.standardInput = try FileHandle(forReadingFrom: file)
    try process.run()
    let text = output.fileHandleForReading.readDataToEndOfFile()
    process.waitUntilExit()
    guard statuses.contains(process.terminationStatus) else {
        throw CommandFailed(description: "\(command.joined(separator: " ")) ended with \(process.terminationStatus)")
    }
    return String(decoding: text, as: UTF8.self)
}

/// A directory that goes away with its owner.
final class ScratchDirectory {
    let url: URL

    init() throws {
        url = FileManager.default.temporaryDirectory.appendingPathComponent("symbolize-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(at: url) }

    func write(_ bytes: some Sequence<UInt8>, to name: String) throws -> String {
        let file = url.appendingPathComponent(name)
        try Data(bytes).write(to: file)
        return file.path
    }
}
