// SPDX-License-Identifier: GPL-2.0-or-later

import Alignment
import LogFormat
import TestSupport
import Testing

@Suite("What can be compared")
struct ComparabilityTests {
    static let records = """
        branch 0x1000 -> 0x1100 call! +3
        branch 0x1110 -> 0x1120 jcc! +2
        """

    func compare(
        _ original: String, _ replay: String, _ options: AlignmentOptions = AlignmentOptions()
    ) throws -> AlignmentResult {
        try Pair(original + "\n" + ComparabilityTests.records, replay + "\n" + ComparabilityTests.records)
            .compareBothWays(options)
    }

    @Test(
        "logs that count or see different things are refused, with the reason",
        arguments: [
            ("options recorder=qemu generation=1", "options recorder=xen", "recorders differ"),
            ("options recorder=qemu generation=1", "options recorder=qemu generation=4", "generations differ"),
            ("options machine=62", "options machine=183", "processors differ"),
            ("options clock=transitions", "options clock=retired-branches", "count different things"),
        ])
    func refused(original: String, replay: String, reason: String) throws {
        let alignment = try compare(original, replay)
        guard case .notComparable(let reasons) = alignment.verdict else {
            Issue.record("not comparable is expected, not \(alignment.verdict)")
            return
        }
        #expect(reasons.contains { $0.contains(reason) }, "\(reasons)")
        #expect(alignment.verdict.exitStatus == 2)
    }

    @Test("different recordings are a caveat, or a reason if one recording is required")
    func recordings() throws {
        let uuids = [
            "options uuid=00112233445566778899aabbccddeeff", "options uuid=ffeeddccbbaa99887766554433221100", "",
        ]
        var options = AlignmentOptions()
        #expect(try compare(uuids[0], uuids[0], options).caveatKinds == [.dataNotSeen])
        #expect(try compare(uuids[0], uuids[1], options).caveatKinds.contains(.recordingDiffers))
        #expect(try compare(uuids[0], uuids[2], options).caveatKinds.contains(.recordingUnknown))
        #expect(try compare(uuids[0], uuids[1], options).verdict == .identical)
        options.requireSameRecording = true
        #expect(try compare(uuids[0], uuids[0], options).verdict == .identical)
        #expect(try compare(uuids[0], uuids[1], options).verdict.exitStatus == 2)
        #expect(try compare(uuids[2], uuids[2], options).verdict.exitStatus == 2)
    }

    @Test("logs that share no part of the run")
    func nothingShared() throws {
        let alignment = try compare("options clock-base=0", "options clock-base=1000")
        #expect(alignment.verdict.exitStatus == 2)
        #expect(alignment.verdict.name == "not-comparable")
    }

    @Test("logs without records")
    func empty() throws {
        let alignment = try Pair("options kind=recording", "options kind=replay").compareBothWays()
        #expect(alignment.verdict.exitStatus == 2)
    }

    @Test("what only one recorder records is not compared")
    func projection() throws {
        let full = """
            options features=branches,icount,labels,accesses,access-values,causes
            branch 0x1000 -> 0x1100 call! +3
            event interrupt ip=0x1100 info=3
            access port-read ip=0x1104 info=1 address=0x60 value=0x1c
            branch 0x1110 -> 0x1120 jcc! +2
            """
        let sparse = """
            options features=branches,accesses
            branch 0x1000 -> 0x1100 unknown
            access port-read ip=0x1104 info=1 address=0x60
            branch 0x1110 -> 0x1120 unknown
            """
        let alignment = try Pair(full, sparse).compareBothWays()
        #expect(alignment.verdict == .identical)
        #expect(alignment.caveatKinds.contains(.featureMissing))
        let other = sparse.replacingLine("access", with: "access port-read ip=0x1104 info=1 address=0x61")
        #expect(try Pair(full, other).compareBothWays().verdict == .payload)
    }

    @Test("a log without branches is compared by its events")
    func eventsOnly() throws {
        func log(_ mode: String, _ value: String) -> String {
            """
            options mode=\(mode) features=\(mode == "events" ? "" : "branches,")icount,labels,causes
            branch 0x1000 -> 0x1100 call! +3
            event interrupt ip=0x1100 info=3 value=\(value)
            branch 0x1110 -> 0x1120 jcc! +2
            event interrupt ip=0x1120 info=4
            """
        }
        #expect(try Pair(log("branches", "1"), log("events", "1")).compareBothWays().verdict == .identical)
        #expect(try Pair(log("events", "1"), log("events", "2")).compareBothWays().verdict == .payload)
    }

    @Test("logs that are cut into different cells are compared")
    func otherGrid() throws {
        let run = PlantedDifferenceTests.run(seed: 3)
        var other = run
        other.options.branchCellShift = 10
        other.options.eventCellShift = 7
        let pair = try Pair()
        try run.write(to: pair.original)
        try other.write(to: pair.replay, as: .replay)
        let alignment = try pair.compareBothWays()
        #expect(alignment.verdict == .identical)
        #expect(alignment.caveatKinds.contains(.gridDiffers))
        #expect(alignment.vcpus.first?.branchesCompared == run.branches)
        try other.write(to: pair.replay, as: .replay, difference: .otherTarget(clock: 2500))
        let different = try pair.compareBothWays()
        #expect(different.verdict == .controlFlow(.path))
        #expect(different.divergence?.difference?.clock == 2500)
    }

    @Test("several vCPUs: the order tickets show which vCPU diverged first")
    func order() throws {
        func log(_ first: String, _ second: String) -> String {
            """
            options vcpus=2 features=branches,icount,labels,causes
            branch 0x1000 -> 0x1100 call! +3
            vcpu 1
            branch 0x2000 -> 0x2100 call! +3
            event interrupt ip=0x2100 info=1
            branch 0x2110 -> \(second) jcc! +3
            event interrupt ip=0x2120 info=2
            vcpu 0
            event interrupt ip=0x1100 info=3
            branch 0x1110 -> \(first) jcc! +3
            event interrupt ip=0x1120 info=4
            """
        }
        let both = try Pair(log("0x1120", "0x2120"), log("0x1130", "0x2130")).compareBothWays()
        #expect(both.vcpu == 1)
        #expect(both.verdict == .controlFlow(.path))
        #expect(both.vcpus.map(\.verdict) == [.controlFlow(.path), .controlFlow(.path)])
        #expect(!both.caveatKinds.contains(.noOrder))
        let one = try Pair(log("0x1120", "0x2120"), log("0x1130", "0x2120")).compareBothWays()
        #expect(one.vcpu == 0)
    }

    @Test("without events between the divergences, their order is unknown")
    func noOrder() throws {
        func log(_ first: String, _ second: String) -> String {
            """
            options vcpus=2
            branch 0x1000 -> \(first) call! +3
            vcpu 1
            branch 0x2000 -> \(second) call! +3
            """
        }
        let alignment = try Pair(log("0x1100", "0x2100"), log("0x1200", "0x2200")).compareBothWays()
        #expect(alignment.verdict == .controlFlow(.path))
        #expect(alignment.caveatKinds.contains(.noOrder))
    }
}
