// SPDX-License-Identifier: GPL-2.0-or-later

import CTTLog

/// Whether the writer of a log makes progress, without reading the log: that grows by whole chunks, its open file by records.
public enum LogProgress {
    /// A number that grows with each record that the writer of a log commits: the sum of the commit words in `<log>.open`
    /// (`ttlog_slot_header`). 0 without such a file: the log is closed or was not begun.
    public static func mark(of path: String) -> UInt64 {
        guard let file = try? InputFile(path: path + ".open") else { return 0 }
        func word(_ offset: UInt64) -> UInt64? {
            var value: UInt64 = 0
            let present = try? withUnsafeMutableBytes(of: &value) { bytes throws(LogError) in
                try file.read(bytes, at: offset)
            }
            return present == MemoryLayout<UInt64>.size ? UInt64(littleEndian: value) : nil
        }
        let slotCount = MemoryLayout<ttlog_open_header>.offset(of: \.slot_count).flatMap { word(UInt64($0)) } ?? 0
        var sum: UInt64 = 0
        for slot in 0..<min(slotCount & 0xffff_ffff, UInt64(TTLOG_VCPU_MAX) * 6 + 2) {
            let descriptor =
                UInt64(MemoryLayout<ttlog_open_header>.size) + slot
                * UInt64(MemoryLayout<ttlog_slot_descriptor>.size)
            guard let offset = word(descriptor), let commit = word(offset) else { break }
            sum &+= commit
        }
        return sum
    }
}
