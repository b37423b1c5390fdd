// SPDX-License-Identifier: GPL-2.0-or-later

import Formatting
import LogFormat

/// The distinct targets of the calls in a log, ascending. They show where a program was loaded
/// (`Symbolizer.estimateSlide(module:targets:alignment:)`).
///
///     let targets = CallTargets.sample(log, in: CallTargets.upperHalf)      // some chunks, spread over the log
///     let all = CallTargets.all(log, in: CallTargets.lowerHalf)             // every branch
///
/// A log without the classes of branches has none.
public enum CallTargets {
    /// The addresses of kernels on x86-64.
    public static let upperHalf = 0xffff_8000_0000_0000...UInt64.max
    /// The addresses of programs on x86-64.
    public static let lowerHalf = 0...0x0000_7fff_ffff_ffff as ClosedRange<UInt64>

    /// The largest number of targets that are kept.
    public static let limit = 1 << 20

    /// Targets from a few chunks, evenly spread over the log: more chunks until there are `enough`, 48 at most.
    public static func sample(_ log: LogFile, in addresses: ClosedRange<UInt64>, enough: Int = 1000) -> [UInt64] {
        let chunks = log.vcpus.flatMap { log.chunks(.branch, vcpu: $0) }.filter { !$0.isElided }
        let order = CodeMatch.order(of: chunks.count, limit: 48)
        return collect(log, order.lazy.map { chunks[$0] }, in: addresses, enough: enough) { _ in }
    }

    /// Targets of all branches with clocks in `from ..< to`, up to ``limit``.
    ///
    /// - Parameter progress: Receives the number of branches read so far.
    public static func all(
        _ log: LogFile, in addresses: ClosedRange<UInt64>, from: UInt64 = 0, to: UInt64 = .max,
        progress: (UInt64) -> Void = { _ in }
    ) -> [UInt64] {
        all(log, in: addresses, from: from, to: to, limit: limit, progress: progress)
    }

    static func all(
        _ log: LogFile, in addresses: ClosedRange<UInt64>, from: UInt64 = 0, to: UInt64 = .max, limit: Int,
        progress: (UInt64) -> Void = { _ in }
    ) -> [UInt64] {
        let chunks = log.vcpus.flatMap { log.chunks(.branch, vcpu: $0) }.filter {
            !$0.isElided && $0.clockFirst < to && $0.clockLast >= from
        }
        return collect(log, chunks, in: addresses, enough: limit, from: from, to: to, limit: limit, progress)
    }

    private static func collect(
        _ log: LogFile, _ chunks: some Sequence<Chunk>, in addresses: ClosedRange<UInt64>, enough: Int,
        from: UInt64 = 0, to: UInt64 = .max, limit: Int = CallTargets.limit, _ progress: (UInt64) -> Void
    ) -> [UInt64] {
        guard log.header.features.contains(.labels) else { return [] }
        var found = AddressSet(limit: limit)
        var batch = BranchBatch()
        var done: UInt64 = 0
        for chunk in chunks where found.count < enough {
            do throws(LogError) {
                try log.decode(chunk, into: &batch)
                found.addCallTargets(of: batch, batch.range(from: from, to: to), in: addresses)
            } catch {
                // The log's reader reports damage.
            }
            done &+= UInt64(chunk.count)
            progress(done)
        }
        return found.sorted()
    }
}

/// Distinct addresses other than 0, up to a limit.
private struct AddressSet {
    private struct Slot: HashSlot {
        /// 0 in a free slot.
        var address: UInt64

        static let free = Slot(address: 0)
        var isFree: Bool { address == 0 }
        func holds(_ key: UInt64) -> Bool { address == key }
        func hash(_ seeds: HashSeeds) -> UInt64 { seeds.mix(address) }
        static func hash(_ key: UInt64, _ seeds: HashSeeds) -> UInt64 { seeds.mix(key) }
    }

    private var table: HashTable<Slot>

    init(limit: Int) { table = HashTable(limit: limit) }

    var count: Int { table.count }

    mutating func addCallTargets(
        of batch: borrowing BranchBatch, _ range: Range<Int>, in addresses: ClosedRange<UInt64>
    ) {
        let (targets, labels) = (batch.to, batch.label)
        let (low, size) = (addresses.lowerBound, addresses.upperBound &- addresses.lowerBound)
        let call = BranchClass.call.rawValue
        var last: UInt64 = 0
        for index in range {
            // call and call-indirect are neighbours.
            guard BranchLabel(rawValue: labels[index]).classNumber &- call <= 1 else { continue }
            let target = targets[index]
            guard target != last, target &- low <= size else { continue }
            last = target
            if target != 0, table.find(target) == nil { table.insert(Slot(address: target)) }
        }
    }

    func sorted() -> [UInt64] {
        var found: [UInt64] = []
        table.visit { found.append($0.address) }
        found.sort()
        return found
    }
}
