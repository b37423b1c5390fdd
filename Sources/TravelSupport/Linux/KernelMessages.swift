// SPDX-License-Identifier: GPL-2.0-or-later

import ReplaySession

/// A message of a Linux kernel.
public struct KernelMessage: Encodable, Hashable, Sendable {
    /// Its number, from 0.
    public var sequence: String
    /// Nanoseconds since the boot, by the kernel's clock.
    public var nanoseconds: String
    /// The text; a message of several lines has newlines.
    public var text: String

    /// As `dmesg` prints it: seconds and microseconds, then the text.
    var line: String {
        let time = (UInt64(nanoseconds) ?? 0) / 1000
        let (seconds, rest) = (String(time / 1_000_000), String(time % 1_000_000))
        let pad = String(repeating: " ", count: max(0, 5 - seconds.count))
        return "[\(pad)\(seconds).\(String(repeating: "0", count: 6 - rest.count))\(rest)] \(text)"
    }
}

extension LinuxGuest {
    /// The kernel's messages, oldest first: its ring of records (kernel/printk/printk_ringbuffer.c, since Linux 5.10). Where it
    /// is and how it is laid out comes from the kernel's description of itself: no symbol file is needed.
    ///
    /// - Throws: ``PlaceError`` if the kernel has not made its description yet.
    func messages() throws -> [KernelMessage] {
        guard let description = KernelDescription(memory) else {
            throw PlaceError("no Linux kernel has described itself in the guest's memory yet")
        }
        guard let ring = MessageRing(description, tables) else {
            throw PlaceError("the kernel does not describe its ring of messages: Linux 5.10 and later do")
        }
        return ring.messages(tables, memory)
    }
}

/// The layout of the ring, and its place.
private struct MessageRing {
    /// Records and bytes of text, at most: 2^this, the largest ring that Linux can be built with (CONFIG_LOG_BUF_SHIFT).
    private static let largest: UInt64 = 25

    let (records, infos, recordSize, infoSize): (UInt64, UInt64, UInt64, UInt64)
    let (count, oldest, newest): (UInt64, UInt64, UInt64)
    let (text, textSize): (UInt64, UInt64)
    let (state, begin, next): (UInt64, UInt64, UInt64)
    let (sequence, time, length): (UInt64, UInt64, UInt64)

    init?(_ description: KernelDescription, _ tables: PageTables) {
        func offset(_ structure: String, _ members: String...) -> UInt64? {
            var sum: UInt64 = 0
            for member in members {
                guard let part = description.offset(structure, member) else { return nil }
                sum &+= part
            }
            return sum
        }
        guard let pointer = description.symbol("prb"), let ring = tables.value(at: pointer),
            let descriptors = offset("printk_ringbuffer", "desc_ring"),
            let texts = offset("printk_ringbuffer", "text_data_ring"),
            let counter = offset("atomic_long_t", "counter")
        else { return nil }
        func word(_ base: UInt64, _ structure: String, _ member: String) -> UInt64? {
            offset(structure, member).flatMap { tables.value(at: ring &+ base &+ $0) }
        }
        guard let bits = word(descriptors, "prb_desc_ring", "count_bits"),
            let records = word(descriptors, "prb_desc_ring", "descs"),
            let infos = word(descriptors, "prb_desc_ring", "infos"),
            let newest = word(descriptors &+ counter, "prb_desc_ring", "head_id"),
            let oldest = word(descriptors &+ counter, "prb_desc_ring", "tail_id"),
            let textBits = word(texts, "prb_data_ring", "size_bits"), let text = word(texts, "prb_data_ring", "data"),
            let recordSize = description.size("prb_desc"), let infoSize = description.size("printk_info"),
            let state = offset("prb_desc", "state_var"), let place = offset("prb_desc", "text_blk_lpos"),
            let begin = offset("prb_data_blk_lpos", "begin"), let next = offset("prb_data_blk_lpos", "next"),
            let sequence = offset("printk_info", "seq"), let time = offset("printk_info", "ts_nsec"),
            let length = offset("printk_info", "text_len")
        else { return nil }
        // `count_bits` and `size_bits` are unsigned ints: what follows them is padding.
        let (recordBits, sizeBits) = (bits & 0xffff_ffff, textBits & 0xffff_ffff)
        guard recordBits <= MessageRing.largest, sizeBits <= MessageRing.largest else { return nil }
        (self.records, self.infos, self.recordSize, self.infoSize) = (records, infos, recordSize, infoSize)
        (count, self.oldest, self.newest) = (1 << recordBits, oldest, newest)
        (self.text, textSize) = (text, 1 << sizeBits)
        (self.state, self.begin, self.next) = (state &+ counter, place &+ begin, place &+ next)
        (self.sequence, self.time, self.length) = (sequence, time, length)
    }

    /// Record numbers count in 62 bits; the two above are a record's state. 1 committed, 2 finalized.
    private static let numbers: UInt64 = 1 << 62 - 1

    func messages(_ tables: PageTables, _ memory: GuestMemory) -> [KernelMessage] {
        var found: [KernelMessage] = []
        var number = oldest & MessageRing.numbers
        // The texts of a sound ring do not overlap.
        var left = Int(textSize)
        for _ in 0..<count where left > 0 {
            let index = number & (count - 1)
            let (record, info) = (records &+ index &* recordSize, infos &+ index &* infoSize)
            if let word = tables.value(at: record &+ state), word & MessageRing.numbers == number,
                word >> 62 == 1 || word >> 62 == 2, let sequence = tables.value(at: info &+ sequence),
                let time = tables.value(at: info &+ time),
                let length = tables.value(at: info &+ length, bytes: 2)
            {
                let bytes = text(record, length, tables, memory) ?? []
                left -= max(bytes.count, 1)
                found.append(
                    KernelMessage(
                        sequence: String(sequence), nanoseconds: String(time),
                        text: String(decoding: bytes, as: UTF8.self)))
            }
            if number == newest & MessageRing.numbers { break }
            number = (number &+ 1) & MessageRing.numbers
        }
        return found
    }

    /// The bytes of a record. Positions in the ring count on; an odd one means no text. A block begins with its record's
    /// number; one that does not fit before the ring's end is at its beginning.
    private func text(_ record: UInt64, _ length: UInt64, _ tables: PageTables, _ memory: GuestMemory) -> [UInt8]? {
        guard let begin = tables.value(at: record &+ begin), let next = tables.value(at: record &+ next), begin & 1 == 0
        else { return nil }
        let wraps = begin / textSize != next / textSize
        let block = wraps ? 0 : begin % textSize
        guard block + 8 < textSize else { return nil }
        return tables.bytes(at: text &+ block &+ 8, count: Int(min(length, textSize - block - 8)), of: memory)
    }
}
