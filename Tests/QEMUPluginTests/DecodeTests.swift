// SPDX-License-Identifier: GPL-2.0-or-later

import CQEMUPlugin
import CTTLog
import Testing

/// The decoding of single instructions.
struct DecodeTests {
    private func decode(_ bytes: [UInt8], at address: UInt64 = 0x40_0000) -> ttd_instruction {
        var result = ttd_instruction()
        ttd_decode(bytes, UInt32(bytes.count), address, &result)
        return result
    }

    @Test(
        arguments: [
            ([0x74, 0xfe], TTLOG_BRANCH_JCC), ([0xe3, 0x05], TTLOG_BRANCH_JCC),
            ([0x0f, 0x84, 0, 0, 0, 0], TTLOG_BRANCH_JCC), ([0xeb, 0x00], TTLOG_BRANCH_JMP),
            ([0xf2, 0xe9, 0, 0, 0, 0], TTLOG_BRANCH_JMP), ([0xe8, 0, 0, 0, 0], TTLOG_BRANCH_CALL),
            ([0xff, 0xd0], TTLOG_BRANCH_CALL_INDIRECT), ([0x41, 0xff, 0xe4], TTLOG_BRANCH_JMP_INDIRECT),
            ([0x3e, 0xff, 0xe0], TTLOG_BRANCH_JMP_INDIRECT), ([0xff, 0x2d, 0, 0, 0, 0], TTLOG_BRANCH_FAR),
            ([0xf3, 0xc3], TTLOG_BRANCH_RET), ([0xc2, 8, 0], TTLOG_BRANCH_RET), ([0x48, 0xcf], TTLOG_BRANCH_IRET),
            ([0xcd, 0x80], TTLOG_BRANCH_INT), ([0xcc], TTLOG_BRANCH_INT), ([0x0f, 0x05], TTLOG_BRANCH_SYSCALL),
            ([0x48, 0x0f, 0x07], TTLOG_BRANCH_SYSRET), ([0x0f, 0x34], TTLOG_BRANCH_SYSENTER),
            ([0x0f, 0x35], TTLOG_BRANCH_SYSEXIT), ([0xf4], TTLOG_BRANCH_HLT), ([0x0f, 0xaa], TTLOG_BRANCH_RSM),
            ([0xf3, 0xa4], TTLOG_BRANCH_REP), ([0xf3, 0x48, 0xab], TTLOG_BRANCH_REP), ([0xf2, 0xae], TTLOG_BRANCH_REP),
            // Not branches: movs without a prefix, pause, inc eax of 32-bit code, ud2, a VEX instruction, push r/m.
            ([0xa4], TTLOG_BRANCH_NONE), ([0xf3, 0x90], TTLOG_BRANCH_NONE), ([0x40], TTLOG_BRANCH_NONE),
            ([0x0f, 0x0b], TTLOG_BRANCH_NONE), ([0xc5, 0xf8, 0x77], TTLOG_BRANCH_NONE),
            ([0xff, 0x30], TTLOG_BRANCH_NONE),
            // Prefixes and nothing else; nothing at all.
            ([0x66, 0x66], TTLOG_BRANCH_NONE), ([], TTLOG_BRANCH_NONE),
        ] as [([UInt8], ttlog_branch_class)])
    func classes(bytes: [UInt8], expected: ttlog_branch_class) {
        #expect(UInt32(decode(bytes).branch_class) == expected.rawValue)
    }

    @Test func staticTargets() {
        #expect(decode([0x74, 0xfe]).target == 0x40_0000)
        #expect(decode([0xe8, 0x10, 0, 0, 0]).target == 0x40_0015)
        #expect(decode([0x0f, 0x85, 0xfa, 0xff, 0xff, 0xff]).target == 0x40_0000)
        #expect(decode([0xe8, 0xfd, 0xff], at: 0xf000).target == 0xf000)  // 16-bit code
        #expect(decode([0xff, 0xd0]).has_static_target == 0)
    }

    /// Near branches that read their target from memory.
    @Test(arguments: [
        ([0xc3], true), ([0xf3, 0xc3], true), ([0xc2, 8, 0], true), ([0xff, 0x20], true),
        ([0xff, 0x15, 0, 0, 0, 0], true),
        ([0x41, 0xff, 0x24, 0x24], true), ([0xff, 0xd0], false), ([0x41, 0xff, 0xe4], false), ([0xcb], false),
        ([0xff, 0x2d, 0, 0, 0, 0], false), ([0x48, 0xcf], false), ([0xe8, 0, 0, 0, 0], false), ([0xff, 0x30], false),
    ]) func targetsFromMemory(bytes: [UInt8], reads: Bool) {
        #expect((decode(bytes).reads_target != 0) == reads)
    }

