// SPDX-License-Identifier: GPL-2.0-or-later

import Formatting
import Symbolize

/// Names of addresses, each looked up and rendered once: a run has far more branches than places.
///
/// Memory is bounded: a full cache is emptied.
struct PlaceCache: ~Copyable {
    private struct Slot: HashSlot {
        var address: UInt64
        var offset: UInt32
        /// `freeLength` marks a free slot.
        var length: UInt32

        static let freeLength = UInt32.max

        static let free = Slot(address: 0, offset: 0, length: freeLength)
        var isFree: Bool { length == Slot.freeLength }
        func holds(_ key: UInt64) -> Bool { address == key }
        func hash(_ seeds: HashSeeds) -> UInt64 { seeds.mix(address) }
        static func hash(_ key: UInt64, _ seeds: HashSeeds) -> UInt64 { seeds.mix(key) }
    }

    private let render: (UInt64) -> String
    private var slots: HashTable<Slot>
    private var text: [UInt8] = []

    private static let byteLimit = 256 << 20
    /// The longest text of a place, in bytes.
    static let lengthLimit = 64 << 10

    /// Makes a cache of the names that a symbolizer has.
    ///
    /// - Parameter placeLimit: The largest number of places that are kept.
    init(_ symbolizer: Symbolizer, style: PlaceStyle, placeLimit: Int = 1 << 20) {
        self.init(placeLimit: placeLimit) { style.render(symbolizer.symbolize($0)) }
    }

    /// - Parameter render: Returns the text for an address, at most `lengthLimit` bytes.
    init(placeLimit: Int = 1 << 20, render: @escaping (UInt64) -> String) {
        self.render = render
        slots = HashTable(limit: placeLimit, expected: 1 << 13)
    }

    /// Appends the text for an address to a row.
    @inline(__always)
    mutating func append(_ address: UInt64, to row: inout TextBuffer) {
        let slot = slots.find(address)?.pointee ?? insert(address)
        text.withUnsafeBufferPointer { bytes in
            guard let base = bytes.baseAddress else { return }
            row.append(UnsafeBufferPointer(start: base + Int(slot.offset), count: Int(slot.length)))
        }
    }

    @inline(never)
    private mutating func insert(_ address: UInt64) -> Slot {
        let found = render(address).utf8
        if slots.count >= slots.limit || text.count > PlaceCache.byteLimit - PlaceCache.lengthLimit {
            slots.removeAll()
            text = []
        }
        let slot = Slot(address: address, offset: UInt32(text.count), length: UInt32(found.count))
        text += found
        slots.insert(slot)
        return slot
    }
}
