// SPDX-License-Identifier: GPL-2.0-or-later

/// Collects the values of one column, and copies them into memory that a consumer owns.
///
///     var builder = ColumnBuilder(.int64)
///     builder.append(12)
///     builder.appendNull()
///     let column = builder.finish()
///
/// The collecting arrays keep their memory from batch to batch.
struct ColumnBuilder {
    private let type: ColumnType
    /// Numbers and flags.
    private var words: [Int64] = []
    /// The bytes of texts, one after the other, and where each ends.
    private var bytes: [UInt8] = []
    private var ends: [Int32] = []
    private var isValid: [Bool] = []
    private var nullCount = 0

    init(_ type: ColumnType) { self.type = type }

    /// Bytes of text so far.
    var textSize: Int { bytes.count }

    // MARK: Values

    mutating func append(_ value: Int64) {
        words.append(value)
        isValid.append(true)
    }

    /// Appends 64 bits; above 2^63 the number is negative.
    mutating func append(_ value: UInt64) { append(Int64(bitPattern: value)) }

    mutating func append(_ value: UInt64?) {
        if let value { append(value) } else { appendNull() }
    }

    mutating func append(_ value: Bool) { append(Int64(value ? 1 : 0)) }

    mutating func append(_ text: String?) {
        guard let text else { return appendNull() }
        bytes.append(contentsOf: text.utf8)
        endText()
    }

    mutating func append(bytes value: some Sequence<UInt8>) {
        bytes.append(contentsOf: value)
        endText()
    }

    private mutating func endText() {
        ends.append(Int32(clamping: bytes.count))
        isValid.append(true)
    }

    mutating func appendNull() {
        isValid.append(false)
        nullCount += 1
        switch type {
        case .int64, .int32, .flag, .name, .longName: words.append(0)
        case .text, .binary: ends.append(Int32(clamping: bytes.count))
        }
    }

    // MARK: The result

    /// The column of all values since the last call.
    mutating func finish() -> ArrowColumn {
        let count = isValid.count
        var memory = ColumnMemory.Layout()
        let validity = nullCount > 0 ? memory.reserve((count + 7) / 8) : nil
        let values = memory.reserve(valueSize(count))
        let text = type == .text || type == .binary ? memory.reserve(bytes.count) : nil
        let owner = ColumnMemory(memory)
        if let validity { owner.storeBits(isValid, at: validity) }
        store(count, at: values, in: owner)
        if let text { owner.store(bytes, at: text) }
        defer { removeAll() }
        return ArrowColumn(
            length: count, nullCount: nullCount,
            buffers: [validity, values, text].prefix(text == nil ? 2 : 3).map { $0.map(owner.pointer) }, owner: owner)
    }

    private func valueSize(_ count: Int) -> Int {
        switch type {
        case .int64: 8 * count
        case .int32, .longName: 4 * count
        case .flag: (count + 7) / 8
        case .name: count
        case .text, .binary: 4 * (count + 1)
        }
    }

    private func store(_ count: Int, at place: Int, in owner: ColumnMemory) {
        switch type {
        case .int64: owner.store(words, at: place)
        case .int32, .longName: owner.store(words.map { Int32(truncatingIfNeeded: $0) }, at: place)
        case .name: owner.store(words.map { UInt8(truncatingIfNeeded: $0) }, at: place)
        case .flag: owner.storeBits(words.map { $0 != 0 }, at: place)
        case .text, .binary: owner.store([0] + ends, at: place)
        }
    }

    private mutating func removeAll() {
        words.removeAll(keepingCapacity: true)
        bytes.removeAll(keepingCapacity: true)
        ends.removeAll(keepingCapacity: true)
        isValid.removeAll(keepingCapacity: true)
        nullCount = 0
    }
}
