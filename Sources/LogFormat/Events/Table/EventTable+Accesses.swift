// SPDX-License-Identifier: GPL-2.0-or-later

import CTTLog

// Accesses to ports, device memory, clocks and special registers.
extension EventTable {
    static let portRead = port(.portRead, "port-read", isInput: true, "The guest read an I/O port.")
    static let portWrite = port(.portWrite, "port-write", isInput: false, "The guest wrote to an I/O port.")
    static let mmioRead = mmio(.mmioRead, "mmio-read", isInput: true, "The guest read device memory.")
    static let mmioWrite = mmio(.mmioWrite, "mmio-write", isInput: false, "The guest wrote to device memory.")

    private static let size = EventField.info(
        "size", .number, .measured("byte"), "bytes of the access; 0 if not known", width: 8, unit: .bytes,
        unknown: .init(value: 0, text: nil))
    private static let string = EventField.info(
        "string", .flag, .flag("string"), "whether a string instruction made the access", shift: 8, width: 24)

    private static func port(
        _ kind: KnownEventKind, _ name: String, isInput: Bool, _ summary: String
    ) -> EventDefinition {
        EventDefinition(
            kind, name, .access, isInput: isInput, needs: .accesses, summary,
            [
                .address("port", .word, .titled("port"), "the port's number", compared: .operand), size, string,
                .values("value", .titled("value"), "the bytes read or written", compared: .features(.accessValues)),
            ])
    }

    private static func mmio(
        _ kind: KnownEventKind, _ name: String, isInput: Bool, _ summary: String
    ) -> EventDefinition {
        EventDefinition(
            kind, name, .access, isInput: isInput, needs: .mmio, summary,
            [
                .address("physical_address", .address, .titled("address"), "the physical address"), size, string,
                .values("value", .titled("value"), "the bytes read or written", compared: .features(.mmioValues)),
            ])
    }

    static let ramRead = ram(.ramRead, "ram-read", "An instruction read RAM.")
    static let ramWrite = ram(.ramWrite, "ram-write", "An instruction wrote to RAM.")

    private static func ram(_ kind: KnownEventKind, _ name: String, _ summary: String) -> EventDefinition {
        EventDefinition(
            kind, name, .access, needs: .ram, summary,
            [
                .address("physical_address", .address, .titled("address"), "the physical address"),
                .value("virtual_address", 0, .address, .titled("virtual"), "the virtual address"), size,
                .values(
                    "value", .titled("value"), "the bytes read or written", from: 1, compared: .features(.ramValues)),
            ])
    }

    // MARK: Instructions

    static let rdtsc = EventDefinition(
        .rdtsc, "rdtsc", .access, isInput: true, needs: .accesses, "The guest read the time stamp counter.",
        [
            .info("rdtscp", .flag, .flag("rdtscp"), "whether the instruction is rdtscp"),
            .values("value", .titled("value"), "edx:eax", compared: .features(.accessValues)),
        ])

    static let cpuid = EventDefinition(
        .cpuid, "cpuid", .access, isInput: true, needs: .accesses, "The guest executed `cpuid`.",
        [
            .address("leaf", .word, .titled("leaf"), "eax before", width: 32, compared: .operand),
            .address("subleaf", .word, .titled("subleaf"), "ecx before", shift: 32, width: 32, compared: .operand),
            register("eax", 0, 0), register("ebx", 0, 32), register("ecx", 1, 0), register("edx", 1, 32),
        ])

    private static func register(_ name: String, _ word: Int, _ shift: UInt8) -> EventField {
        .value(
            name, word, .word, .titled(name), "\(name) after", shift: shift, width: 32,
            compared: .features(.accessValues))
    }

    static let rdmsr = msr(.rdmsr, "rdmsr", isInput: true, "The guest read a model-specific register.")
    static let wrmsr = msr(.wrmsr, "wrmsr", isInput: false, "The guest wrote to a model-specific register.")

    private static func msr(
        _ kind: KnownEventKind, _ name: String, isInput: Bool, _ summary: String
    ) -> EventDefinition {
        EventDefinition(
            kind, name, .access, isInput: isInput, needs: .accesses, summary,
            [
                .address("msr", .word, .titled("msr"), "the register's number", compared: .operand),
                .values("value", .titled("value"), "edx:eax", compared: .features(.accessValues)),
            ])
    }

    static let rdrand = EventDefinition(
        .rdrand, "rdrand", .access, isInput: true, needs: .accesses, "The guest executed `rdrand` or `rdseed`.",
        [.values("value", .titled("value"), "the random number", compared: .features(.accessValues))])
}