    /// A branch explains the target that its bytes give, or that with the width of 16- or 32-bit code.
    @Test func wrappedTargets() {
        #expect(ttd_target_explains(0x40_0000, 0x40_0000) != 0)
        #expect(ttd_target_explains(0x10_0010, 0x0f_0010) != 0)  // 16-bit: the segment's end
        #expect(ttd_target_explains(0x40_0010, 0x41_0010) == 0)  // too high for 16-bit code
        #expect(ttd_target_explains(0x1_0000_0010, 0x10) != 0)  // 32-bit
        #expect(ttd_target_explains(0xffff_ffff_ffff_fff0, 0xffff_fff0) != 0)
        #expect(ttd_target_explains(0xffff_8000_0000_0000, 0xffff_8000_0000_0004) == 0)
    }

    @Test(
        arguments: [
            ([0xe4, 0x60], TTLOG_EVENT_PORT_READ, 1), ([0xec], TTLOG_EVENT_PORT_READ, 1),
            ([0xed], TTLOG_EVENT_PORT_READ, 4), ([0x66, 0xed], TTLOG_EVENT_PORT_READ, 2),
            ([0xe6, 0x70], TTLOG_EVENT_PORT_WRITE, 1), ([0xef], TTLOG_EVENT_PORT_WRITE, 4),
            ([0xf3, 0x6c], TTLOG_EVENT_PORT_READ, 1), ([0xf3, 0x6f], TTLOG_EVENT_PORT_WRITE, 4),
            ([0x0f, 0x31], TTLOG_EVENT_RDTSC, 0), ([0x0f, 0x01, 0xf9], TTLOG_EVENT_RDTSC, 0),
            ([0x0f, 0xa2], TTLOG_EVENT_CPUID, 0), ([0x0f, 0x32], TTLOG_EVENT_RDMSR, 0),
            ([0x0f, 0x30], TTLOG_EVENT_WRMSR, 0), ([0x48, 0x0f, 0xc7, 0xf0], TTLOG_EVENT_RDRAND, 0),
            ([0x0f, 0xc7, 0xf8], TTLOG_EVENT_RDRAND, 0),
        ] as [([UInt8], ttlog_event_kind, UInt8)])
    func accesses(bytes: [UInt8], kind: ttlog_event_kind, size: UInt8) {
        let instruction = decode(bytes)
        #expect(UInt32(instruction.access_kind) == kind.rawValue)
        #expect(instruction.access_bytes == size)
    }

    /// The comments have the assembler's text; Intel SDM volume 2.
    @Test(
        arguments: [
            ([0x48, 0x8b, 0x66, 0x18], true),  // mov 0x18(%rsi), %rsp
            ([0x65, 0x48, 0x8b, 0x24, 0x25, 0, 0x60, 0, 0], true),  // mov %gs:0x6000, %rsp
            ([0x48, 0x89, 0xc4], true),  // mov %rax, %rsp
            ([0x4c, 0x89, 0xd4], true),  // mov %r10, %rsp
            ([0x4c, 0x89, 0xec], true),  // mov %r13, %rsp
            ([0x48, 0xc7, 0xc4, 0, 0, 0x20, 0], true),  // mov $0x200000, %rsp
            ([0x5c], true), ([0x48, 0x94], true),  // pop %rsp; xchg %rax, %rsp
            ([0x49, 0x8d, 0x62, 0xf8], true),  // lea -8(%r10), %rsp
            ([0x48, 0x89, 0xec], false), ([0x48, 0x8b, 0xe5], false),  // mov %rbp, %rsp, both forms
            ([0x48, 0x8d, 0x65, 0xd8], false),  // lea -0x28(%rbp), %rsp
            ([0x48, 0x8d, 0x64, 0x24, 0x08], false),  // lea 8(%rsp), %rsp
            ([0x48, 0x89, 0x65, 0xf8], false),  // mov %rsp, -8(%rbp)
            ([0x49, 0x89, 0xc4], false), ([0x41, 0x5c], false),  // mov %rax, %r12; pop %r12
            ([0x4c, 0x8b, 0x66, 0x18], false),  // mov 0x18(%rsi), %r12
            ([0x48, 0x83, 0xc4, 0x08], false), ([0xc9], false),  // add $8, %rsp; leave
        ] as [([UInt8], Bool)])
    func switchesOfTheStack(bytes: [UInt8], switches: Bool) {
        #expect((decode(bytes).switches_stack != 0) == switches)
    }

