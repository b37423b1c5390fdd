// SPDX-License-Identifier: GPL-2.0-or-later
//
// make-pair DIRECTORY [BRANCHES [PAIR]]
//
// Writes the logs that the benchmark of `tt-analyze diverge` compares: original.log and, as replays of it, identical.log,
// unclosed.log (the same without its directory and trailer), benign.log (a benign difference in every event cell) and
// last.log (the last record differs); and original.raw and last.raw, the branches as 24-byte records, for cmp. With PAIR (any
// word), only original.log, last.log and a copy of the original: what fits on a disk with 10^9 branches.

import Glibc
import LogFormat
import TestSupport

/// Writes a log's branches as 24-byte records {from, to, icount << 8 | label}.
func writeRaw(_ log: LogFile, to path: String) throws {
    guard let file = fopen(path, "w") else { fatalError("make-pair: cannot write \(path)") }
    defer { fclose(file) }
    var batch = BranchBatch()
    var records: [(UInt64, UInt64, UInt64)] = []
    for chunk in log.chunks(.branch, vcpu: 0) {
        try log.decode(chunk, into: &batch)
        records.removeAll(keepingCapacity: true)
        for i in 0..<batch.count {
            records.append((batch.from[i], batch.to[i], batch.icount[i] << 8 | UInt64(batch.label[i])))
        }
        guard fwrite(records, 24, records.count, file) == records.count else { fatalError("make-pair: disk full?") }
    }
}

/// The size of a log without its last directory and trailer, which a clean close writes.
func unclosedSize(_ log: LogFile) -> UInt64 {
    log.chunks.map { $0.offset + 192 + UInt64($0.storedSize + 63) / 64 * 64 }.max() ?? 4096
}

/// Copies the first bytes of a log.
func copy(_ log: LogFile, size end: UInt64, to path: String) throws {
    let source = open(log.path, O_RDONLY)
    let target = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0o644)
    defer {
        close(source)
        close(target)
    }
    var position: off_t = 0
    while position < off_t(end) {
        let moved = sendfile(target, source, &position, Int(end) - Int(position))
        guard moved > 0 else { fatalError("make-pair: cannot copy \(log.path)") }
    }
}

guard CommandLine.arguments.count >= 2 else {
    print("usage: make-pair DIRECTORY [BRANCHES]")
    exit(2)
}
let directory = CommandLine.arguments[1]
let isPairOnly = CommandLine.arguments.count > 3
let branches = CommandLine.arguments.count > 2 ? UInt64(CommandLine.arguments[2]) ?? 0 : 100_000_000
func file(_ name: String) -> String { directory + "/" + name }

var run = SyntheticRun(seed: 42, branches: branches)
run.eventsEvery = 8192
run.accessesEvery = 128
try run.write(to: file("original.log"))
let original = try LogFile(path: file("original.log"))
try run.write(to: file("last.log"), as: .replay, difference: .otherTarget(clock: branches - 1))
if isPairOnly {
    try copy(original, size: original.fileSize, to: file("copy.log"))
} else {
    try run.write(to: file("identical.log"), as: .replay)
    try run.write(to: file("benign.log"), as: .replay, difference: .benign)
    let identical = try LogFile(path: file("identical.log"))
    try copy(identical, size: unclosedSize(identical), to: file("unclosed.log"))
    try writeRaw(original, to: file("original.raw"))
    try writeRaw(try LogFile(path: file("last.log")), to: file("last.raw"))
}
