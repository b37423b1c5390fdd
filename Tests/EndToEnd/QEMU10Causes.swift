// SPDX-License-Identifier: GPL-2.0-or-later

@preconcurrency import Glibc
import LogFormat
import Testing

/// An interrupt, exception or `int n`, in the log and in QEMU's own account.
struct Cause: Equatable {
    var vector: UInt64
    var isSoftware: Bool
    var ip: UInt64
    /// Of exceptions that have one.
    var errorCode: UInt64?
    /// CR2, of page faults.
    var address: UInt64?

    /// nil for other events.
    init?(_ event: Event) {
        guard [.interrupt, .exception, .softwareInterrupt].contains(event.kind) else { return nil }
        vector = UInt64(event.info)
        isSoftware = event.kind == .softwareInterrupt
        ip = event.ip
        errorCode = event.kind == .exception ? event.values.first : nil
        address = event.address
    }

    /// From a line of `-d int`: `0: v=0e e=0002 i=0 cpl=0 IP=0008:0000000000201050 pc=… SP=… CR2=0000000004000000`; nil
    /// for other lines.
    init?(reported line: String) {
        func field(_ name: String) -> UInt64? {
            line.split(whereSeparator: \.isWhitespace).first { $0.hasPrefix("\(name)=") }
                .flatMap { UInt64($0.dropFirst(name.count + 1).split(separator: ":").last ?? "", radix: 16) }
        }
        guard line.contains(" v="), let vector = field("v"), let software = field("i"), let ip = field("IP") else {
            return nil
        }
        self.vector = vector
        isSoftware = software == 1
        self.ip = ip
        let hasErrorCode = software == 0 && [8, 10, 11, 12, 13, 14, 17, 21, 29, 30].contains(vector)
        errorCode = hasErrorCode ? field("e") : nil
        address = vector == 14 ? field("CR2") : nil
    }
}

/// Checks the log's causes up to its comparable end, one by one, against QEMU's account of the same run (`-d int`).
/// Returns them.
@discardableResult
func expectCauses(of log: LogFile, reportedIn account: String) throws -> [Cause] {
    #expect(log.header.features.contains(.causes))
    let end = try #require(log.comparableEnd(vcpu: 0)).clock
    var seen: [Cause] = []
    var events = log.events()
    while let event = events.next() {
        if event.clock < end, let cause = Cause(event) { seen.append(cause) }
    }
    var reported = 0
    var unequal = 0
    try forEachLine(of: account) { line in
        guard let cause = Cause(reported: line) else { return }
        if reported < seen.count, seen[reported] != cause {
            unequal += 1
            if unequal <= 3 { Issue.record("number \(reported): logged \(seen[reported]), reported \(cause)") }
        }
        reported += 1
    }
    #expect(unequal == 0)
    // After the end the guest runs on until QEMU has ended, and its account too.
    #expect((seen.count...seen.count + 2).contains(reported), "\(seen.count) logged, \(reported) reported")
    return seen
}

/// Checks the log's causes up to its comparable end against the join of its branches with the replay.bin of its run,
/// both ways: each cause has an entry at its position, and each entry from the first cause on has its cause. Returns how
/// many they are.
@discardableResult
func expectJoinToAgree(with log: LogFile, _ replayLog: String) throws -> Int {
    let join = try ReplayJoin.join(log, with: QEMUReplayLog(path: replayLog))
    #expect(join.transitionsWithoutEvent == 0 && join.eventsWithoutTransition == 0)
    #expect(join.usesBranches)
    let end = try #require(log.comparableEnd(vcpu: 0)).clock
    var entries = join.causes[...]
    var agreeing = 0
    var events = log.events()
    while let event = events.next() {
        guard event.clock < end, Cause(event) != nil else { continue }
        if agreeing == 0 {
            // Before the kernel has its descriptor table, nothing but the BIOS runs, in 16-bit code.
            let before = entries.prefix { $0.clock < event.clock }
            #expect(before.allSatisfy { $0.from < 0x11_0000 && $0.to < 0x11_0000 })
            entries = entries.dropFirst(before.count)
        }
        let first = entries.popFirst()
        let entry = try #require(first, "the join does not know \(event)")
        let kinds: [JoinedCauseKind] =
            switch event.kind {
            case .interrupt: [.interrupt]
            case .softwareInterrupt: [.softwareInterrupt]
            default: [.exception, .fault]
            }
        // An instruction that was undone, or has not ended, began before the transition.
        let icount = event.ip == entry.from ? entry.icount - 1 : entry.icount
        let agrees =
            event.clock == entry.clock && kinds.contains(entry.kind) && event.icount == icount
            && (entry.kind != .fault || event.ip == entry.from)
        try #require(agrees, "number \(agreeing): logged \(event), joined \(entry)")
        agreeing += 1
    }
    #expect(entries.allSatisfy { $0.clock >= end }, "\(entries.count) entries that the log does not have")
    return agreeing
}

/// Calls `body` for each line of a file, without reading the file at once.
func forEachLine(of path: String, _ body: (String) throws -> Void) throws {
    let file = try #require(fopen(path, "re"), "\(path): \(String(cString: strerror(errno)))")
    var line: UnsafeMutablePointer<CChar>?
    var capacity = 0
    defer {
        free(line)
        fclose(file)
    }
    while getline(&line, &capacity, file) >= 0 {
        if let line { try body(String(cString: line)) }
    }
}
