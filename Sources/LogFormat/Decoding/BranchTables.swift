// SPDX-License-Identifier: GPL-2.0-or-later

import CTTLog

/// Tables of the meanings of the control nibbles and control bytes of a branch body.
struct PathTables: @unchecked Sendable {
    static let shared = PathTables()

    /// The meaning of a nibble.
    private struct Record: BitwiseCopyable {
        /// The bits of a loaded word that belong to the from value.
        var fromMask: UInt64
        /// The bits of a loaded word that belong to the to value.
        var toMask: UInt64
        /// The to value's sign bit; 0 when it fills the word.
        var toSign: UInt64
        var fromLength: UInt32
        var toLength: UInt32
    }

    private let records: UnsafeMutablePointer<Record>
    /// A control byte's lengths: of two from values, and << 32 of two to values.
    private let lengths: UnsafeMutablePointer<UInt64>

    private static let fromLengths: [UInt32] = [1, 2, 4, 8]
    private static let toLengths: [UInt32] = [1, 2, 3, 8]

    private init() {
        records = .allocate(capacity: 16)
        lengths = .allocate(capacity: 256)
        for nibble in 0..<16 {
            let from = PathTables.fromLengths[nibble & 3]
            let to = PathTables.toLengths[nibble >> 2]
            records[nibble] = Record(
                fromMask: UInt64.max >> UInt64(64 - 8 * from), toMask: UInt64.max >> UInt64(64 - 8 * to),
                toSign: to == 8 ? 0 : 1 << UInt64(8 * to - 1), fromLength: from, toLength: to)
        }
        for byte in 0..<256 {
            let low = records[byte & 15]
            let high = records[byte >> 4]
            lengths[byte] = UInt64(low.fromLength + high.fromLength) | UInt64(low.toLength + high.toLength) << 32
        }
    }

    /// The sizes of the from and to columns that belong to these control bytes.
    func columnSizes(_ control: UnsafeRawPointer, count: Int) -> (from: Int, to: Int) {
        let bytes = control.assumingMemoryBound(to: UInt8.self)
        let lengths = self.lengths
        var sum: UInt64 = 0
        for index in 0..<(count / 2) { sum &+= lengths[Int(bytes[index])] }
        if count & 1 != 0 {
            let last = records[Int(bytes[count / 2] & 15)]
            sum &+= UInt64(last.fromLength) | UInt64(last.toLength) << 32
        }
        return (Int(sum & 0xffff_ffff), Int(sum >> 32))
    }

    /// Decodes the path of `count` records. The caller has checked the columns' sizes; up to 8 bytes after them are
    /// loaded.
    func decode(
        _ control: UnsafeRawPointer, _ fromColumn: UnsafeRawPointer, _ toColumn: UnsafeRawPointer, count: Int,
        _ fromOutput: UnsafeMutablePointer<UInt64>, _ toOutput: UnsafeMutablePointer<UInt64>
    ) {
        let bytes = control.assumingMemoryBound(to: UInt8.self)
        let records = self.records
        var fromPlace = fromColumn
        var toPlace = toColumn
        var previous: UInt64 = 0
        @inline(__always)
        func step(_ nibble: UInt8, _ index: Int) {
            let record = records + Int(nibble)
            let from = previous &+ (fromPlace.loadUnaligned(as: UInt64.self) & record.pointee.fromMask)
            let sign = record.pointee.toSign
            let distance = ((toPlace.loadUnaligned(as: UInt64.self) & record.pointee.toMask) ^ sign) &- sign
            previous = from &+ distance
            fromOutput[index] = from
            toOutput[index] = previous
            fromPlace += Int(record.pointee.fromLength)
            toPlace += Int(record.pointee.toLength)
        }
        for pair in 0..<(count / 2) {
            let byte = bytes[pair]
            step(byte & 15, pair * 2)
            step(byte >> 4, pair * 2 + 1)
        }
        if count & 1 != 0 { step(bytes[count / 2] & 15, count - 1) }
    }
}

/// Labels by the byte of two nibbles that encodes them.
struct LabelTables: @unchecked Sendable {
    static let shared = LabelTables()

    /// Set in a pair if a nibble is the escape code: the label is in another column.
    static let escapeMask: UInt16 = 0x8080

    /// The labels by nibble, those of `TTLOG_LABEL_NIBBLES`.
    static let labels: [BranchLabel] = [
        BranchLabel(.jcc, hasStaticTarget: true), BranchLabel(.jmp, hasStaticTarget: true),
        BranchLabel(.call, hasStaticTarget: true), BranchLabel(.ret), BranchLabel(.jmpIndirect),
        BranchLabel(.callIndirect), BranchLabel(.iret), BranchLabel(.syscall), BranchLabel(.sysret), BranchLabel(.int),
        BranchLabel(.none), BranchLabel(.unknown), BranchLabel(.jcc), BranchLabel(.hlt), BranchLabel(.rep),
    ]

    /// For each byte, the label of its low nibble in the low byte; that of its high nibble in the high byte.
    let pairs: UnsafeMutablePointer<UInt16>

    private init() {
        pairs = .allocate(capacity: 256)
        func label(_ nibble: Int) -> UInt16 {
            nibble < LabelTables.labels.count ? UInt16(LabelTables.labels[nibble].rawValue) : 0x80
        }
        for byte in 0..<256 { pairs[byte] = label(byte & 15) | label(byte >> 4) << 8 }
    }
}
