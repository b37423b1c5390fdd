// SPDX-License-Identifier: GPL-2.0-or-later

import CArrow
import Glibc

/// What a stream hands out, batch by batch.
///
/// A subclass decodes nothing before the first call of ``next()``: engines open a stream several times for one query.
class BatchSource {
    /// The columns, in the order of the result.
    let columns: [ColumnDefinition]
    /// The sentence about the last error, for the stream's consumer.
    fileprivate var lastError: UnsafeMutablePointer<CChar>?

    init(columns: [ColumnDefinition]) { self.columns = columns }

    deinit { free(lastError) }

    /// The next rows, at least one; nil at the end.
    ///
    /// Throws at damage. The call after that goes on after the damage or ends the stream.
    func next() throws -> RecordBatch? { nil }

    fileprivate func remember(_ error: any Error) {
        free(lastError)
        lastError = strdup("\(error)")
    }
}

/// Fills in a stream. It owns the source until it is released.
func exportStream(_ source: BatchSource, to place: UnsafeMutablePointer<ArrowArrayStream>) {
    place.initialize(to: ArrowArrayStream())
    place.pointee.private_data = Unmanaged.passRetained(source).toOpaque()
    place.pointee.get_schema = { stream, schema in
        guard let source = batchSource(stream), let schema else { return EINVAL }
        exportSchema(source.columns, to: schema)
        return 0
    }
    place.pointee.get_next = { stream, array in
        guard let source = batchSource(stream), let array else { return EINVAL }
        // An array without `release` is the end.
        array.initialize(to: ArrowArray())
        do {
            if let batch = try source.next() { exportBatch(batch, to: array) }
            return 0
        } catch {
            source.remember(error)
            return EIO
        }
    }
    place.pointee.get_last_error = { stream in UnsafePointer(batchSource(stream)?.lastError) }
    place.pointee.release = { stream in
        guard let stream, stream.pointee.release != nil else { return }
        if let data = stream.pointee.private_data { Unmanaged<BatchSource>.fromOpaque(data).release() }
        stream.pointee.private_data = nil
        stream.pointee.release = nil
        StructCounts.countReleased()
    }
    StructCounts.countExported()
}

private func batchSource(_ stream: UnsafeMutablePointer<ArrowArrayStream>?) -> BatchSource? {
    guard let data = stream?.pointee.private_data else { return nil }
    return Unmanaged<BatchSource>.fromOpaque(data).takeUnretainedValue()
}
