// SPDX-License-Identifier: GPL-2.0-or-later

import LogFormat
import TestSupport
import Testing

@testable import LogFormat

@Suite("records of XenTT with a layout")
struct XenTTTests {
    static func layout() throws -> RecordLayout {
        try RecordLayout(
            file: "", size: 64,
            members: [
                ("data_len", .init(offset: 0, size: 4)), ("event.event", .init(offset: 4, size: 4, bits: 0..<12)),
                ("event.info", .init(offset: 8, size: 4)), ("domid", .init(offset: 12, size: 2)),
                ("vcpu_id", .init(offset: 14, size: 2)), ("cpu_state.brctr_virt", .init(offset: 16, size: 8)),
                ("cpu_state.ip", .init(offset: 24, size: 8)), ("data", .init(offset: 40, size: 24)),
            ], eventNames: [1: "TTD_EXCEPTION", 2: "TTD_HW_BRANCHES", 3: "TTD_OTHER"])
    }

    private static func record(_ event: UInt64, brctr: UInt64, _ data: [UInt8] = [], vcpu: UInt64 = 0) -> [UInt8] {
        var bytes = Event.payload(words: [
            UInt64(data.count) | (event | 0xf000) << 32, 14 | 5 << 32 | vcpu << 48, brctr, 0x1000, 0,
        ])
        bytes += data.prefix(24) + [UInt8](repeating: 0, count: max(0, 24 - data.count))
        let rest = Array(data.dropFirst(24))
        return bytes + rest + [UInt8](repeating: 0, count: (64 - rest.count % 64) % 64)
    }

    private static let seed: [UInt8] =
        record(1, brctr: 10, [1, 2, 3]) + record(2, brctr: 11, Event.payload(words: (0..<18).map { $0 }))
        + record(3, brctr: 12, vcpu: 1) + record(2, brctr: 40, Event.payload(words: (0..<3).map { $0 }))

    private func log(_ bytes: [UInt8]) throws -> LogFile {
        let input = try ForeignInput(bytes)
        return try LogFile(
            importing: XenTTImporter(InputFile(path: input.path), layout: XenTTTests.layout()) { _ in })
    }

    @Test("records, their continuation and a bit field are read")
    func records() throws {
        let log = try log(XenTTTests.seed)
        #expect(log.structuralDamage.isEmpty && log.allBranches().map(\.clock) == Array(11...16) + [40])
        #expect(log.allBranches().map(\.from) == [0, 3, 6, 9, 12, 15, 0] && log.vcpus == [0, 1])
        #expect(log.allEvents().map(\.kind) == [.exception] && log.allEvents(vcpu: 1).map(\.clock) == [12])
    }

    @Test("a file without records is refused; the layout needs its members")
    func refused() throws {
        #expect(throws: LogError.self) { try log([UInt8](repeating: 0xee, count: 640)) }
        #expect(throws: LogError.self) { try log([]) }
        #expect(throws: LogError.self) {
            try RecordLayout(file: "x", size: 64, members: [("data_len", .init(offset: 62, size: 4))], eventNames: [:])
        }
    }

    @Test("Spoilt files are read or refused")
    func mutations() throws {
        var mutations = ForeignMutations(XenTTTests.seed, number: 4)
        var (read, damaged) = (0, 0)
        let count = hostileInputs(2000)
        for _ in 0..<count {
            guard let log = try? log(mutations.next()) else { continue }
            read += 1
            damaged += log.structuralDamage.isEmpty ? 0 : 1
            let records = log.vcpus.reduce(0) { $0 + log.allBranches(vcpu: $1).count + log.allEvents(vcpu: $1).count }
            #expect(records == log.chunks.filter { $0.stream != .meta }.reduce(0) { $0 + $1.count })
        }
        #expect(read > count / 2 && damaged > count / 4, "\(read), \(damaged)")
    }
}
