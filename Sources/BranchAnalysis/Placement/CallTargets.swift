// SPDX-License-Identifier: GPL-2.0-or-later

import LogFormat

/// Where the calls of a log went: distinct addresses, which tell where a program stood
/// (`Symbolizer.estimateSlide(module:targets:alignment:)`).
///
///     let targets = CallTargets.sample(log, in: CallTargets.upperHalf)      // some chunks, spread over the log
///     let all = CallTargets.all(log, in: CallTargets.lowerHalf)             // every branch
///
/// Calls are told by the classes of branches: a log without them gives none. Ascending, each once.
public enum CallTargets {
    /// Where kernels stand on x86-64.
    public static let upperHalf = 0xffff_8000_0000_0000...UInt64.max
    /// Where programs stand on x86-64.
    public static let lowerHalf = 0...0x0000_7fff_ffff_ffff as ClosedRange<UInt64>

    /// More targets than this are not kept.
    public static let limit = 1 << 16

    /// Targets from a few chunks, evenly spread over the log: more chunks until there are `enough`, 48 at most.
    public static func sample(_ log: LogFile, in addresses: ClosedRange<UInt64>, enough: Int = 1000) -> [UInt64] {
        let chunks = log.vcpus.flatMap { log.chunks(.branch, vcpu: $0) }.filter { !$0.isElided }
        let order = CodeMatch.order(of: chunks.count, limit: 48)
        return collect(log, order.lazy.map { chunks[$0] }, in: addresses, enough: enough) { _ in }
    }

    /// Targets of all branches with clocks in `from ..< to`, up to ``limit``.
    ///
    /// - Parameter progress: is told how many branches have been read.
    public static func all(
        _ log: LogFile, in addresses: ClosedRange<UInt64>, from: UInt64 = 0, to: UInt64 = .max,
        progress: (UInt64) -> Void = { _ in }
    ) -> [UInt64] {
        let chunks = log.vcpus.flatMap { log.chunks(.branch, vcpu: $0) }.filter {
            !$0.isElided && $0.clockFirst < to && $0.clockLast >= from
        }
        return collect(log, chunks, in: addresses, enough: limit, from: from, to: to, progress)
    }

    private static func collect(
        _ log: LogFile, _ chunks: some Sequence<Chunk>, in addresses: ClosedRange<UInt64>, enough: Int,
        from: UInt64 = 0, to: UInt64 = .max, _ progress: (UInt64) -> Void
    ) -> [UInt64] {
        guard log.header.features.contains(.labels) else { return [] }
        var found = AddressSet()
        var batch = BranchBatch()
        var done: UInt64 = 0
        for chunk in chunks where found.count < enough {
            do throws(LogError) {
                try log.decode(chunk, into: &batch)
                found.addCallTargets(of: batch, batch.range(from: from, to: to), in: addresses)
            } catch {
                // Who reads the log says what is damaged.
            }
            done &+= UInt64(chunk.count)
            progress(done)
        }
        return found.sorted()
    }
}

/// Distinct addresses but 0, in open addressing; up to ``CallTargets/limit``.
private struct AddressSet: ~Copyable {
    private static let slotCount = CallTargets.limit * 4
    private let slots: UnsafeMutablePointer<UInt64>
    private(set) var count = 0

    init() {
        slots = .allocate(capacity: AddressSet.slotCount)
        slots.initialize(repeating: 0, count: AddressSet.slotCount)
    }

    deinit { slots.deallocate() }

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
            insert(target)
        }
    }

    private mutating func insert(_ address: UInt64) {
        var slot = Int(truncatingIfNeeded: (address &* 0x9e37_79b9_7f4a_7c15) >> 46)
        while slots[slot] != address {
            if slots[slot] == 0 {
                guard address != 0, count < CallTargets.limit else { return }
                slots[slot] = address
                count &+= 1
                return
            }
            slot = (slot &+ 1) & (AddressSet.slotCount &- 1)
        }
    }

    func sorted() -> [UInt64] {
        var found: [UInt64] = []
        for slot in 0..<AddressSet.slotCount where slots[slot] != 0 { found.append(slots[slot]) }
        found.sort()
        return found
    }
}
