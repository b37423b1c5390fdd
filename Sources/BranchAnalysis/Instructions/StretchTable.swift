// SPDX-License-Identifier: GPL-2.0-or-later

import MachineCode
import Symbolize

/// A table of bounded size with open addressing, that begins anew when it is full: memory stays bounded whatever a log
/// holds. Slots are free where `isFree` says so.
struct BoundedTable<Slot: BitwiseCopyable>: ~Copyable {
    private(set) var slots: UnsafeMutablePointer<Slot>
    private(set) var mask: Int
    private let free: Slot
    private let limit: Int
    private var count = 0

    /// - Parameters:
    ///   - free: what marks a free slot.
    ///   - limit: never more slots than this, a power of two.
    init(free: Slot, limit: Int) {
        self.free = free
        self.limit = limit
        mask = min(1 << 12, limit) - 1
        slots = .allocate(capacity: mask + 1)
        slots.initialize(repeating: free, count: mask + 1)
    }

    deinit { slots.deallocate() }

    @inline(__always)
    func home(_ hash: UInt64) -> Int {
        Int(truncatingIfNeeded: (hash &* 0x9e37_79b9_7f4a_7c15) >> 32) & mask
    }

    /// Adds a slot that is not there yet.
    ///
    /// - Parameter hash: of any slot; `nil` for a free one.
    mutating func insert(_ slot: Slot, hash: (Slot) -> UInt64?) {
        if (count &+ 1) &* 2 > mask {
            let (old, oldCount) = (slots, mask + 1)
            let isFull = oldCount >= limit
            mask = isFull ? mask : oldCount * 2 - 1
            slots = .allocate(capacity: mask + 1)
            slots.initialize(repeating: free, count: mask + 1)
            count = 0
            if !isFull {
                for index in 0..<oldCount { if let value = hash(old[index]) { put(old[index], value, hash) } }
            }
            old.deallocate()
        }
        if let value = hash(slot) { put(slot, value, hash) }
    }

    private mutating func put(_ slot: Slot, _ value: UInt64, _ hash: (Slot) -> UInt64?) {
        var index = home(value)
        while hash(slots[index]) != nil { index = (index &+ 1) & mask }
        slots[index] = slot
        count &+= 1
    }
}

/// Decoded stretches by where they begin and end, and how they are read.
struct StretchTable: ~Copyable {
    private var table: BoundedTable<Stretch>

    init(limit: Int = 1 << 20) {
        // No stretch in the table is outside of all files.
        table = BoundedTable(
            free: Stretch(begin: 0, end: 0, mode: .bits64, behindFar: .bits64, outcome: .outside), limit: limit)
    }

    @inline(__always)
    private static func hash(_ begin: UInt64, _ end: UInt64) -> UInt64 { begin ^ (end &* 0x100_0000_01b3) &<< 1 }

    @inline(__always)
    func find(_ begin: UInt64, _ end: UInt64, _ mode: CodeMode, _ behindFar: CodeMode) -> Stretch? {
        var index = table.home(StretchTable.hash(begin, end))
        while table.slots[index].outcome != .outside {
            let slot = table.slots + index
            if slot.pointee.begin == begin, slot.pointee.end == end, slot.pointee.mode == mode,
                slot.pointee.modeBehindFar == behindFar
            {
                return slot.pointee
            }
            index = (index &+ 1) & table.mask
        }
        return nil
    }

    mutating func insert(_ stretch: Stretch) {
        guard stretch.outcome != .outside else { return }
        table.insert(stretch) { $0.outcome == .outside ? nil : StretchTable.hash($0.begin, $0.end) }
    }
}

/// Decoded instructions by their address and how they are read.
struct InstructionTable: ~Copyable {
    private var table: BoundedTable<Instruction>

    init(limit: Int = 1 << 20) {
        table = BoundedTable(free: .none, limit: limit)
    }

    @inline(__always)
    func find(_ address: UInt64, _ mode: CodeMode) -> Instruction? {
        var index = table.home(address)
        while table.slots[index].size != 0 {
            let slot = table.slots + index
            if slot.pointee.address == address, slot.pointee.mode == mode { return slot.pointee }
            index = (index &+ 1) & table.mask
        }
        return nil
    }

    mutating func insert(_ instruction: Instruction) {
        table.insert(instruction) { $0.size == 0 ? nil : $0.address }
    }
}
