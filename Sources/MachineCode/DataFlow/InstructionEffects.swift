// SPDX-License-Identifier: GPL-2.0-or-later

import CCapstone

/// What an instruction reads and writes, apart from memory.
///
/// Read it with Intel's syntax: capstone 4 mixes up the accesses of operands in AT&T's.
public struct InstructionEffects: Hashable, Sendable {
    /// How an instruction brings in data from outside of registers and memory.
    public enum Input: String, Hashable, Sendable, CaseIterable {
        /// A port.
        case port
        /// The time-stamp counter.
        case timestamp
        /// The processor's description.
        case cpuid
        /// A model-specific register.
        case msr
        /// A random number.
        case random
        /// A control or debug register.
        case control
    }

    /// Registers whose values go into the result.
    public var reads: [RegisterUse] = []
    /// Registers that only form addresses of memory, or count the repetitions of a string instruction.
    public var addresses: [RegisterUse] = []
    /// Registers that get a result.
    public var writes: [RegisterUse] = []
    /// The outside source of the result; nil for none.
    public var input: Input?
    /// Whether the result is a copy of the source: `mov`, `push`, `pop`.
    public var isCopy = false
    /// Whether the result does not depend on the registers read (`xor %eax,%eax`).
    public var isConstant = false
    /// Whether it is a conditional jump, a loop, or another instruction whose successor the flags or rcx decide.
    public var isConditional = false
    /// Registers that it moves on by itself: the stack pointer, the pointers and the counter of a string instruction.
    public var advances: Set<RegisterUse.Register> = []
    /// Whether one access both reads and writes memory.
    public var isAtomic = false
    /// Whether it has a repeat prefix.
    public var isRepeated = false
    /// Whether it returns from an interrupt: flags and stack pointer are those of the interrupted place.
    public var isInterruptReturn = false

    /// No effects.
    public init() {}
}

extension Disassembler {
    /// The effects of an instruction; `nil` if capstone does not know it. ``text`` then is the instruction's.
    public func effects(
        of bytes: UnsafeRawBufferPointer, at address: UInt64, mode: CodeMode
    ) -> (instruction: Instruction, effects: InstructionEffects)? {
        guard let instruction = decode(bytes, at: address, mode: mode), let scratch,
            let detail = scratch.pointee.detail
        else { return nil }
        let id = x86_insn(UInt32(scratch.pointee.id))
        let x86 = detail.pointee.x86
        var effects = InstructionEffects()
        let handle = handle(mode)
        (effects.reads, effects.writes) = uses(handle, mode)
        let isRepeated = x86.prefix.0 == 0xf3 || x86.prefix.0 == 0xf2
        effects.isRepeated = isRepeated && instruction.branchClass == .rep
        effects.isConditional = instruction.branchClass == .jcc
        effects.isInterruptReturn = instruction.branchClass == .iret
        effects.input = Disassembler.input(id, x86)
        effects.isCopy = Disassembler.copies.contains(id.rawValue)
        // capstone 4 lists the operands of test and cmp as written.
        if id == X86_INS_TEST || id == X86_INS_CMP { effects.writes = [RegisterUse(.flags)] }
        effects.addresses = addresses(handle, x86, effects.isRepeated)
        let operands = Disassembler.registerOperands(handle, x86)
        // A register that an operand names as data counts, even if it is part of an address too.
        effects.reads.removeAll { read in
            effects.addresses.contains { $0.register == read.register }
                && !operands.contains { $0.register == read.register }
        }
        if Disassembler.stackUsers.contains(id.rawValue), !operands.contains(where: { $0.register == .rsp }) {
            effects.reads.removeAll { $0.register == .rsp }
            effects.addresses.append(RegisterUse(.rsp))
            effects.advances = [.rsp]
        }
        if Disassembler.isString(x86.opcode.0) { effects.advances = [.rsi, .rdi, .rcx] }
        effects.isAtomic = x86.prefix.0 == 0xf0 || id == X86_INS_XCHG
        if Disassembler.differenceOfItself.contains(id.rawValue), x86.op_count == 2, operands.count == 2,
            operands[0] == operands[1]
        {
            effects.isConstant = true
            effects.reads = []
        }
        if instruction.branchClass == .sysret { effects.reads.append(RegisterUse(.r11)) }
        return (instruction, effects)
    }

