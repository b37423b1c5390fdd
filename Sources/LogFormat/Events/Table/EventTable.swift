// SPDX-License-Identifier: GPL-2.0-or-later

import CTTLog

/// The table of event kinds. The switch is exhaustive on purpose: a new kind does not compile until it has a definition.
enum EventTable {
    static func definition(_ kind: KnownEventKind) -> EventDefinition {
        switch kind {
        case .interrupt: interrupt
        case .exception: exception
        case .discontinuity: discontinuity
        case .syscall: syscall
        case .softwareInterrupt: softwareInterrupt
        case .portRead: portRead
        case .portWrite: portWrite
        case .mmioRead: mmioRead
        case .mmioWrite: mmioWrite
        case .rdtsc: rdtsc
        case .cpuid: cpuid
        case .rdmsr: rdmsr
        case .wrmsr: wrmsr
        case .rdrand: rdrand
        case .ramRead: ramRead
        case .ramWrite: ramWrite
        case .hypercall: hypercall
        case .hypercallResult: hypercallResult
        case .upcall: upcall
        case .timeUpdate: timeUpdate
        case .exit: exit
        case .foreignWrite: foreignWrite
        case .foreignRead: foreignRead
        case .context: context
        case .state: state
        case .rewound: rewound
        case .traceGap: traceGap
        case .pageDigests: pageDigests
        case .attribute: attribute
        case .annotation: annotation
        case .lost: lost
        case .comparableEnd: comparableEnd
        case .runEnd: runEnd
        case .clockRead: clockRead
        case .checkpoint: checkpoint
        case .engineInput: engineInput
        case .machineStop: machineStop
        }
    }

    // MARK: Parts that several kinds have

    static let unknownNumber = EventField.Unknown(value: UInt64(TTLOG_VECTOR_UNKNOWN), text: nil)

    static func vector(_ summary: String) -> EventField {
        .info(
            "vector", .number, .titled("vector"), summary,
            unknown: EventField.Unknown(value: UInt64(TTLOG_VECTOR_UNKNOWN), text: "vector unknown"))
    }

    static let handler = EventField.value("handler", 0, .address, .joined(" -> "), "the address of the handler")

    /// The vCPU that a meta record is about.
    static let aboutVCPU = EventField.info(
        "about_vcpu", .number, .titled("vcpu"), "the vCPU that the record is about", compared: .never,
        unknown: EventField.Unknown(value: UInt64(noVCPU), text: nil))
}
