// SPDX-License-Identifier: GPL-2.0-or-later

import CTTLog

/// Decodes the path columns of branch bodies, by the meanings of their control bytes.
struct PathTables: @unchecked Sendable {
    static let shared = PathTables(usesVectors: true)

    /// The meaning of a nibble.
    private struct Record: BitwiseCopyable {
        /// The bits of a loaded word that belong to the from value.
        var fromMask: UInt64
        /// The bits of a loaded word that belong to the to value.
        var toMask: UInt64
        /// The to value's sign bit; 0 when it fills the word.
        var toSign: UInt64
        var fromLength: Int
        var toLength: Int
    }

    private let records: UnsafeMutablePointer<Record>
    /// Decodes pairs of records; nil on processors without its instructions.
    private let vectors: OpaquePointer?

    private static let fromLengths = [1, 2, 4, 8]
    private static let toLengths = [1, 2, 3, 8]

    /// The tables live as long as the process.
    init(usesVectors: Bool) {
        vectors = usesVectors ? ttlog_path_decoder_create() : nil
        records = .allocate(capacity: 16)
        for nibble in 0..<16 {
            let from = PathTables.fromLengths[nibble & 3]
            let to = PathTables.toLengths[nibble >> 2]
            records[nibble] = Record(
                fromMask: UInt64.max >> UInt64(64 - 8 * from), toMask: UInt64.max >> UInt64(64 - 8 * to),
                toSign: to == 8 ? 0 : 1 << UInt64(8 * to - 1), fromLength: from, toLength: to)
        }
    }

    /// The sizes of the from and to columns that belong to these control bytes.
    func columnSizes(_ control: UnsafeRawPointer, count: Int) -> (from: Int, to: Int) {
        let bytes = control.assumingMemoryBound(to: UInt8.self)
        var (from, to) = (0, 0)
        if let vectors {
            ttlog_path_sizes(vectors, bytes, count, &from, &to)
            return (from, to)
        }
        for index in 0..<count {
            let record = records[Int(bytes[index >> 1] >> UInt8((index & 1) * 4) & 15)]
            from += record.fromLength
            to += record.toLength
        }
        return (from, to)
    }

    /// Decodes the path of `count` records.
    ///
    /// The caller has checked the columns' sizes. Up to 16 bytes after them are loaded, and a record more than `count` may
    /// be written. Without a `fromOutput` only the to addresses are.
    func decode(
        _ control: UnsafeRawPointer, _ fromColumn: UnsafeRawPointer, _ toColumn: UnsafeRawPointer, count: Int,
        _ fromOutput: UnsafeMutablePointer<UInt64>?, _ toOutput: UnsafeMutablePointer<UInt64>
    ) {
        let bytes = control.assumingMemoryBound(to: UInt8.self)
        if let vectors {
            ttlog_path_decode(
                vectors, bytes, fromColumn.assumingMemoryBound(to: UInt8.self),
                toColumn.assumingMemoryBound(to: UInt8.self), count, fromOutput, toOutput)
            return
        }
        var fromPlace = fromColumn
        var toPlace = toColumn
        var previous: UInt64 = 0
        for index in 0..<count {
            let record = records + Int(bytes[index >> 1] >> UInt8((index & 1) * 4) & 15)
            let from = previous &+ (fromPlace.loadUnaligned(as: UInt64.self) & record.pointee.fromMask)
            let sign = record.pointee.toSign
            let distance = ((toPlace.loadUnaligned(as: UInt64.self) & record.pointee.toMask) ^ sign) &- sign
            previous = from &+ distance
            fromOutput?[index] = from
            toOutput[index] = previous
            fromPlace += record.pointee.fromLength
            toPlace += record.pointee.toLength
        }
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
