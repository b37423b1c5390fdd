// SPDX-License-Identifier: GPL-2.0-or-later

import Formatting

/// A map from addresses in memory (of strings, of DWARF entries) to 32-bit numbers.
struct AddressMap: Sendable {
    private struct Slot: HashSlot {
        /// 0 in a free slot.
        var key: UInt64
        var value: UInt32

        static let free = Slot(key: 0, value: 0)
        var isFree: Bool { key == 0 }
        func holds(_ key: UInt64) -> Bool { self.key == key }
        func hash(_ seeds: HashSeeds) -> UInt64 { seeds.mix(key) }
        static func hash(_ key: UInt64, _ seeds: HashSeeds) -> UInt64 { seeds.mix(key) }
    }

    private var table = HashTable<Slot>(limit: 1 << 32)

    /// The value of an address; `nil` if it has none.
    @inline(__always)
    func find(_ key: UnsafeRawPointer) -> UInt32? {
        table.find(UInt64(UInt(bitPattern: key)))?.pointee.value
    }

    /// Gives an address that has no value one.
    mutating func insert(_ key: UnsafeRawPointer, _ value: UInt32) {
        table.insert(Slot(key: UInt64(UInt(bitPattern: key)), value: value))
    }
}
