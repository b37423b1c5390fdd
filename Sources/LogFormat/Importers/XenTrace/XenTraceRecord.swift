// SPDX-License-Identifier: GPL-2.0-or-later

/// One record of a trace buffer of Xen, as `xentrace` writes it: a header word, a time stamp of two words if the header
/// says so, and up to seven words.
///
/// Header: bits 0 to 27 the event, 28 to 30 the number of words, 31 whether a time stamp follows. All little-endian.
/// Source: Xen 4.17, xen/include/public/trace.h.
struct XenTraceRecord {
    /// The event: class, subclass, number.
    var event: UInt32 = 0
    /// The processor on which it was written.
    var cpu: UInt32 = 0
    /// The time stamp counter; of the last record that has one, for a record without.
    var tsc: UInt64 = 0
    var hasTSC = false
    /// The words after the time stamp.
    var words: (UInt32, UInt32, UInt32, UInt32, UInt32, UInt32, UInt32) = (0, 0, 0, 0, 0, 0, 0)
    var wordCount = 0
    /// Where the record is in the file, and its bytes.
    var offset: UInt64 = 0
    var size = 0

    /// A word; 0 if the record has fewer.
    subscript(index: Int) -> UInt32 {
        guard index < wordCount else { return 0 }
        return withUnsafeBytes(of: words) { $0.load(fromByteOffset: index * 4, as: UInt32.self) }
    }

    /// Two words as one number, the lower half first.
    func long(_ index: Int) -> UInt64 { UInt64(self[index]) | UInt64(self[index + 1]) << 32 }

    /// The largest record: header, time stamp, seven words.
    static let sizeLimit = 40

    /// Bytes of the record with this header.
    static func size(_ header: UInt32) -> Int {
        4 + (header >> 31 != 0 ? 8 : 0) + 4 * Int(header >> 28 & 7)
    }

    /// Reads a record. Returns false if the bytes end before it does.
    mutating func read(_ bytes: UnsafeRawBufferPointer) -> Bool {
        guard bytes.count >= 4 else { return false }
        let header = UInt32(littleEndian: bytes.loadUnaligned(as: UInt32.self))
        size = XenTraceRecord.size(header)
        guard bytes.count >= size else { return false }
        event = header & 0x0fff_ffff
        hasTSC = header >> 31 != 0
        wordCount = Int(header >> 28 & 7)
        if hasTSC { tsc = UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: 4, as: UInt64.self)) }
        let first = hasTSC ? 12 : 4
        withUnsafeMutableBytes(of: &words) { target in
            target.copyMemory(from: UnsafeRawBufferPointer(rebasing: bytes[first..<first + 4 * wordCount]))
        }
        return true
    }

    // MARK: - Events

    /// The next window of one processor's buffer: {processor, bytes}. No time stamp.
    static let cpuChange: UInt32 = 0x1f003
    static let cpuChangeHeader: UInt32 = 0x2001_f003
    /// Padding at the end of a buffer.
    static let wrap: UInt32 = 0x1f002
    /// Lost records: {count, domain and vCPU, time stamp of the first lost one}.
    static let lost: UInt32 = 0x1f001
    /// The vCPU of a processor changes: {domain, vCPU} of the previous and the next one; the next one; a vCPU's new state.
    static let schedSwitch: UInt32 = 0x2800a
    static let schedSwitchNext: UInt32 = 0x2800f
    static let runstateChange: UInt32 = 0x21001
    static let continueRunning: UInt32 = 0x21002
}
