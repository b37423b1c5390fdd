// SPDX-License-Identifier: GPL-2.0-or-later

import CCapstone

/// A place in memory as an instruction names it.
public struct MemoryOperand: Hashable, Sendable {
    /// As the GNU tools write it: `0x8(%rdi,%rcx,4)`.
    public var text: String
    /// The address, if no register but the instruction pointer is part of it.
    public var address: UInt64?
    /// The registers that are part of the address.
    public var registers: Set<RegisterUse.Register>
    /// The number of bytes.
    public var size: Int

    /// Makes an operand.
    public init(text: String, address: UInt64? = nil, registers: Set<RegisterUse.Register> = [], size: Int) {
        self.text = text
        self.address = address
        self.registers = registers
        self.size = size
    }
}

extension Disassembler {
    /// The memory that the instruction decoded last reads. As for ``InstructionEffects``, the syntax must be Intel's.
    func loads(of instruction: Instruction) -> [MemoryOperand] {
        guard let decoded, let detail = decoded.pointee.detail else { return [] }
        let id = x86_insn(UInt32(decoded.pointee.id))
        var loads: [MemoryOperand] = []
        if id != X86_INS_LEA, id != X86_INS_NOP {
            loads = Disassembler.forEachOperand(detail.pointee.x86) { operand in
                let access = UInt32(operand.access)
                let isWrittenOnly = access & CS_AC_READ.rawValue == 0 && access & CS_AC_WRITE.rawValue != 0
                return operand.type == X86_OP_MEM && !isWrittenOnly ? memory(operand, instruction) : nil
            }
        }
        switch id {
        case X86_INS_POP, X86_INS_RET, X86_INS_RETF, X86_INS_IRETQ, X86_INS_IRETD, X86_INS_IRET, X86_INS_POPF,
            X86_INS_POPFQ, X86_INS_POPFD:
            loads.append(MemoryOperand(text: "(%rsp)", registers: [.rsp], size: 8))
        case X86_INS_LEAVE: loads.append(MemoryOperand(text: "(%rbp)", registers: [.rbp], size: 8))
        default: break
        }
        return loads
    }

    private func memory(_ operand: cs_x86_op, _ instruction: Instruction) -> MemoryOperand {
        let place = operand.mem
        let names = [place.base, place.index].map { registerName($0.rawValue) }
        let registers = Set(names.compactMap { RegisterUse(capstoneName: $0)?.register })
        let distance = UInt64(bitPattern: place.disp)
        let isRelative = place.base == X86_REG_RIP
        let segment = registerName(place.segment.rawValue)
        let isPlain = registers.isEmpty && segment != "fs" && segment != "gs"
        let address = isPlain ? (isRelative ? instruction.fallThrough &+ distance : distance) : nil
        var text = segment.isEmpty ? "" : "%\(segment):"
        let hasNames = names != ["", ""]
        if place.disp != 0 || !hasNames {
            let magnitude = String(hasNames ? place.disp.magnitude : distance, radix: 16)
            text += (place.disp < 0 && hasNames ? "-0x" : "0x") + magnitude
        }
        if hasNames {
            let index = names[1].isEmpty ? "" : ",%\(names[1]),\(place.scale)"
            text += "(\(names[0].isEmpty ? "" : "%" + names[0])\(index))"
        }
        return MemoryOperand(text: text, address: address, registers: registers, size: Int(operand.size))
    }
}
