// SPDX-License-Identifier: GPL-2.0-or-later

import CCapstone
import LogFormat
import Symbolize

/// Disassembles x86 code in its three modes, with capstone.
///
///     let disassembler = try Disassembler(syntax: .intel)
///     if let instruction = disassembler.decode(bytes, at: 0xffff_ffff_8100_0000, mode: .bits64) {
///         print(instruction.size, disassembler.text ?? "")           // the text of the last decoded instruction
///     }
///
/// One thread at a time may use it.
public final class Disassembler {
    /// How operands are written.
    public enum Syntax: String, Sendable, CaseIterable {
        /// Intel's manual: destination first.
        case intel
        /// The GNU tools: source first, `%` before registers.
        case att
    }

    /// How this disassembler writes operands.
    public let syntax: Syntax
    private var handles: [csh] = []
    /// The memory into which capstone writes the decoded instruction.
    private(set) var scratch: UnsafeMutablePointer<cs_insn>?
    private var hasText = false

    /// Throws when the installed capstone cannot do x86.
    public init(syntax: Syntax = .att) throws(DisassemblerError) {
        self.syntax = syntax
        for mode in [CS_MODE_16, CS_MODE_32, CS_MODE_64] {
            var handle: csh = 0
            let code = cs_open(CS_ARCH_X86, mode, &handle)
            guard code == CS_ERR_OK else { throw DisassemblerError(code: Int(code.rawValue)) }
            handles.append(handle)
            let spelling = syntax == .att ? CS_OPT_SYNTAX_ATT : CS_OPT_SYNTAX_INTEL
            for (option, value) in [(CS_OPT_SYNTAX, spelling), (CS_OPT_DETAIL, CS_OPT_ON)] {
                let code = cs_option(handle, option, Int(value.rawValue))
                guard code == CS_ERR_OK else { throw DisassemblerError(code: Int(code.rawValue)) }
            }
        }
        scratch = cs_malloc(handles[0])
        guard scratch != nil else { throw DisassemblerError(code: Int(CS_ERR_MEM.rawValue)) }
    }

    deinit {
        if let scratch { cs_free(scratch, 1) }
        for index in handles.indices { cs_close(&handles[index]) }
    }

    /// Decodes the instruction at the beginning of the bytes; `nil` if capstone knows none, or if it ends after them.
    ///
    /// - Parameters:
    ///   - bytes: the code from there on; at most 15 bytes are read.
    ///   - address: the instruction's address.
    public func decode(_ bytes: UnsafeRawBufferPointer, at address: UInt64, mode: CodeMode) -> Instruction? {
        hasText = false
        guard let scratch, let base = bytes.baseAddress, bytes.count > 0 else { return nil }
        let handle = handle(mode)
        var code: UnsafePointer<UInt8>? = base.assumingMemoryBound(to: UInt8.self)
        var left = min(bytes.count, 15)
        var next = address
        guard cs_disasm_iter(handle, &code, &left, &next, scratch), let detail = scratch.pointee.detail else {
            return Disassembler.protectionKeys(bytes, at: address, mode: mode)
        }
        let id = x86_insn(UInt32(scratch.pointee.id))
        var size = Int(scratch.pointee.size)
        if id == X86_INS_UD2B {
            // ud1: capstone 4 leaves out its operands.
            size += Disassembler.operandSize(bytes.dropFirst(size), mode)
        }
        guard size >= 1, size <= 15, size <= bytes.count else { return nil }
        hasText = true
        let opcode = detail.pointee.x86.opcode.0
        let isRelative = detail.pointee.x86.op_count > 0 && detail.pointee.x86.operands.0.type == X86_OP_IMM
        let branchClass = Disassembler.branchClass(
            id, isRelative: isRelative, opcode: opcode,
            isRepeated: detail.pointee.x86.prefix.0 == 0xf3
                || detail.pointee.x86.prefix.0 == 0xf2)
        let hasTarget = isRelative && [.jcc, .jmp, .call].contains(branchClass)
        return Instruction(
            address: address,
            target: hasTarget ? UInt64(bitPattern: detail.pointee.x86.operands.0.imm) : 0,
            size: UInt8(truncatingIfNeeded: size), branchClass: branchClass, hasTarget: hasTarget, mode: mode,
            alwaysFaults: id == X86_INS_UD2 || id == X86_INS_UD2B || id == X86_INS_UD0)
    }

    /// capstone's handle for a mode.
    func handle(_ mode: CodeMode) -> csh { handles[mode == .bits64 ? 2 : mode == .bits32 ? 1 : 0] }

    /// The instruction decoded last, as capstone writes it: mnemonic, blank, operands. Empty when nothing was decoded.
    public var text: String {
        let mnemonic = mnemonic
        let operands = operands
        return operands.isEmpty ? mnemonic : mnemonic + " " + operands
    }