    private static let copies = Set(
        [
            X86_INS_MOV, X86_INS_MOVABS, X86_INS_PUSH, X86_INS_POP, X86_INS_MOVSB, X86_INS_MOVSW, X86_INS_MOVSQ,
            X86_INS_LODSB, X86_INS_LODSD, X86_INS_LODSQ, X86_INS_STOSB, X86_INS_STOSD, X86_INS_STOSQ,
        ].map(\.rawValue))

    /// movs, cmps, stos, lods, scas, ins, outs.
    private static func isString(_ opcode: UInt8) -> Bool {
        0xa4...0xa7 ~= opcode || 0xaa...0xaf ~= opcode || 0x6c...0x6f ~= opcode
    }

    private static let stackUsers = Set(
        [
            X86_INS_PUSH, X86_INS_POP, X86_INS_CALL, X86_INS_RET, X86_INS_PUSHF, X86_INS_PUSHFQ, X86_INS_POPF,
            X86_INS_POPFQ, X86_INS_ENTER,
        ].map(\.rawValue))

    private static let differenceOfItself = Set(
        [
            X86_INS_XOR, X86_INS_SUB, X86_INS_PXOR, X86_INS_XORPS, X86_INS_XORPD, X86_INS_PSUBB,
        ].map(\.rawValue))

    private static func input(_ id: x86_insn, _ x86: cs_x86) -> InstructionEffects.Input? {
        switch id {
        case X86_INS_IN, X86_INS_INSB, X86_INS_INSW, X86_INS_INSD: return .port
        case X86_INS_RDTSC, X86_INS_RDTSCP, X86_INS_RDPMC: return .timestamp
        case X86_INS_CPUID, X86_INS_XGETBV: return .cpuid
        case X86_INS_RDMSR: return .msr
        case X86_INS_RDRAND, X86_INS_RDSEED: return .random
        // mov from a control or debug register: 0f 20 and 0f 21.
        case X86_INS_MOV where x86.opcode.0 == 0x0f && (x86.opcode.1 == 0x20 || x86.opcode.1 == 0x21): return .control
        default: return nil
        }
    }

    /// The registers that capstone lists as read and written by the instruction decoded last.
    private func uses(_ handle: csh, _ mode: CodeMode) -> (reads: [RegisterUse], writes: [RegisterUse]) {
        var (reads, writes) = ([UInt16](repeating: 0, count: 64), [UInt16](repeating: 0, count: 64))
        var (readCount, writeCount): (UInt8, UInt8) = (0, 0)
        guard cs_regs_access(handle, scratch, &reads, &readCount, &writes, &writeCount) == CS_ERR_OK else {
            return ([], [])
        }
        let read = reads.prefix(Int(readCount)).compactMap { Disassembler.use(handle, UInt32($0)) }
        var written = writes.prefix(Int(writeCount)).compactMap { Disassembler.use(handle, UInt32($0)) }
        // In 64-bit mode, a 32-bit result clears the upper half.
        if mode == .bits64 {
            for index in written.indices where written[index].bytes == 0x0f { written[index].bytes = 0xff }
        }
        return (read, written)
    }

    private static func use(_ handle: csh, _ register: UInt32) -> RegisterUse? {
        guard let name = cs_reg_name(handle, register) else { return nil }
        return RegisterUse(capstoneName: String(cString: name))
    }

    /// The registers that operands read as data, without those in addresses.
    private static func registerOperands(_ handle: csh, _ x86: cs_x86) -> [RegisterUse] {
        forEachOperand(x86) { operand in
            guard operand.type == X86_OP_REG, operand.access != UInt8(CS_AC_WRITE.rawValue) else { return nil }
            return use(handle, operand.reg.rawValue)
        }
    }

    private func addresses(_ handle: csh, _ x86: cs_x86, _ isRepeated: Bool) -> [RegisterUse] {
        // The address that lea computes is its result.
        if scratch?.pointee.id == UInt32(X86_INS_LEA.rawValue) { return [] }
        var list = Disassembler.forEachOperand(x86) { operand -> [RegisterUse]? in
            guard operand.type == X86_OP_MEM else { return nil }
            return [operand.mem.base, operand.mem.index].compactMap { Disassembler.use(handle, $0.rawValue) }
        }.flatMap { $0 }
        if isRepeated { list.append(RegisterUse(.rcx)) }
        return list
    }

    /// What `body` returns for the operands, in order.
    static func forEachOperand<T>(_ x86: cs_x86, _ body: (cs_x86_op) -> T?) -> [T] {
        withUnsafeBytes(of: x86.operands) { bytes in
            bytes.bindMemory(to: cs_x86_op.self).prefix(Int(x86.op_count)).compactMap(body)
        }
    }
}
