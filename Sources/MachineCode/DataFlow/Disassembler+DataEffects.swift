// SPDX-License-Identifier: GPL-2.0-or-later

import CCapstone
import LogFormat

extension Disassembler {
    /// What the instruction decoded last reads and writes, by capstone's description of it; nil if none was decoded.
    ///
    /// Addresses of memory operands are no data: the registers in them are in ``MemoryOperand/registers`` only. The stack
    /// pointer counts as an address.
    func dataEffects(of instruction: Instruction) -> DataEffects? {
        guard let decoded, let detail = decoded.pointee.detail else { return nil }
        var effects = DataEffects()
        let id = x86_insn(UInt32(decoded.pointee.id))
        addImplicit(detail, &effects)
        let isString = InstructionIdentity.isString(id)
        if isString || id == X86_INS_STD || id == X86_INS_CLD { effects.reads.remove("flags") }
        let count = min(Int(detail.pointee.x86.op_count), 8)
        withUnsafeBytes(of: detail.pointee.x86.operands) { bytes in
            for operand in bytes.bindMemory(to: cs_x86_op.self).prefix(count) {
                add(operand, instruction, isAddress: id == X86_INS_LEA, to: &effects)
            }
        }
        switch id {
        case X86_INS_POP, X86_INS_RET, X86_INS_RETF, X86_INS_IRETQ, X86_INS_IRETD, X86_INS_IRET, X86_INS_POPF,
            X86_INS_POPFQ, X86_INS_POPFD:
            effects.loads.append(MemoryOperand(text: "(%rsp)", registers: ["rsp"], size: 8))
        case X86_INS_LEAVE: effects.loads.append(MemoryOperand(text: "(%rbp)", registers: ["rbp"], size: 8))
        case X86_INS_NOP: effects = DataEffects()
        default: break
        }
        if InstructionIdentity.isConditional(id) {
            effects.changes.formUnion(effects.writes)
            effects.writes = []
        }
        if isZeroing(id, detail) { effects.reads = [] }
        if InstructionIdentity.isInput(id) {
            effects.isInput = true
            effects.reads = []
        }
        effects.reads.remove("rsp")
        return effects
    }

    private func addImplicit(_ detail: UnsafeMutablePointer<cs_detail>, _ effects: inout DataEffects) {
        withUnsafeBytes(of: detail.pointee.regs_read) { bytes in
            for register in bytes.bindMemory(to: UInt16.self).prefix(Int(detail.pointee.regs_read_count)) {
                if let name = name(UInt32(register)) { effects.reads.insert(name.name) }
            }
        }
        withUnsafeBytes(of: detail.pointee.regs_write) { bytes in
            for register in bytes.bindMemory(to: UInt16.self).prefix(Int(detail.pointee.regs_write_count)) {
                if let name = name(UInt32(register)) { effects.add(write: name) }
            }
        }
    }

    private func add(
        _ operand: cs_x86_op, _ instruction: Instruction, isAddress: Bool, to effects: inout DataEffects
    ) {
        let access = UInt32(operand.access)
        let (isRead, isWritten) = (access & CS_AC_READ.rawValue != 0, access & CS_AC_WRITE.rawValue != 0)
        switch operand.type {
        case X86_OP_REG:
            guard let name = name(operand.reg.rawValue) else { return }
            if isRead { effects.reads.insert(name.name) }
            if isWritten { effects.add(write: name) }
        case X86_OP_MEM:
            let memory = memory(operand, instruction)
            if isAddress {
                effects.reads.formUnion(memory.registers)
            } else if isRead || !isWritten {
                effects.loads.append(memory)
            }
        default: break
        }
    }