    /// The mnemonic of the instruction decoded last, with its prefixes (`rep movsb`).
    public var mnemonic: String { field(\.mnemonic) }
    /// Its operands.
    public var operands: String { field(\.op_str) }

    /// The instruction decoded last; nil when nothing was decoded.
    var decoded: UnsafeMutablePointer<cs_insn>? { hasText ? scratch : nil }

    /// capstone's name of a register; empty for none.
    func registerName(_ register: UInt32) -> String {
        cs_reg_name(handles[2], register).map { String(cString: $0) } ?? ""
    }

    private func field<T>(_ path: KeyPath<cs_insn, T>) -> String {
        guard hasText, let scratch, let offset = MemoryLayout<cs_insn>.offset(of: path) else { return "" }
        let field = UnsafeRawBufferPointer(
            start: UnsafeRawPointer(scratch) + offset, count: MemoryLayout<T>.size)
        return String(decoding: field.prefix { $0 != 0 }, as: UTF8.self)
    }

    /// rdpkru and wrpkru, which a Linux kernel executes at each switch of tasks: capstone 4 knows neither.
    private static func protectionKeys(
        _ bytes: UnsafeRawBufferPointer, at address: UInt64, mode: CodeMode
    ) -> Instruction? {
        guard bytes.count >= 3, bytes[0] == 0x0f, bytes[1] == 0x01, bytes[2] & 0xfe == 0xee else { return nil }
        return Instruction(
            address: address, target: 0, size: 3, branchClass: .none, hasTarget: false, mode: mode, alwaysFaults: false)
    }

    /// The bytes of ModRM, SIB and displacement (Intel SDM volume 2, 2.1.5); 16-bit addressing has no SIB.
    private static func operandSize(_ bytes: Slice<UnsafeRawBufferPointer>, _ mode: CodeMode) -> Int {
        guard let modRM = bytes.first else { return 0 }
        let (mod, rm) = (modRM >> 6, modRM & 7)
        if mode == .bits16 { return [rm == 6 ? 3 : 1, 2, 3, 1][Int(mod)] }
        let hasSIB = mod != 3 && rm == 4
        let base = hasSIB ? (bytes.dropFirst().first ?? 0) & 7 : rm
        return [base == 5 ? 5 : 1, 2, 5, 1][Int(mod)] + (hasSIB ? 1 : 0)
    }

    /// The class of an instruction by capstone's number for it.
    private static func branchClass(
        _ id: x86_insn, isRelative: Bool, opcode: UInt8, isRepeated: Bool
    ) -> BranchClass {
        switch id {
        case X86_INS_JMP: isRelative ? .jmp : .jmpIndirect
        case X86_INS_CALL: isRelative ? .call : .callIndirect
        case X86_INS_RET: .ret
        case X86_INS_LJMP, X86_INS_LCALL, X86_INS_RETF, X86_INS_RETFQ: .far
        case X86_INS_IRET, X86_INS_IRETD, X86_INS_IRETQ: .iret
        case X86_INS_INT, X86_INS_INT1, X86_INS_INT3, X86_INS_INTO: .int
        case X86_INS_SYSCALL: .syscall
        case X86_INS_SYSRET: .sysret
        case X86_INS_SYSENTER: .sysenter
        case X86_INS_SYSEXIT: .sysexit
        case X86_INS_HLT: .hlt
        case X86_INS_RSM: .rsm
        case X86_INS_JO, X86_INS_JNO, X86_INS_JB, X86_INS_JAE, X86_INS_JE, X86_INS_JNE, X86_INS_JBE, X86_INS_JA,
            X86_INS_JS, X86_INS_JNS, X86_INS_JP, X86_INS_JNP, X86_INS_JL, X86_INS_JGE, X86_INS_JLE, X86_INS_JG,
            X86_INS_JCXZ, X86_INS_JECXZ, X86_INS_JRCXZ, X86_INS_LOOP, X86_INS_LOOPE, X86_INS_LOOPNE:
            .jcc
        default:
            // movs, cmps, stos, lods, scas, ins, outs: no other instructions have these opcodes.
            isRepeated && (0xa4...0xa7 ~= opcode || 0xaa...0xaf ~= opcode || 0x6c...0x6f ~= opcode) ? .rep : .none
        }
    }
}

/// The installed capstone library cannot be used.
public struct DisassemblerError: Error, Hashable, Sendable, CustomStringConvertible {
    /// capstone's error code (`cs_err`).
    public var code: Int

    /// One sentence with capstone's text for the code.
    public var description: String {
        "capstone cannot disassemble x86: \(String(cString: cs_strerror(cs_err(UInt32(truncatingIfNeeded: code)))))"
    }
}
