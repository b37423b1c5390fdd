// SPDX-License-Identifier: GPL-2.0-or-later

import ReplaySession

/// The instructions and memory accesses of one side's window, by number.
struct WindowTrace {
    /// A memory access of an instruction.
    struct Access: Hashable {
        var isStore: Bool
        /// A device answers, and the value may be unknown.
        var isDevice: Bool
        /// Bytes, 1 … 8.
        var size: Int
        var physical: UInt64
        var virtual: UInt64
        /// The value, in its low `size` bytes.
        var value: UInt64

        /// Whether it touches one of the bytes.
        func overlaps(_ address: UInt64, _ count: Int) -> Bool {
            !isDevice && physical < address &+ UInt64(count) && address < physical &+ UInt64(size)
        }
    }

    /// The word in the stream at which each instruction begins, and after the last one the end.
    private let starts: [Int32]
    /// The address of each instruction.
    let addresses: [UInt64]
    private let log: WindowLog

    /// Reads the stream. The log must not be cleared while the trace is in use.
    init(_ log: WindowLog) {
        self.log = log
        let stream = log.stream
        let sites = log.siteCount
        var starts: [Int32] = []
        var addresses: [UInt64] = []
        var shift: UInt64 = 0
        var index = 0
        reading: while index < stream.count {
            let word = stream[index]
            switch word >> 62 {
            case 0:
                let site = Int(word & 0xffff_ffff)
                guard site < sites else { break reading }
                starts.append(Int32(truncatingIfNeeded: index))
                addresses.append(log.address(site: site) &+ shift)
                index += 1
            case 1: index += 3
            default:
                guard index + 1 < stream.count else { break reading }
                shift = stream[index + 1]
                index += 2
            }
        }
        starts.append(Int32(truncatingIfNeeded: min(index, stream.count)))
        self.starts = starts
        self.addresses = addresses
    }

    /// Instructions.
    var count: Int { addresses.count }

    /// The number of the instruction's translation, and its bytes.
    func site(_ index: Int) -> Int { Int(log.stream[Int(starts[index])] & 0xffff_ffff) }
    func code(_ index: Int) -> [UInt8] { log.code(site: site(index)) }

    /// Whether the instruction accesses memory.
    func hasAccesses(_ index: Int) -> Bool { starts[index + 1] > starts[index] + 1 }

    /// Whether the records of an instruction's accesses are the same words as those of the other side.
    func hasSameAccesses(_ index: Int, as other: WindowTrace) -> Bool {
        let (from, to) = (Int(starts[index]) + 1, Int(starts[index + 1]))
        let start = Int(other.starts[index]) + 1
        guard to - from == Int(other.starts[index + 1]) - start else { return false }
        let (stream, otherStream) = (log.stream, other.log.stream)
        for word in 0..<max(0, to - from) where stream[from + word] != otherStream[start + word] { return false }
        return true
    }

    /// The accesses of an instruction in their order.
    func accesses(_ index: Int) -> [Access] {
        let stream = log.stream
        var list: [Access] = []
        var at = Int(starts[index]) + 1
        let end = min(Int(starts[index + 1]), stream.count)
        while at + 2 < end {
            let word = stream[at]
            guard word >> 62 == 1 else {
                at += 2
                continue
            }
            let size = 1 << Int(word >> 56 & 3)
            let mask = size == 8 ? UInt64.max : 1 << UInt64(8 * size) - 1
            list.append(
                Access(
                    isStore: word >> 61 & 1 != 0, isDevice: word >> 60 & 1 != 0, size: size,
                    physical: word & 0xff_ffff_ffff_ffff, virtual: stream[at + 1], value: stream[at + 2] & mask))
            at += 3
        }
        return list
    }
}

extension WindowTrace {
    /// The value of the last store to an 8-byte word before an instruction; nil if there is none.
    func lastStore(to physical: UInt64, before index: Int) -> UInt64? {
        for at in stride(from: min(index, count) - 1, through: 0, by: -1) where hasAccesses(at) {
            if let value = store(to: physical, by: at) { return value }
        }
        return nil
    }

    /// The value that an instruction last stores to an 8-byte word.
    private func store(to physical: UInt64, by index: Int) -> UInt64? {
        accesses(index).last { $0.isStore && !$0.isDevice && $0.size == 8 && $0.physical == physical }?.value
    }
}
