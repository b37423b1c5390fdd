// SPDX-License-Identifier: GPL-2.0-or-later

import Glibc

/// Names as offsets into one block of bytes, each distinct name once: small, and fit to be stored as it is. A name has
/// its length before it, in a byte, and a NUL behind it. Id 0 is the empty name.
struct StringPool: Sendable {
    typealias ID = UInt32

    private(set) var bytes: [UInt8] = [0]

    /// Open addressing; 0 is a free slot (the empty name is never looked up).
    private var slots = [ID](repeating: 0, count: 1 << 12)
    private var count = 0
    private let limit: Int

    /// - Parameter limit: how many bytes of names there may be; damaged files could ask for any number.
    init(limit: Int = Int(ID.max) - 1) {
        self.limit = min(limit, Int(ID.max) - 1)
    }

    /// The id of a C string; 0 for a null pointer or when the pool is full.
    mutating func intern(_ text: UnsafePointer<CChar>?) -> ID {
        guard let text, text.pointee != 0 else { return 0 }
        return intern(UnsafeRawBufferPointer(start: text, count: strlen(text)))
    }

    /// The id of a name without NUL bytes; 0 when it is empty or the pool is full.
    mutating func intern(_ name: UnsafeRawBufferPointer) -> ID {
        guard let start = name.baseAddress, name.count > 0, name.count &+ 1 < limit &- bytes.count else {
            return 0
        }
        if count &* 2 > slots.count { grow() }
        let mask = slots.count &- 1
        var slot = Int(truncatingIfNeeded: StringPool.hash(start, name.count)) & mask
        while true {
            let id = slots[slot]
            if id == 0 { break }
            if matches(id, name) { return id }
            slot = (slot &+ 1) & mask
        }
        bytes.append(UInt8(clamping: name.count))
        let id = ID(truncatingIfNeeded: bytes.count)
        bytes.append(contentsOf: name)
        bytes.append(0)
        slots[slot] = id
        count &+= 1
        return id
    }

    /// Adds all names of another pool; returns, for each id of it, the id here.
    mutating func absorb(_ other: StringPool) -> [ID] {
        var map = [ID](repeating: 0, count: other.bytes.count)
        other.bytes.withUnsafeBytes { names in
            var at = 2
            while at < names.count, let start = names.baseAddress {
                let length = StringPool.length(start, at)
                map[at] = intern(UnsafeRawBufferPointer(start: start + at, count: length))
                at &+= length &+ 2
            }
        }
        return map
    }

    /// The length of the name that stands at an offset other than 0. Behind the longest length that a byte can say, the
    /// name goes on to its NUL.
    @inline(__always)
    static func length(_ names: UnsafeRawPointer, _ offset: Int) -> Int {
        let length = Int((names + offset - 1).load(as: UInt8.self))
        guard length == UInt8.max else { return length }
        return length &+ strlen((names + offset + length).assumingMemoryBound(to: CChar.self))
    }

    private mutating func grow() {
        var larger = [ID](repeating: 0, count: slots.count &* 2)
        let mask = larger.count &- 1
        bytes.withUnsafeBytes { names in
            guard let start = names.baseAddress else { return }
            for id in slots where id != 0 {
                let name = start + Int(id)
                let length = StringPool.length(start, Int(id))
                var slot = Int(truncatingIfNeeded: StringPool.hash(name, length)) & mask
                while larger[slot] != 0 { slot = (slot &+ 1) & mask }
                larger[slot] = id
            }
        }
        slots = larger
    }

    /// Whether the name behind `id` is exactly this one.
    private func matches(_ id: ID, _ name: UnsafeRawBufferPointer) -> Bool {
        bytes.withUnsafeBytes { names in
            let start = Int(id)
            guard start &+ name.count < names.count, let base = names.baseAddress, let text = name.baseAddress else {
                return false
            }
            return names[start &+ name.count] == 0 && memcmp(base + start, text, name.count) == 0
        }
    }

    /// Multiply and rotate over words of eight bytes: short names, no adversary (a slow table is the worst outcome).
    private static func hash(_ start: UnsafeRawPointer, _ count: Int) -> UInt64 {
        var hash = UInt64(truncatingIfNeeded: count)
        var at = 0
        while at &+ 8 <= count {
            hash = (hash ^ (start + at).loadUnaligned(as: UInt64.self)) &* 0x9e37_79b9_7f4a_7c15
            hash ^= hash &>> 29
            at &+= 8
        }
        var tail: UInt64 = 0
        while at < count {
            tail = tail &<< 8 | UInt64((start + at).load(as: UInt8.self))
            at &+= 1
        }
        hash = (hash ^ tail) &* 0x9e37_79b9_7f4a_7c15
        return hash ^ hash &>> 32
    }
}

/// A map from addresses in memory (of strings, of DWARF entries) to 32-bit numbers: open addressing, no deletion.
struct AddressMap: Sendable {
    private var keys = [UInt](repeating: 0, count: 1 << 12)
    private var values = [UInt32](repeating: 0, count: 1 << 12)
    private var count = 0

    /// The value of a key; inserts what `make` gives when there is none yet.
    @inline(__always)
    func find(_ key: UnsafeRawPointer) -> UInt32? {
        let key = UInt(bitPattern: key)
        let mask = keys.count &- 1
        var slot = AddressMap.slot(key) & mask
        while keys[slot] != 0 {
            if keys[slot] == key { return values[slot] }
            slot = (slot &+ 1) & mask
        }
        return nil
    }

    mutating func insert(_ key: UnsafeRawPointer, _ value: UInt32) {
        if count &* 2 > keys.count { grow() }
        place(UInt(bitPattern: key), value)
    }

    private mutating func place(_ key: UInt, _ value: UInt32) {
        let mask = keys.count &- 1
        var slot = AddressMap.slot(key) & mask
        while keys[slot] != 0 && keys[slot] != key { slot = (slot &+ 1) & mask }
        if keys[slot] == 0 { count &+= 1 }
        keys[slot] = key
        values[slot] = value
    }

    private mutating func grow() {
        let (oldKeys, oldValues) = (keys, values)
        keys = [UInt](repeating: 0, count: oldKeys.count &* 2)
        values = [UInt32](repeating: 0, count: oldKeys.count &* 2)
        count = 0
        for index in oldKeys.indices where oldKeys[index] != 0 { place(oldKeys[index], oldValues[index]) }
    }

    @inline(__always)
    private static func slot(_ key: UInt) -> Int {
        let hash = UInt64(key) &* 0x9e37_79b9_7f4a_7c15
        return Int(truncatingIfNeeded: hash &>> 20)
    }
}
