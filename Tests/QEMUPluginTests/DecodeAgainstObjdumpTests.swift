// SPDX-License-Identifier: GPL-2.0-or-later

import CQEMUPlugin
import CTTLog
import Foundation
import Testing

/// Decodes every instruction of real programs here and by objdump: class and target must agree.
struct DecodeAgainstObjdumpTests {
    /// One line of objdump.
    struct Line {
        var address: UInt64
        var bytes: [UInt8]
        var mnemonic: Substring
        var prefixes: [Substring]
        var operand: Substring

        /// `  401000:\t48 83 ec 08 \tsub    $0x8,%rsp`
        init?(_ text: Substring) {
            let fields = text.split(separator: "\t", omittingEmptySubsequences: false)
            guard fields.count >= 3, let colon = fields[0].firstIndex(of: ":"),
                let address = UInt64(fields[0][..<colon].trimmingPrefix(while: { $0 == " " }), radix: 16)
            else { return nil }
            self.address = address
            bytes = fields[1].split(separator: " ").compactMap { UInt8($0, radix: 16) }
            var words = fields[2].split(separator: " ")[...]
            prefixes = []
            while let word = words.first, words.count > 1, Line.isPrefix(word) { prefixes.append(words.removeFirst()) }
            guard let mnemonic = words.popFirst(), !bytes.isEmpty else { return nil }
            self.mnemonic = mnemonic
            operand = words.first ?? ""
        }

        static func isPrefix(_ word: Substring) -> Bool {
            word.hasPrefix("rep") || word.hasPrefix("rex") || word == "bnd" || word == "notrack" || word == "lock"
                || word == "data16" || word == "addr32" || word == "xacquire" || word == "xrelease"
                || ["cs", "ds", "es", "fs", "gs", "ss"].contains(word) || word.hasPrefix("{")
        }

        /// The class of the mnemonic.
        var branchClass: ttlog_branch_class {
            let isIndirect = operand.hasPrefix("*")
            switch mnemonic.split(separator: ",").first ?? "" {
            case "jmp", "jmpq", "jmpw": return isIndirect ? TTLOG_BRANCH_JMP_INDIRECT : TTLOG_BRANCH_JMP
            case "call", "callq", "callw": return isIndirect ? TTLOG_BRANCH_CALL_INDIRECT : TTLOG_BRANCH_CALL
            case "ret", "retq", "retw": return TTLOG_BRANCH_RET
            case "ljmp", "lcall", "lret", "ljmpl", "lcallq", "lretq", "ljmpw", "lcallw", "lretw":
                return TTLOG_BRANCH_FAR
            case "iret", "iretq", "iretw": return TTLOG_BRANCH_IRET
            case "int", "int3", "int1", "icebp", "into": return TTLOG_BRANCH_INT
            case "syscall": return TTLOG_BRANCH_SYSCALL
            case "sysret", "sysretq", "sysretl": return TTLOG_BRANCH_SYSRET
            case "sysenter": return TTLOG_BRANCH_SYSENTER
            case "sysexit", "sysexitq", "sysexitl": return TTLOG_BRANCH_SYSEXIT
            case "hlt": return TTLOG_BRANCH_HLT
            case "rsm": return TTLOG_BRANCH_RSM
            case let name where name.hasPrefix("j") || name.hasPrefix("loop"): return TTLOG_BRANCH_JCC
            case let name where prefixes.contains { $0.hasPrefix("rep") } && Line.isString(name):
                return TTLOG_BRANCH_REP
            default: return TTLOG_BRANCH_NONE
            }
        }

        static func isString(_ name: Substring) -> Bool {
            ["movs", "cmps", "stos", "lods", "scas", "ins", "outs"].contains { stem in
                name.hasPrefix(stem) && name.count <= stem.count + 1
            }
        }
    }

    private func disassembly(of path: String) throws -> String {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/objdump")
        process.arguments = ["-d", "--insn-width=15", path]
        let output = Pipe()
        process.standardOutput = output
        process.standardError = FileHandle.nullDevice
        try process.run()
        let text = output.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        return String(decoding: text, as: UTF8.self)
    }

    @Test(arguments: ["/bin/bash", "/lib/x86_64-linux-gnu/libc.so.6"])
    func everyInstructionOf(program: String) throws {
        try #require(FileManager.default.isExecutableFile(atPath: "/usr/bin/objdump"), "objdump (binutils) is missing")
        let text = try disassembly(of: program)
        var instructions = 0
        var branches = 0
        var differences: [String] = []
        for line in text.split(separator: "\n") {
            guard let expected = Line(line), expected.mnemonic != "(bad)" else { continue }
            instructions += 1
            var found = ttd_instruction()
            ttd_decode(expected.bytes, UInt32(expected.bytes.count), expected.address, &found)
            let branchClass = expected.branchClass
            if UInt32(found.branch_class) != branchClass.rawValue {
                differences.append("class \(found.branch_class), objdump: \(line)")
            }
            guard branchClass == TTLOG_BRANCH_JCC || branchClass == TTLOG_BRANCH_JMP || branchClass == TTLOG_BRANCH_CALL
            else {
                if found.has_static_target != 0 { differences.append("a target, objdump: \(line)") }
                continue
            }
            branches += 1
            if found.has_static_target == 0 || UInt64(expected.operand, radix: 16) != found.target {
                differences.append("target \(String(found.target, radix: 16)), objdump: \(line)")
            }
        }
        #expect(instructions > 10_000 && branches > 1_000)
        #expect(differences.isEmpty, "\(differences.count) differences, first: \(differences.prefix(5))")
    }
}
