// SPDX-License-Identifier: GPL-2.0-or-later

/// Translates addresses of a stopped 64-bit guest with the page tables in its memory (Intel SDM volume 3, 4.5).
///
/// The tables are the guest's: each entry can hold anything, and each step reads one word or ends.
package struct PageTables {
    private let root: UInt64
    private let levels: Int
    private let word: (UInt64) -> UInt64?

    private static let address: UInt64 = 0x000f_ffff_ffff_f000

    /// - Parameter word: the 8 bytes at a physical address; nil outside of the memory.
    package init(cr3: UInt64, cr4: UInt64, word: @escaping (UInt64) -> UInt64?) {
        root = cr3 & PageTables.address
        levels = cr4 >> 12 & 1 == 0 ? 4 : 5
        self.word = word
    }

    /// The tables of a stopped guest; nil if it is not in 64-bit mode.
    package init?(_ registers: GuestRegisters, _ memory: GuestMemory) {
        guard let cr3 = registers["CR3"], let cr4 = registers["CR4"], let efer = registers["EFER"],
            efer >> 10 & 1 != 0
        else { return nil }
        self.init(cr3: cr3, cr4: cr4) { memory.value(at: $0) }
    }

    /// The physical address of a virtual one; nil if it is not mapped.
    package func physical(_ virtual: UInt64) -> UInt64? {
        if let found = physical(virtual, root) { return found }
        // With page-table isolation Linux has the kernel's tables in the page before the user's (bit 12 of cr3).
        let kernel = root & ~0x1000
        return virtual >> 63 == 1 && kernel != root ? physical(virtual, kernel) : nil
    }

    private func physical(_ virtual: UInt64, _ root: UInt64) -> UInt64? {
        var table = root
        for level in (0..<levels).reversed() {
            let shift = UInt64(12 + 9 * level)
            let index = virtual >> shift & 0x1ff
            guard let entry = word(table + index * 8), entry & 1 != 0 else { return nil }
            let isPage = level == 0 || (level <= 2 && entry >> 7 & 1 != 0)
            if isPage {
                let within = (UInt64(1) << shift) - 1
                return entry & PageTables.address & ~within | virtual & within
            }
            table = entry & PageTables.address
        }
        return nil
    }

    /// Up to 8 bytes at a virtual address that are in one aligned word.
    package func value(at virtual: UInt64, bytes: Int = 8) -> UInt64? {
        guard let place = physical(virtual & ~7), let word = word(place) else { return nil }
        let shifted = word >> (8 * (virtual & 7))
        return bytes >= 8 ? shifted : shifted & (1 << UInt64(8 * bytes) - 1)
    }

    /// Bytes at a virtual address up to the first 0, at most `limit`.
    package func text(at virtual: UInt64, limit: Int) -> String? {
        var bytes: [UInt8] = []
        while bytes.count < limit {
            guard let byte = value(at: virtual &+ UInt64(bytes.count), bytes: 1) else { return nil }
            if byte == 0 { break }
            bytes.append(UInt8(byte))
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// The bytes at a virtual address; nil if one of their pages is not mapped, or outside of the memory.
    package func bytes(at virtual: UInt64, count: Int, of memory: GuestMemory) -> [UInt8]? {
        var bytes: [UInt8] = []
        while bytes.count < count {
            let address = virtual &+ UInt64(bytes.count)
            let part = min(count - bytes.count, 4096 - Int(address & 0xfff))
            guard let place = physical(address).flatMap({ Int(exactly: $0) }),
                let piece = memory.bytes(at: place, count: part)
            else { return nil }
            bytes += piece
        }
        return bytes
    }
}
