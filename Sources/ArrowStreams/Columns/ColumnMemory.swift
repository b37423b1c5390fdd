// SPDX-License-Identifier: GPL-2.0-or-later

/// Memory of one column that a consumer holds: all of its buffers in one piece, each on a boundary of 64 bytes.
final class ColumnMemory {
    /// The places of the buffers, found before the memory is allocated.
    struct Layout {
        fileprivate(set) var size = 0

        /// Reserves bytes; returns where they begin.
        mutating func reserve(_ bytes: Int) -> Int {
            let place = size
            size += (bytes + 63) & ~63
            return place
        }
    }

    private let base: UnsafeMutableRawPointer

    init(_ layout: Layout) {
        let size = max(layout.size, 64)
        base = .allocate(byteCount: size, alignment: 64)
        // Consumers may read, and write to disk, what pads a buffer.
        base.initializeMemory(as: UInt8.self, repeating: 0, count: size)
    }

    deinit { base.deallocate() }

    func pointer(_ place: Int) -> UnsafeRawPointer { UnsafeRawPointer(base + place) }

    /// Where the owner's maker writes values, before a consumer has the column.
    func words<Value: BitwiseCopyable>(_ place: Int, as type: Value.Type) -> UnsafeMutablePointer<Value> {
        (base + place).assumingMemoryBound(to: type)
    }

    func store<Value: BitwiseCopyable>(_ values: [Value], at place: Int) {
        values.withUnsafeBytes { bytes in
            if let source = bytes.baseAddress { (base + place).copyMemory(from: source, byteCount: bytes.count) }
        }
    }

    /// Stores one bit for each value, the lowest first.
    func storeBits(_ values: [Bool], at place: Int) {
        let bits = (base + place).assumingMemoryBound(to: UInt8.self)
        for (index, isSet) in values.enumerated() where isSet { bits[index >> 3] |= 1 << UInt8(index & 7) }
    }
}
