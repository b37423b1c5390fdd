// SPDX-License-Identifier: GPL-2.0-or-later

// Control flow, the hypervisor's calls, and what keeps two runs in step.
extension EventTable {
    static let interrupt = EventDefinition(
        .interrupt, "interrupt", .event, isInput: true, needs: .causes, "A hardware interrupt was delivered.",
        [vector("the interrupt's vector"), handler])

    static let exception = EventDefinition(
        .exception, "exception", .event, needs: .causes, "The instruction at `ip` raised an exception.",
        [
            vector("the exception's vector"),
            .address("fault_address", .address, .titled("address"), "CR2: the address of a page fault"),
            .values("error_code", .titled("error code"), "the error code"),
        ])

    static let discontinuity = EventDefinition(
        .discontinuity, "discontinuity", .event, isInput: true, "The vCPU left `ip`, and no branch explains it.",
        [
            .info(
                "label", .label, .titled("label"), "the label of the instruction at `ip`", compared: .features(.labels)),
            .value("target", 0, .address, .joined(" -> "), "the address of the instruction that began next"),
        ])

    static let syscall = EventDefinition(
        .syscall, "syscall", .event, "The guest made a system call.",
        [
            .info("number", .number, .titled("number"), "the call's number", unknown: unknownNumber),
            .values("arguments", .titled("arguments"), "the call's arguments"),
        ])

    static let softwareInterrupt = EventDefinition(
        .softwareInterrupt, "software-interrupt", .event, needs: .causes,
        "The guest executed `int n`, `int3`, `int1` or `into`.", [vector("the interrupt's vector"), handler])

    // MARK: Hypervisor

    static let hypercall = EventDefinition(
        .hypercall, "hypercall", .event, "The guest called the hypervisor.",
        [
            .info("number", .number, .titled("number"), "the call's number"),
            .values("arguments", .titled("arguments"), "the call's arguments"),
        ])

    static let hypercallResult = EventDefinition(
        .hypercallResult, "hypercall-result", .event, isInput: true, "A hypercall returned.",
        [
            .info("number", .number, .titled("number"), "the call's number"),
            .value("result", 0, .word, .titled("result"), "the result of the call"),
            .values("outputs", .titled("outputs"), "the words that the call wrote to memory", from: 1),
        ])

    static let upcall = EventDefinition(
        .upcall, "upcall", .event, isInput: true, "The hypervisor delivered an event-channel upcall.",
        [
            .info("vector", .number, .titled("vector"), "the upcall's vector, or 0"),
            .values("pending", .titled("pending"), "the words of pending event channels"),
        ])

    static let timeUpdate = EventDefinition(
        .timeUpdate, "time-update", .event, isInput: true, "The hypervisor updated the guest's time.",
        [.values("contents", .titled("contents"), "the new contents of the time page or wall clock")])

    // MARK: Context and state

    static let context = EventDefinition(
        .context, "context", .event, needs: .context, "The guest changed cr3 or switched its stack.",
        [
            .value("cr3", 0, .word, .titled("cr3"), "cr3 after the instruction at `ip`"),
            .value("sp", 1, .address, .titled("sp"), "the stack pointer after the instruction at `ip`"),
        ])

    static let state = EventDefinition(
        .state, "state", .event, needs: .state, "A digest of the machine's state.",
        [
            .flagged("registers", bit: 0, .titled("registers"), "digest of the general registers and rip"),
            .flagged(
                "control_registers", bit: 1, .titled("control registers"),
                "digest of the segments and control registers without CR2 and CR3"),
            .flagged("vector_registers", bit: 2, .titled("vector registers"), "digest of the x87 and SSE registers"),
            .flagged("cr2_cr3", bit: 3, .titled("cr2 and cr3"), "digest of CR2 and CR3"),
            .flagged("memory", bit: 4, .titled("memory"), "digest of the guest's memory"),
        ])

    static let rewound = EventDefinition(
        .rewound, "rewound", .event, "The guest was put back to an earlier point.",
        [
            .value("from_clock", 0, .number, .titled("from clock"), "the clock before", unit: .transitions),
            .value("from_icount", 1, .number, .titled("icount"), "the instruction count before", unit: .instructions),
        ])

    static let traceGap = EventDefinition(
        .traceGap, "trace-gap", .event, "Nothing was recorded from here to the next epoch.",
        [
            .info(
                "reason", .name(.init("reason", ["unknown", "window closed", "checkpoint", "rewound"])), .bare,
                "why recording stopped")
        ])
}
