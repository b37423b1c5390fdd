// SPDX-License-Identifier: GPL-2.0-or-later

import LogFormat

/// A small log with everything in it: two vCPUs, an epoch, events, accesses, long payloads, meta records appended after
/// the run. Branch cells hold 16 branches, so that there are many chunks.
struct SampleLog {
    var isCompressed = false
    var branchCellShift: UInt8 = 4
    var branches = 200
    var options = LogWriter.Options()
    /// Leaves it as a killed recorder would.
    var isAbandoned = false
    var seed: UInt64 = 1

    static let nonce: UInt64 = 0x1122_3344_5566_7788

    func write(to path: String) throws {
        var options = self.options
        options.branchCellShift = branchCellShift
        options.eventCellShift = 6
        options.vcpuCount = 2
        options.isCompressed = isCompressed
        options.nonce = SampleLog.nonce
        options.createdUnixNanoseconds = 1
        options.eventChunkMax = 32
        options.accessChunkMax = 32
        let writer = try LogWriter(path: path, options: options)
        var numbers = Numbers(seed)
        writer.attribute("guest", "sample")
        for round in 0..<UInt64(branches) {
            for vcpu in 0..<2 as Range<UInt16> {
                let clock = writer.clock(vcpu: vcpu)
                if round % 9 == UInt64(vcpu) {
                    writer.event(
                        Event(
                            stream: .event, vcpu: vcpu, kind: .exception,
                            validity: [.ip, .icount, .address, .value, .rcx],
                            info: 14, clock: clock, icount: round * 10, ip: numbers.next(), aux: round,
                            payload: Event.payload(words: [numbers.next(), 2]), privatePayload: [1, 2, 3]))
                }
                if round % 4 == 0 {
                    writer.event(
                        Event(
                            stream: .access, vcpu: vcpu, kind: .rdtsc, validity: [.icount, .value, .tsc], clock: clock,
                            icount: round * 10, tsc: round * 1000, payload: Event.payload(words: [numbers.next()])))
                }
                writer.branch(
                    vcpu: vcpu, from: 0x1000 + numbers.next() % 4096, to: 0x1000 + numbers.next() % 4096,
                    icount: round * 10 + 5, label: BranchLabel(rawValue: UInt8(numbers.next() & 0x3f)))
            }
            if round == UInt64(branches) / 2 { writer.beginEpoch(vcpu: 0, clock: round + 50) }
        }
        if isAbandoned { return writer.abandon() }
        writer.runEnd(.guestShutdown, text: "done")
        try writer.close()
        let appended = try LogWriter(appendingTo: path)
        appended.comparableEnd(vcpu: 1, clock: 150, icount: 1500, reason: "after SHUTDOWN")
        try appended.close()
    }
}

/// Everything that can be read from a log, by position.
struct Contents {
    /// Branches by vCPU, epoch-independent clock order.
    var branches: [String: Branch] = [:]
    var events: [String: Event] = [:]
    var damage: [Damage] = []
    /// Every branch, also where two have the same clock.
    var branchSet: Set<BranchOfVCPU> = []

    struct BranchOfVCPU: Hashable {
        var vcpu: UInt16
        var branch: Branch
    }

    var count: Int { branches.count + events.count }

    init(_ log: LogFile) {
        damage = log.structuralDamage + log.metaDamage
        for vcpu in log.vcpus {
            var cursor = log.branches(vcpu: vcpu)
            while let branch = cursor.next() {
                branches["\(vcpu) \(branch.clock)"] = branch
                branchSet.insert(BranchOfVCPU(vcpu: vcpu, branch: branch))
            }
            damage += cursor.skipped
            var events = log.events([.event, .access], vcpu: vcpu)
            while let event = events.next() { add(event) }
            damage += events.skipped
        }
        for event in log.metaEvents { add(event) }
    }

    private mutating func add(_ event: Event) {
        events["\(event.stream) \(event.vcpu) \(event.ordinal)"] = event
    }

    /// The records that differ from another log's, or are not in it.
    func differences(from original: Contents) -> [String] {
        branches.filter { original.branches[$0.key] != $0.value }.map { "\($0)" }
            + events.filter { original.events[$0.key] != $0.value }.map { "\($0)" }
    }
}
