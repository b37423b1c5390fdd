// SPDX-License-Identifier: GPL-2.0-or-later

import Formatting
import Glibc

/// Names as offsets into one block of bytes, each distinct name once: small, and fit to be stored as it is. A name has
/// its length before it, in a byte, and a NUL after it. Id 0 is the empty name.
struct StringPool: Sendable {
    typealias ID = UInt32

    private(set) var bytes: [UInt8] = [0]
    /// Whether a name has other bytes than printable ASCII, which a person's terminal must not get.
    private(set) var needsEscapes = false
    private var table = HashTable<Slot>(limit: Int(ID.max))
    private let seeds = HashSeeds()
    private let limit: Int

    /// A name of the pool.
    private struct Slot: HashSlot {
        /// 0 in a free slot: the empty name is never looked up.
        var id: ID
        var hash: UInt32

        struct Key {
            var hash: UInt32
            var name: UnsafeRawBufferPointer
            /// The bytes of the pool.
            var names: UnsafeRawPointer
        }

        static let free = Slot(id: 0, hash: 0)
        var isFree: Bool { id == 0 }

        func holds(_ key: Key) -> Bool {
            guard hash == key.hash, let text = key.name.baseAddress else { return false }
            let own = key.names + Int(id)
            // A name ends before its first NUL, so that the comparison does not go past the end of the pool.
            return StringPool.length(key.names, Int(id)) == key.name.count && memcmp(own, text, key.name.count) == 0
        }

        // The names' hash is keyed by the pool's own seeds.
        func hash(_: HashSeeds) -> UInt64 { UInt64(hash) }
        static func hash(_ key: Key, _: HashSeeds) -> UInt64 { UInt64(key.hash) }
    }

    /// The longest name that is kept whole, in bytes; no compiler's names are longer.
    static let nameLimit = 1 << 14

    /// - Parameter limit: The most bytes of names; a damaged file could ask for any number.
    init(limit: Int = Int(ID.max) - 1) {
        self.limit = min(limit, Int(ID.max) - 1)
    }

    /// The id of a C string, cut at ``nameLimit``; 0 for a null pointer or when the pool is full.
    mutating func intern(_ text: UnsafePointer<CChar>?) -> ID {
        guard let text, text.pointee != 0 else { return 0 }
        return intern(UnsafeRawBufferPointer(start: text, count: strnlen(text, StringPool.nameLimit)))
    }

    /// The id of a name without NUL bytes; 0 when it is empty or the pool is full.
    mutating func intern(_ name: UnsafeRawBufferPointer) -> ID {
        guard let start = name.baseAddress, name.count > 0, name.count &+ 1 < limit &- bytes.count else {
            return 0
        }
        let hash = StringPool.hash(start, name.count, seeds)
        let known = bytes.withUnsafeBytes { names in
            names.baseAddress.flatMap { table.find(Slot.Key(hash: hash, name: name, names: $0))?.pointee.id }
        }
        if let known { return known }
        if !needsEscapes { needsEscapes = !StringPool.isPrintable(start, name.count) }
        bytes.append(UInt8(clamping: name.count))
        let id = ID(truncatingIfNeeded: bytes.count)
        bytes.append(contentsOf: name)
        bytes.append(0)
        table.insert(Slot(id: id, hash: hash))
        return id
    }

    /// The bytes of a name.
    func name(_ id: ID) -> [UInt8] {
        guard id != 0, Int(id) < bytes.count else { return [] }
        return Array(bytes[Int(id)...].prefix { $0 != 0 })
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

    /// The length of the name at an offset other than 0. A name that is longer than its length byte can say ends at
    /// its NUL.
    @inline(__always)
    static func length(_ names: UnsafeRawPointer, _ offset: Int) -> Int {
        let length = Int((names + offset - 1).load(as: UInt8.self))
        guard length == UInt8.max else { return length }
        return length &+ strlen((names + offset + length).assumingMemoryBound(to: CChar.self))
    }

    /// Whether all bytes are printable ASCII; looks at eight at a time.
    private static func isPrintable(_ start: UnsafeRawPointer, _ count: Int) -> Bool {
        let ones: UInt64 = 0x0101_0101_0101_0101
        func isPrintable(_ word: UInt64) -> Bool {
            let low = word & ones &* 0x7f
            // The upper bit of a byte: at least a blank, not DEL, ASCII.
            return (low &+ ones &* 0x60) & ~(low &+ ones) & ~word & ones &* 0x80 == ones &* 0x80
        }
        var at = 0
        while at &+ 8 <= count {
            guard isPrintable((start + at).loadUnaligned(as: UInt64.self)) else { return false }
            at &+= 8
        }
        while at < count {
            guard (start + at).load(as: UInt8.self) &- 0x20 < 0x5f else { return false }
            at &+= 1
        }
        return true
    }

    /// Multiplies words of eight bytes into each other.
    private static func hash(_ start: UnsafeRawPointer, _ count: Int, _ seeds: HashSeeds) -> UInt32 {
        var hash = UInt64(truncatingIfNeeded: count)
        var at = 0
        while at &+ 8 <= count {
            hash = seeds.mix(hash ^ (start + at).loadUnaligned(as: UInt64.self))
            at &+= 8
        }
        var tail: UInt64 = 0
        while at < count {
            tail = tail &<< 8 | UInt64((start + at).load(as: UInt8.self))
            at &+= 1
        }
        hash = seeds.mix(hash ^ tail)
        return UInt32(truncatingIfNeeded: hash ^ hash &>> 32)
    }
}