    private func memory(_ operand: cs_x86_op, _ instruction: Instruction) -> MemoryOperand {
        let place = operand.mem
        let names = [place.base, place.index].map { registerName($0.rawValue) }
        let registers = Set(names.compactMap { RegisterNames.whole($0)?.name })
        let distance = UInt64(bitPattern: place.disp)
        let isRelative = place.base == X86_REG_RIP
        let segment = registerName(place.segment.rawValue)
        let isPlain = registers.isEmpty && segment != "fs" && segment != "gs"
        let address = isPlain ? (isRelative ? instruction.fallThrough &+ distance : distance) : nil
        var text = segment.isEmpty ? "" : "%\(segment):"
        if place.disp != 0 || names == ["", ""] {
            let magnitude = "0x" + String(place.disp.magnitude, radix: 16)
            text +=
                place.disp < 0 && names != ["", ""] ? "-\(magnitude)" : names == ["", ""] ? hex(distance) : magnitude
        }
        if names != ["", ""] {
            let index = names[1].isEmpty ? "" : ",%\(names[1]),\(place.scale)"
            text += "(\(names[0].isEmpty ? "" : "%" + names[0])\(index))"
        }
        return MemoryOperand(text: text, address: address, registers: registers, size: Int(operand.size))
    }

    private func hex(_ value: UInt64) -> String { "0x" + String(value, radix: 16) }

    /// `xor %eax,%eax` and the like: the result does not depend on the register.
    private func isZeroing(_ id: x86_insn, _ detail: UnsafeMutablePointer<cs_detail>) -> Bool {
        guard [X86_INS_XOR, X86_INS_SUB, X86_INS_PXOR, X86_INS_XORPS].contains(id), detail.pointee.x86.op_count == 2
        else { return false }
        let (a, b) = (detail.pointee.x86.operands.0, detail.pointee.x86.operands.1)
        return a.type == X86_OP_REG && b.type == X86_OP_REG && a.reg == b.reg
    }

    private func name(_ register: UInt32) -> (name: String, isWhole: Bool)? {
        RegisterNames.whole(registerName(register))
    }
}

extension DataEffects {
    fileprivate mutating func add(write register: (name: String, isWhole: Bool)) {
        if register.isWhole { writes.insert(register.name) } else { changes.insert(register.name) }
    }
}

/// Groups of instructions by capstone's numbers.
private enum InstructionIdentity {
    /// Instructions that step through memory; of the flags they read the direction only, repeated ones also the condition.
    static func isString(_ id: x86_insn) -> Bool {
        [
            X86_INS_MOVSB, X86_INS_MOVSW, X86_INS_MOVSD, X86_INS_MOVSQ, X86_INS_CMPSB, X86_INS_CMPSW, X86_INS_CMPSQ,
            X86_INS_SCASB, X86_INS_SCASW, X86_INS_SCASD, X86_INS_SCASQ, X86_INS_LODSB, X86_INS_LODSW, X86_INS_LODSD,
            X86_INS_LODSQ, X86_INS_STOSB, X86_INS_STOSW, X86_INS_STOSD, X86_INS_STOSQ, X86_INS_INSB, X86_INS_INSW,
            X86_INS_INSD, X86_INS_OUTSB, X86_INS_OUTSW, X86_INS_OUTSD,
        ].contains(id)
    }

    static func isConditional(_ id: x86_insn) -> Bool {
        [
            X86_INS_CMOVA, X86_INS_CMOVAE, X86_INS_CMOVB, X86_INS_CMOVBE, X86_INS_CMOVE, X86_INS_CMOVG, X86_INS_CMOVGE,
            X86_INS_CMOVL, X86_INS_CMOVLE, X86_INS_CMOVNE, X86_INS_CMOVNO, X86_INS_CMOVNP, X86_INS_CMOVNS,
            X86_INS_CMOVO, X86_INS_CMOVP, X86_INS_CMOVS,
        ].contains(id)
    }

    static func isInput(_ id: x86_insn) -> Bool {
        [
            X86_INS_IN, X86_INS_INSB, X86_INS_INSW, X86_INS_INSD, X86_INS_RDTSC, X86_INS_RDTSCP, X86_INS_CPUID,
            X86_INS_RDMSR, X86_INS_RDRAND, X86_INS_RDSEED, X86_INS_RDPMC,
        ].contains(id)
    }
}
