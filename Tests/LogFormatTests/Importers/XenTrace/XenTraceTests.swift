// SPDX-License-Identifier: GPL-2.0-or-later

import LogFormat
import TestSupport
import Testing

@Suite("xentrace: records, domains, processors")
struct XenTraceTests {
    /// The bytes of a record.
    static func record(_ event: UInt32, _ words: [UInt32], tsc: UInt64? = nil) -> [UInt8] {
        let header = event | UInt32(words.count) << 28 | (tsc == nil ? 0 : 1 << 31)
        let stamp = tsc.map { [UInt32(truncatingIfNeeded: $0), UInt32(truncatingIfNeeded: $0 >> 32)] } ?? []
        return ([header] + stamp + words).flatMap { word in
            (0..<4).map { UInt8(truncatingIfNeeded: word >> (8 * UInt32($0))) }
        }
    }

    /// A window of a processor.
    static func window(_ cpu: UInt32, _ records: [[UInt8]]) -> [UInt8] {
        let bytes = records.flatMap { $0 }
        return record(0x1f003, [cpu, UInt32(bytes.count)]) + bytes
    }

    private static func long(_ value: UInt64) -> [UInt32] {
        [UInt32(truncatingIfNeeded: value), UInt32(truncatingIfNeeded: value >> 32)]
    }

    private static let rip: UInt64 = 0xffff_ffff_8100_0010
    /// A paravirtualised guest on processor 0.
    private static func paravirtual(_ tsc: UInt64) -> [[UInt8]] {
        [
            record(0x2800a, [0x7fff, 0, 1, 0], tsc: tsc),
            record(0x201103, long(rip) + [13 | 1 << 15 | 5 << 16], tsc: tsc + 10),
            record(0x201104, long(rip) + long(0x7fff_1234_5678) + [6], tsc: tsc + 20),
            record(0x20100d, [17 | 1 << 20 | 2 << 22, 0x1234] + long(0x5_0000_0001), tsc: tsc + 30),
            record(0x802008, [0x30, 1], tsc: tsc + 50),
        ]
    }
    /// A guest with virtual-machine extensions on processor 1.
    private static func extended(_ tsc: UInt64) -> [[UInt8]] {
        [
            record(0x21001 | 1 << 8, [1 | 2 << 16], tsc: tsc + 2), record(0x81001, [], tsc: tsc + 5),
            record(0x81102, [10] + long(rip), tsc: tsc + 11), record(0x8200e, [1, 2, 3, 4, 5], tsc: tsc + 12),
            record(0x82004, [0x31, 0]), record(0x8200c, [0x1b] + long(0xfee0_0900), tsc: tsc + 24),
            record(0x82216, [0x3f8, 0x41], tsc: tsc + 25), record(0x82117, long(0x1_0000_0000) + [7], tsc: tsc + 25),
            record(0x8201a, long(0x1_2345_6789), tsc: tsc + 26),
        ]
    }
    static let sample =
        window(0, paravirtual(1000)) + window(1, extended(1000)) + window(0, [record(0x1f002, [])] + paravirtual(1100))
        + window(1, [record(0x1f001, [5, 2 | 1 << 16] + long(1090), tsc: 1095)] + extended(1100))

    @Test("records become events of the vCPU that the scheduler names, in the order of their time stamps")
    func events() throws {
        let log = try ForeignInput(XenTraceTests.sample).log()
        #expect(log.format == .xentrace && log.structuralDamage.isEmpty && log.verify().isIntact)
        #expect(
            log.attributes["import.vcpu.0"] == "domain 1 vcpu 0" && log.attributes["import.vcpu.1"] == "domain 2 vcpu 1"
        )
        let events = log.allEvents()
        #expect(
            events.map(\.kind.name).prefix(5) == ["kind-40970", "exception", "exception", "hypercall", "kind-57352"])
        #expect(
            events.map(\.clock) == [0, 0, 1, 2, 3, 3, 3, 4, 5, 6] && events.allSatisfy { $0.validity.contains(.tsc) })
        let details = events.map { $0.details { _ in "" } }
        #expect(details[1] == "vector 13, error code 0x5" && events[1].ip == XenTraceTests.rip)
        #expect(details[2] == "vector 14, address 0x7fff12345678, error code 0x6")
        #expect(details[3] == "number 17, arguments 0x1234 0x500000001")
        #expect(log.attributes["import.kind.40970"] == "xentrace 0x2800a")
        func texts(_ stream: LogStream) -> [String] {
            log.allEvents([stream], vcpu: 1).map { "\($0.kind) \($0.details { _ in "" })" }
        }
        #expect(texts(.event)[2...].prefix(3) == ["kind-45314 info 10", "interrupt vector 49", "trace-gap unknown"])
        #expect(
            texts(.access).prefix(5) == [
                "cpuid leaf 0x1, subleaf 0x0, eax 0x2, ebx 0x3, ecx 0x4, edx 0x5", "rdmsr msr 0x1b, value 0xfee00900",
                "port-write port 0x3f8, value 0x41", "mmio-read address 0x100000000, value 0x7",
                "rdtsc value 0x123456789",
            ])
        #expect(log.attributes["import.lost"] == "5")
        let chunks = log.chunks(.event, vcpu: 1)
        #expect(Set(chunks.map(\.epoch)) == [0, 1] && Set(log.chunks(.event, vcpu: 0).map(\.epoch)) == [0])
        #expect(log.header.features.isSuperset(of: [.accesses, .accessValues, .mmio, .mmioValues]))
    }

    @Test("before the scheduler's first record the domain is not known")
    func unknownDomain() throws {
        let log = try ForeignInput(XenTraceTests.window(3, [XenTraceTests.record(0x81001, [], tsc: 5)])).log()
        #expect(log.attributes["import.vcpu.0"] == "processor 3, domain not known")
    }

    @Test("a cut file, bytes between windows and a record beyond its window are damage")
    func damage() throws {
        let whole = XenTraceTests.sample
        let cut = try ForeignInput(Array(whole.dropLast(5))).log()
        #expect(cut.structuralDamage.count == 2 && cut.allEvents(vcpu: 1).count == 18)
        let first = XenTraceTests.window(0, XenTraceTests.paravirtual(1000))
        let log = try ForeignInput(first + [UInt8](repeating: 0x55, count: 40) + first).log()
        #expect(log.structuralDamage.map(\.offset) == [UInt64(first.count)] && log.structuralDamage[0].length == 40)
        #expect(log.allEvents().count == 10)
    }

    @Test("Spoilt files are read or refused")
    func mutations() throws {
        var mutations = ForeignMutations(XenTraceTests.sample, number: 5)
        let result = try mutations.run(2000)
        #expect(result.read > 0.5 && result.damaged > 0.25, "\(result)")
    }
}
