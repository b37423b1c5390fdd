// SPDX-License-Identifier: GPL-2.0-or-later

import MachineCode
import Testing

/// Effects of single instructions, by Intel's manual.
struct InstructionEffectsTests {
    private func effects(_ bytes: [UInt8], _ mode: CodeMode = .bits64) throws -> InstructionEffects {
        let disassembler = try Disassembler(syntax: .intel)
        let decoded = bytes.withUnsafeBytes { disassembler.effects(of: $0, at: 0x1000, mode: mode) }
        let result = try #require(decoded)
        #expect(Int(result.instruction.size) == bytes.count)
        return result.effects
    }

    @Test func comparisonsWriteFlagsAndJumpsReadThem() throws {
        // cmp eax, edi
        let compare = try effects([0x39, 0xf8])
        #expect(Set(compare.reads) == [RegisterUse(.rax, bytes: 0x0f), RegisterUse(.rdi, bytes: 0x0f)])
        #expect(compare.writes == [RegisterUse(.flags)])
        // test al, 1
        let test = try effects([0xa8, 0x01])
        #expect(test.reads == [RegisterUse(.rax, bytes: 0x01)] && test.writes == [RegisterUse(.flags)])
        // jb
        let jump = try effects([0x72, 0xde])
        #expect(jump.reads == [RegisterUse(.flags)] && jump.writes.isEmpty && jump.isConditional)
    }

    @Test func addressesAreNoData() throws {
        // mov rax, [rax + rcx*8]
        let load = try effects([0x48, 0x8b, 0x04, 0xc8])
        #expect(load.reads.isEmpty && load.isCopy)
        #expect(Set(load.addresses.map(\.register)) == [.rax, .rcx])
        #expect(load.writes == [RegisterUse(.rax)])
        // mov [rbx], cl
        let store = try effects([0x88, 0x0b])
        #expect(store.reads == [RegisterUse(.rcx, bytes: 0x01)] && store.writes.isEmpty)
        #expect(store.addresses.map(\.register) == [.rbx])
        // lea rsi, [rax + 1]: the address is the result
        let lea = try effects([0x48, 0x8d, 0x70, 0x01])
        #expect(lea.reads.map(\.register) == [.rax] && lea.addresses.isEmpty)
    }

    @Test func partsOfRegistersAreKnown() throws {
        // mov ah, bl
        let high = try effects([0x88, 0xdc])
        #expect(high.writes == [RegisterUse(.rax, bytes: 0x02)] && high.reads == [RegisterUse(.rbx, bytes: 0x01)])
        // mov r9d, r10d clears the upper half; in 32-bit code, mov ecx, edx has none.
        #expect(try effects([0x45, 0x89, 0xd1]).writes == [RegisterUse(.r9)])
        #expect(try effects([0x89, 0xd1], .bits32).writes == [RegisterUse(.rcx, bytes: 0x0f)])
    }

    @Test func stackAndStringInstructionsMoveTheirPointers() throws {
        // push rbp; pop rbp
        let push = try effects([0x55])
        #expect(push.reads.map(\.register) == [.rbp] && push.advances == [.rsp])
        let pop = try effects([0x5d])
        #expect(pop.reads.isEmpty && pop.advances == [.rsp])
        #expect(Set(pop.writes.map(\.register)) == [.rbp, .rsp])
        // rep movsb
        let copy = try effects([0xf3, 0xa4])
        #expect(copy.isRepeated && copy.isCopy && copy.advances == [.rsi, .rdi, .rcx])
        #expect(Set(copy.addresses.map(\.register)).isSuperset(of: [.rsi, .rdi, .rcx]))
    }

    @Test func constantsAndInputsAreSeen() throws {
        // xor eax, eax; xor eax, ecx
        #expect(try effects([0x31, 0xc0]).isConstant)
        #expect(try !effects([0x31, 0xc8]).isConstant)
        let inputs: [([UInt8], InstructionEffects.Input)] = [
            ([0xe4, 0x71], .port), ([0x0f, 0x31], .timestamp), ([0x0f, 0xa2], .cpuid), ([0x0f, 0x32], .msr),
            ([0x0f, 0xc7, 0xf0], .random), ([0x0f, 0x20, 0xd0], .control),
        ]
        for (bytes, input) in inputs {
            let effects = try effects(bytes)
            #expect(effects.input == input, "\(bytes)")
            #expect(effects.writes.contains { $0.register == .rax }, "\(bytes)")
        }
        // iretq; lock xadd [rax], ecx
        #expect(try effects([0x48, 0xcf]).isInterruptReturn)
        #expect(try effects([0xf0, 0x0f, 0xc1, 0x08]).isAtomic)
    }
}
