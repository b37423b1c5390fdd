// SPDX-License-Identifier: GPL-2.0-or-later

import Formatting
import Symbolize

/// Names of addresses, each looked up and put into words once: a run has far more branches than places.
struct PlaceCache: ~Copyable {
    private struct Slot: BitwiseCopyable {
        var address: UInt64
        var offset: UInt32
        /// `empty` marks a free slot.
        var length: UInt32

        static let empty = UInt32.max
    }

    private let render: (UInt64) -> String
    private let placeLimit: Int
    private var slots: UnsafeMutablePointer<Slot>
    private var slotCount: Int
    private var count = 0
    private var text: [UInt8] = []

    private static let byteLimit = 256 << 20
    /// The words for a place are never longer than this.
    static let lengthLimit = 64 << 10

    /// - Parameter placeLimit: beyond so many places the cache begins anew: memory stays bounded whatever the log holds.
    init(_ symbolizer: Symbolizer, style: PlaceStyle, placeLimit: Int = 1 << 20) {
        self.init(placeLimit: placeLimit) { style.render(symbolizer.symbolize($0)) }
    }

    /// - Parameter render: the words for an address, at most `lengthLimit` bytes.
    init(placeLimit: Int = 1 << 20, render: @escaping (UInt64) -> String) {
        self.render = render
        self.placeLimit = placeLimit
        slotCount = 1 << 14
        slots = PlaceCache.freeSlots(slotCount)
    }

    deinit { slots.deallocate() }

    /// Appends the words for an address to a row. There must be room for `lengthLimit` bytes.
    @inline(__always)
    mutating func append(_ address: UInt64, to row: inout RowBuffer) {
        var index = place(of: address)
        while true {
            let slot = slots[index]
            if slot.length == Slot.empty { break }
            if slot.address == address {
                text.withUnsafeBufferPointer { bytes in
                    guard let base = bytes.baseAddress else { return }
                    row.bytes(base + Int(slot.offset), Int(slot.length))
                }
                return
            }
            index = (index &+ 1) & (slotCount &- 1)
        }
        insert(address, at: index)
        append(address, to: &row)
    }

    private func place(of address: UInt64) -> Int {
        let mixed = (address ^ address >> 32) &* 0x9e37_79b9_7f4a_7c15
        return Int(truncatingIfNeeded: mixed >> 32) & (slotCount &- 1)
    }

    @inline(never)
    private mutating func insert(_ address: UInt64, at index: Int) {
        let found = Array(render(address).utf8)
        slots[index] = Slot(address: address, offset: UInt32(text.count), length: UInt32(found.count))
        text += found
        count += 1
        // `text` must not be empty when a row is made from it.
        if text.isEmpty { text = [0x20] }
        if count >= placeLimit || text.count >= PlaceCache.byteLimit {
            clear(keeping: address)
        } else if count * 2 > slotCount {
            grow()
        }
    }

    private mutating func grow() {
        let (old, oldCount) = (slots, slotCount)
        slotCount *= 2
        slots = PlaceCache.freeSlots(slotCount)
        for slot in UnsafeBufferPointer(start: old, count: oldCount) where slot.length != Slot.empty { put(slot) }
        old.deallocate()
    }

    private mutating func put(_ slot: Slot) {
        var index = place(of: slot.address)
        while slots[index].length != Slot.empty { index = (index &+ 1) & (slotCount &- 1) }
        slots[index] = slot
    }

    private mutating func clear(keeping address: UInt64) {
        slots.deallocate()
        slots = PlaceCache.freeSlots(slotCount)
        text = Array(render(address).utf8) + [0x20]
        put(Slot(address: address, offset: 0, length: UInt32(text.count - 1)))
        count = 1
    }

    private static func freeSlots(_ count: Int) -> UnsafeMutablePointer<Slot> {
        let slots = UnsafeMutablePointer<Slot>.allocate(capacity: count)
        slots.initialize(repeating: Slot(address: 0, offset: 0, length: Slot.empty), count: count)
        return slots
    }
}
