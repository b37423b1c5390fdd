// SPDX-License-Identifier: GPL-2.0-or-later
// A libFuzzer harness for the importers, built by foreign.sh together with the sources of LogFormat.
//
// An input is: a byte of options, then the file. Bit 0: the file is read as records of XenTT with a layout, which has no
// mark in the file. The harness recognises any other format, imports it, and checks that all records of the imported log
// can be read and that damage is inside of the file.

import CTTLog
import Glibc

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzOneInput(_ data: UnsafePointer<UInt8>?, _ size: Int) -> Int32 {
    guard size >= 1, let data else { return 0 }
    let bytes = UnsafeBufferPointer(start: data + 1, count: size - 1)
    let path = FuzzFile.shared.path
    FuzzFile.shared.write(UnsafeRawBufferPointer(bytes))
    let imported = try? data[0] & 1 == 1 ? records(path) : LogSource(path: path, needs: []).log
    guard let log = imported, log.format != .log else { return 0 }
    for damage in log.structuralDamage { precondition(damage.offset <= UInt64(bytes.count), "\(damage)") }
    var count = 0
    for vcpu in log.vcpus {
        var branches = log.branches(vcpu: vcpu)
        while branches.nextBatch({ _, range in count += range.count }) {}
        var events = log.events([.event, .access], vcpu: vcpu)
        while events.next() != nil { count += 1 }
        precondition(branches.skipped.isEmpty && events.skipped.isEmpty)
    }
    precondition(count == log.chunks.reduce(0) { $1.stream == .meta ? $0 : $0 + $1.count })
    _ = log.attributes
    return 0
}

/// The file as records of XenTT.
private func records(_ path: String) throws -> LogFile {
    let members: [(name: String, member: RecordLayout.Member)] = [
        ("data_len", .init(offset: 0, size: 4)), ("event.event", .init(offset: 4, size: 4)),
        ("event.info", .init(offset: 8, size: 4)), ("domid", .init(offset: 12, size: 2)),
        ("vcpu_id", .init(offset: 14, size: 2)), ("cpu_state.brctr_virt", .init(offset: 16, size: 8)),
        ("cpu_state.ip", .init(offset: 24, size: 8)), ("cpu_state.cx", .init(offset: 32, size: 8)),
        ("data", .init(offset: 40, size: 24)),
    ]
    let layout = try RecordLayout(
        file: "", size: 64, members: members, eventNames: [1: "TTD_EXCEPTION", 2: "TTD_HW_BRANCHES_64", 3: "TTD_OTHER"])
    return try LogFile(importing: XenTTImporter(InputFile(path: path), layout: layout) { _ in })
}
