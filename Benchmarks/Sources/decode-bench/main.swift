// SPDX-License-Identifier: GPL-2.0-or-later
//
// decode-bench LOG [ROUNDS]
//
// Decodes all branches of a log on one core, all columns and with the body hash checked, beside a plain C loop that decodes
// only from and to of bodies that are already uncompressed in memory. The two take turns in one run; the best round of each
// is printed. Further ways decode single columns, walk as the tools do (a second core decodes ahead), and follow the open
// calls.

import CDecodePeer
import CTTLog
import CallTree
import Glibc
import LogFormat

func seconds() -> Double {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
}

/// The raw bodies of a log's branch chunks, for the peer.
struct RawBodies {
    var bodies: [(bytes: [UInt8], count: Int)] = []

    init(_ log: LogFile) {
        let file = open(log.path, O_RDONLY)
        defer { close(file) }
        for vcpu in log.vcpus {
            for chunk in log.chunks(.branch, vcpu: vcpu) where !chunk.isElided && !chunk.isOpenSlot {
                var stored = [UInt8](repeating: 0, count: chunk.storedSize)
                let header = Int(TTLOG_CHUNK_HEADER_SIZE)
                guard pread(file, &stored, stored.count, off_t(chunk.offset) + off_t(header)) == stored.count else {
                    fatalError("decode-bench: short read")
                }
                // Slack, so that both sides may load whole words.
                var raw = [UInt8](repeating: 0, count: chunk.rawSize + 64)
                if chunk.codec == UInt8(TTLOG_CODEC_ZSTD.rawValue) {
                    guard ttlog_decompress(&raw, chunk.rawSize, stored, stored.count) == 0 else {
                        fatalError("decode-bench: damaged body")
                    }
                } else {
                    raw.replaceSubrange(0..<stored.count, with: stored)
                }
                bodies.append((raw, chunk.count))
            }
        }
    }

    /// One pass of the C loop. Returns a sum, so that the loop is not optimised away.
    func decodeInC(_ from: UnsafeMutablePointer<UInt64>, _ to: UnsafeMutablePointer<UInt64>) -> UInt64 {
        var sum: UInt64 = 0
        for body in bodies {
            body.bytes.withUnsafeBytes { bytes in
                func size(_ column: Int) -> Int {
                    Int(bytes.loadUnaligned(fromByteOffset: column * 4, as: UInt32.self))
                }
                let columns = Int(TTLOG_BRANCH_COLUMNS.rawValue) * 4
                guard let base = bytes.bindMemory(to: UInt8.self).baseAddress else { return }
                let control = base + columns
                decode_peer(control, control + size(0), control + size(0) + size(1), body.count, from, to)
            }
            sum &+= to[max(0, body.count - 1)]
        }
        return sum
    }
}

guard CommandLine.arguments.count >= 2 else {
    print("usage: decode-bench LOG [ROUNDS]")
    exit(2)
}
let rounds = CommandLine.arguments.count > 2 ? Int(CommandLine.arguments[2]) ?? 5 : 5
let log = try LogFile(path: CommandLine.arguments[1])
let raw = RawBodies(log)
let total = raw.bodies.reduce(0) { $0 + $1.count }
let from = UnsafeMutablePointer<UInt64>.allocate(capacity: 1 << 16)
let to = UnsafeMutablePointer<UInt64>.allocate(capacity: 1 << 16)
var bestC = Double.infinity
var bestSwift = Double.infinity
var bestCalls = Double.infinity
var bestWalk = Double.infinity
let columns: [(name: String, columns: BranchBatch.Columns)] = [
    ("path", .path), ("to", .to), ("label", .label), ("icount", .icount),
]
var bestColumns = columns.map { _ in Double.infinity }
var statistics = CallStatistics()
var batch = BranchBatch()
var check: UInt64 = 0
for _ in 0..<rounds {
    var start = seconds()
    let sum = raw.decodeInC(from, to)
    bestC = min(bestC, seconds() - start)

    var swiftSum: UInt64 = 0
    start = seconds()
    for vcpu in log.vcpus {
        for chunk in log.chunks(.branch, vcpu: vcpu) where !chunk.isElided && !chunk.isOpenSlot {
            try log.decode(chunk, into: &batch)
            swiftSum &+= batch.to[max(0, batch.count - 1)]
        }
    }
    bestSwift = min(bestSwift, seconds() - start)

    for (number, column) in columns.enumerated() {
        start = seconds()
        for vcpu in log.vcpus {
            for chunk in log.chunks(.branch, vcpu: vcpu) where !chunk.isElided && !chunk.isOpenSlot {
                try log.decode(chunk, into: &batch, columns: column.columns)
            }
        }
        bestColumns[number] = min(bestColumns[number], seconds() - start)
    }

    var walkSum: UInt64 = 0
    start = seconds()
    for vcpu in log.vcpus {
        var branches = log.branches(vcpu: vcpu)
        while branches.nextBatch({ batch, range in walkSum &+= UInt64(range.count) &+ batch.to[range.lowerBound] }) {}
    }
    bestWalk = min(bestWalk, seconds() - start)

    start = seconds()
    for vcpu in log.vcpus {
        var tracker = CallTracker(handlers: HandlerSet(log, vcpu: vcpu))
        for chunk in log.chunks(.branch, vcpu: vcpu) where !chunk.isElided && !chunk.isOpenSlot {
            try log.decode(chunk, into: &batch)
            tracker.append(batch, 0..<batch.count)
        }
        statistics = tracker.statistics
    }
    bestCalls = min(bestCalls, seconds() - start)
    guard sum == swiftSum else { fatalError("decode-bench: C and Swift disagree") }
    check = sum
}
let rate = { (time: Double) in "\(Int(Double(total) / time / 1e6)) M branches/s" }
print("branches            \(total) (check \(String(check, radix: 16)))")
print("C, from/to only     \(rate(bestC)), from memory, uncompressed, unchecked")
print("LogFormat           \(rate(bestSwift)), all columns, decompression and body hash included")
for (number, column) in columns.enumerated() {
    let share = Int((bestColumns[number] / bestSwift * 100).rounded())
    print(
        "  only \(column.name)\(String(repeating: " ", count: 13 - column.name.count))\(rate(bestColumns[number])), \(share) % of the time"
    )
}
print("a walk              \(rate(bestWalk)), the same with a second core that decodes ahead")
print("CallTree            \(rate(bestCalls)), the decoding included; \(rate(bestCalls - bestSwift)) without")
print(
    "                    \(statistics.resynchronisations) resynchronisations, "
        + "\(statistics.levelUserReturns) of \(statistics.userReturns) returns to user code level, "
        + "\(statistics.switches) switches of stacks")
