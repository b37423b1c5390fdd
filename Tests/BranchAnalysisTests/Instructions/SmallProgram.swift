// SPDX-License-Identifier: GPL-2.0-or-later

import Foundation
import MachineCode
import Symbolize
import TestSupport
import Testing

/// A program of some instructions, assembled and linked where each test knows its addresses.
struct SmallProgram {
    let directory: TemporaryDirectory
    let path: String
    /// The addresses of its labels.
    let labels: [String: UInt64]

    /// A run of it: five turns of the loop, a call, a copy of 100 bytes, a fault at `fault` whose handler is in no
    /// file, and the way back to the start.
    static let run = """
        branch 0x9000 -> _start iret +1
        branch loop+3 -> loop jcc! +4
        branch loop+3 -> loop jcc! +3
        branch loop+3 -> loop jcc! +3
        branch loop+3 -> loop jcc! +3
        branch call_it -> function call! +5
        branch function_end -> back ret +3
        branch fault -> 0x9000 none +104
        branch 0x9010 -> fault iret +6
        branch jump -> landing jmp! +3
        branch end -> _start jmp! +2
        """

    static let source = """
            .globl _start, loop, call_it, back, copy, copied, fault, again, function, function_end, jump, landing, end
            .text
        _start:
            mov $5, %ecx
        loop:
            dec %ecx
            nop
            jnz loop
            call . + 5                  # to the next instruction: no branch that a recorder sees
        call_it:
            call function
        back:
            mov $100, %ecx
        copy:
            rep movsb
        copied:
            xor %eax, %eax
        fault:
            mov (%rax), %rbx
        again:
            lea 8(%rax), %rdx
        jump:
            jmp landing
            .byte 0x0f, 0x0b            # ud2, never reached
        function:
            push %rbx
            pop %rbx
        function_end:
            ret
        landing:
            nop
        end:
            jmp _start
        """

    /// - Parameter flags: more for gcc.
    init(_ source: String = SmallProgram.source, origin: UInt64 = 0x401000, flags: String...) throws {
        directory = try TemporaryDirectory()
        path = directory.file("small")
        try source.appending("\n").write(toFile: directory.file("small.S"), atomically: true, encoding: .utf8)
        _ = try output(
            of: "gcc",
            [
                "-nostdlib", "-static", "-no-pie", "-Wl,-Ttext=0x\(String(origin, radix: 16))",
                "-Wl,--build-id=none", "-o", path, directory.file("small.S"),
            ] + flags)
        var labels: [String: UInt64] = [:]
        for line in try output(of: "nm", path).split(separator: "\n") {
            let words = line.split(separator: " ")
            if words.count == 3, let address = UInt64(words[0], radix: 16) { labels[String(words[2])] = address }
        }
        self.labels = labels
    }

    subscript(_ label: String) -> UInt64 { labels[label] ?? 0 }

    /// The labels as the lines of a log's text.
    var definitions: String {
        labels.filter { !$0.key.hasPrefix("_") || $0.key == "_start" }
            .map { "let \($0.key) = 0x\(String($0.value, radix: 16))" }.sorted().joined(separator: "\n")
    }

    func code() throws -> CodeMap {
        var code = CodeMap()
        try code.add(path)
        return code
    }

    /// The file with bytes changed at an address of the program.
    func changed(at address: UInt64, to bytes: [UInt8]) throws -> String {
        var content = try Data(contentsOf: URL(fileURLWithPath: path))
        let code = try code()
        let original = Data(code.bytes(at: address, count: .max))
        let place = try #require(content.firstRange(of: original))
        content.replaceSubrange(place.lowerBound..<place.lowerBound + bytes.count, with: bytes)
        let path = directory.file("changed")
        try content.write(to: URL(fileURLWithPath: path))
        return path
    }
}

struct ToolFailed: Error {
    var description: String
}

/// The output of a program; a failure is an error.
func output(of tool: String, _ arguments: String...) throws -> String { try output(of: tool, arguments) }

func output(of tool: String, _ arguments: [String]) throws -> String {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    process.arguments = [tool] + arguments
    let pipe = Pipe()
    process.standardOutput = pipe
    try process.run()
    let text = pipe.fileHandleForReading.readDataToEndOfFile()
    process.waitUntilExit()
    guard process.terminationStatus == 0 else { throw ToolFailed(description: "\(tool) \(arguments)") }
    return String(decoding: text, as: UTF8.self)
}