    /// Repeated stores and their memory accesses for each iteration.
    @Test(
        arguments: [
            ([0xf3, 0xa4], 2), ([0xf3, 0x48, 0xa5], 2), ([0xf3, 0xaa], 1), ([0xf3, 0x48, 0xab], 1), ([0xf3, 0x6c], 2),
            ([0xa4], 0), ([0xf3, 0xac], 0), ([0xf3, 0xa6], 0), ([0xf2, 0xae], 0), ([0xf3, 0x6e], 0),
        ] as [([UInt8], UInt8)])
    func repeatedStores(bytes: [UInt8], accesses: UInt8) {
        #expect(decode(bytes).repeats_store == accesses)
    }

    @Test func loadsOfTheAddressSpace() {
        #expect(decode([0x0f, 0x22, 0xd8]).loads_address_space == 1)  // mov %rax, %cr3
        #expect(decode([0x41, 0x0f, 0x22, 0xdc]).loads_address_space == 1)  // mov %r12, %cr3
        #expect(decode([0x0f, 0x22, 0xe0]).loads_address_space == 0)  // mov %rax, %cr4
        #expect(decode([0x0f, 0x20, 0xd8]).loads_address_space == 0)  // mov %cr3, %rax
    }

    @Test func registerOfRandomNumbers() {
        let wide = decode([0x49, 0x0f, 0xc7, 0xf4])  // rdrand %r12
        #expect(wide.access_register == 12 && wide.register_bytes == 8)
        let narrow = decode([0x66, 0x0f, 0xc7, 0xf9])  // rdseed %cx
        #expect(narrow.access_register == 1 && narrow.register_bytes == 2)
    }

    @Test func onlyAccessesAreAccesses() {
        #expect(decode([0xf3, 0x0f, 0xc7, 0xf8]).access_kind == 0)  // rdpid
        #expect(decode([0x0f, 0xc7, 0x0e]).access_kind == 0)  // cmpxchg8b
        #expect(decode([0x0f, 0x01, 0xd0]).access_kind == 0)  // xgetbv
        let port = decode([0xe6, 0x70])
        #expect(port.has_port == 1 && port.port == 0x70)
        #expect(decode([0xee]).has_port == 0)
        // In possible 16-bit code the bytes do not show the width of `in`.
        #expect(decode([0xed], at: 0xfe000).access_bytes == 0)
    }

    /// An instruction that is counted together with the next one must not fault with any operand.
    @Test func memoryAccessesAndTrapsCanFault() {
        let able: [[UInt8]] = [
            [0x8b, 0x00], [0x48, 0x89, 0x45, 0xf8], [0x50], [0x58], [0xf7, 0xf1], [0xf0, 0x01, 0xc8], [0x0f, 0x0b],
            [0x8d, 0xc0], [0xc5, 0xf8, 0x77], [0x0f, 0xb6, 0x00], [0xff, 0xf0], [0xf3, 0x90], [0x0f, 0xa2], [0xfa],
            [0x8e, 0xd8], [0x0f, 0x20, 0xc0], [0xd7], [0x63, 0xc1], [0x06], [0xf6, 0xf1], [0xff, 0x00], [0x66], [],
        ]
        for bytes in able { #expect(decode(bytes).cannot_fault == 0, "\(bytes)") }
        let unable: [[UInt8]] = [
            [0x8b, 0xc1], [0x48, 0x01, 0xd8], [0x31, 0xc0], [0x8d, 0x04, 0x0a], [0xb8, 1, 0, 0, 0], [0x83, 0xc0, 1],
            [0x0f, 0xb6, 0xc0], [0x0f, 0x44, 0xc1], [0x90], [0xc1, 0xe0, 4], [0x0f, 0x1f, 0x40, 0], [0xa9, 1, 0, 0, 0],
            [0x48, 0x63, 0xc1], [0xf7, 0xd8], [0x3c, 0x0a],
        ]
        for bytes in unable { #expect(decode(bytes).cannot_fault == 1, "\(bytes)") }
    }
}
