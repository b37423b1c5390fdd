// SPDX-License-Identifier: GPL-2.0-or-later

import CArrow

@testable import ArrowStreams

/// Reads a stream through the structures of the Arrow C interface, as a consumer does.
final class ArrowReader {
    private let stream: UnsafeMutablePointer<ArrowArrayStream>
    private let names: [String]

    init(_ source: BatchSource) {
        stream = .allocate(capacity: 1)
        exportStream(source, to: stream)
        names = source.columns.map(\.name)
    }

    deinit {
        stream.pointee.release?(stream)
        stream.deallocate()
    }

    /// Hands each batch to `body`. Returns whether the stream came to its end without an error.
    func forEachBatch(_ body: (ArrowBatch) throws -> Void) rethrows -> Bool {
        while true {
            var array = ArrowArray()
            guard stream.pointee.get_next(stream, &array) == 0 else { return false }
            guard let release = array.release else { return true }
            defer { release(&array) }
            try body(ArrowBatch(array, names))
        }
    }
}

/// A batch of rows; valid until it is released.
struct ArrowBatch {
    let rows: Int
    private let columns: [String: ArrowValues]

    fileprivate init(_ array: ArrowArray, _ names: [String]) {
        rows = Int(array.length)
        columns = Dictionary(
            uniqueKeysWithValues: names.enumerated().map { ($1, ArrowValues(array.children[$0]!.pointee)) })
    }

    /// A column; nil if the stream does not have it.
    subscript(name: String) -> ArrowValues? { columns[name] }
}

/// The values of a column, from its buffers.
struct ArrowValues {
    private let array: ArrowArray
    /// The dictionary's names; empty without one.
    private let names: [String]

    fileprivate init(_ array: ArrowArray) {
        self.array = array
        names =
            array.dictionary.map { dictionary in
                let texts = ArrowValues(dictionary.pointee)
                return (0..<Int(dictionary.pointee.length)).map { texts.text($0) ?? "" }
            } ?? []
    }

    func isNull(_ row: Int) -> Bool {
        guard array.null_count > 0, let bits = array.buffers[0] else { return false }
        return bits.load(fromByteOffset: row >> 3, as: UInt8.self) >> UInt8(row & 7) & 1 == 0
    }

    private func value<Value: BitwiseCopyable>(_ row: Int, _ type: Value.Type) -> Value {
        array.buffers[1]!.load(fromByteOffset: row * MemoryLayout<Value>.stride, as: type)
    }

    func word(_ row: Int) -> UInt64? { isNull(row) ? nil : UInt64(bitPattern: value(row, Int64.self)) }

    func number(_ row: Int) -> Int32? { isNull(row) ? nil : value(row, Int32.self) }

    func bytes(_ row: Int) -> [UInt8]? {
        guard !isNull(row) else { return nil }
        let range = Int(value(row, Int32.self))..<Int(value(row + 1, Int32.self))
        return range.map { array.buffers[2]!.load(fromByteOffset: $0, as: UInt8.self) }
    }

    func text(_ row: Int) -> String? { bytes(row).map { String(decoding: $0, as: UTF8.self) } }

    /// A value of a column with a dictionary.
    func name(_ row: Int) -> String? { isNull(row) ? nil : names[Int(value(row, UInt8.self))] }
}
