// SPDX-License-Identifier: GPL-2.0-or-later

import CTTLog

// What a recorder in the hypervisor logs: exits of the guest, foreign writes, digests of memory.
extension EventTable {
    static let exit = EventDefinition(
        .exit, "exit", .event, isInput: true, "The guest itself entered the hypervisor, which changed these registers.",
        [.info("reason", .name(exitReasons), .bare, "what the guest did", shift: 24, width: 8)]
            + registers.enumerated().map { number, name in
                .flagged(name, bit: UInt32(number), .titled(name), "\(name) after the exit, if it changed")
            }
            + [
                .flagged("step", bit: 16, .titled("step"), "the next ip less `ip`, if it changed"),
                .flagged("rflags", bit: 17, .titled("rflags"), "rflags after the exit, if they changed"),
                .flagged(
                    "injected", bit: 18, .titled("injected"),
                    "the exception that the guest got as a result, as AMD's processors encode it"),
                .flagged(
                    "operand", bit: 19, .titled("operand"),
                    "by `reason`: port and size, MSR, leaf and (high half) subleaf, hypercall, physical address"),
                .flagged("written", bit: 20, .titled("written"), "the value that the guest wrote to a port or an MSR"),
                .flagged("code", bit: 21, .titled("code"), "the processor's exit code, for other reasons"),
            ])

    private static let exitReasons = EventField.Names(
        "reason",
        [
            "other", "rdtsc", "cpuid", "rdmsr", "wrmsr", "port-read", "port-write", "memory", "hypercall", "halt",
            "control-read", "control-write", "exception", "shutdown",
        ])
    /// The general registers in the order of their encoding.
    private static let registers = [
        "rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15",
    ]

    static let foreignWrite = EventDefinition(
        .foreignWrite, "foreign-write", .event, isInput: true,
        "The hypervisor or another domain wrote to the guest's memory.",
        [
            .info(
                "area",
                .name(
                    .init(
                        "area",
                        [
                            "memory", "shared-info", "vcpu-info", "console", "xenstore", "grants", "grant-status",
                            "pages",
                        ])), .bare,
                "what was written to", width: 8),
            .address("address", .address, .titled("at"), "the physical address, or the offset in the area"),
            .info("size", .number, .measured("byte"), "the number of bytes", shift: 8, width: 16, unit: .bytes),
            .info(
                "event_channel", .flag, .flag("event channel"), "whether pending bits of event channels are there",
                shift: 24,
                width: 1),
            .info("time", .flag, .flag("time"), "whether the guest's time is there", shift: 25, width: 1),
            .values("contents", .titled("contents"), "the bytes, padded with zeros to whole words"),
        ])

    static let foreignRead = EventDefinition(
        .foreignRead, "foreign-read", .event,
        "Another domain read the guest's memory: a frame that the guest sends, a block that it writes.",
        [
            .address("address", .address, .titled("at"), "the physical address"),
            .info("size", .number, .measured("byte"), "the number of bytes", unit: .bytes),
            .value("digest", 0, .word, .titled("digest"), "a digest of the bytes"),
        ])

    static let pageDigests = EventDefinition(
        .pageDigests, "page-digests", .event, needs: .stateMemory, "Digests of the guest's memory, page by page.",
        [
            .address("first_page", .word, .titled("from page"), "the number of the first page"),
            .values("digests", .titled("digests"), "a digest for each page of 4,096 bytes; 0 if there is none"),
        ])
}
