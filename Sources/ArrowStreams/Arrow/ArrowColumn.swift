// SPDX-License-Identifier: GPL-2.0-or-later

import CArrow

/// The values of one column of a batch: pointers, and the object that owns the memory they point to.
struct ArrowColumn {
    var length: Int
    var nullCount = 0
    /// The validity bitmap or nil, then the buffers that the type has.
    var buffers: [UnsafeRawPointer?]
    /// Lives at least as long as the consumer holds the column.
    var owner: AnyObject
    /// The values of a column of names.
    var dictionary: DictionaryColumn?
}

/// The values that the indexes of a column of names stand for.
struct DictionaryColumn {
    var length: Int
    var buffers: [UnsafeRawPointer?]
    var owner: AnyObject
}

extension DictionaryColumn {
    /// The values of a column of text.
    init(_ texts: ArrowColumn) { self.init(length: texts.length, buffers: texts.buffers, owner: texts.owner) }
}

/// Rows of a stream.
struct RecordBatch {
    var rows: Int
    var columns: [ArrowColumn]
}

// MARK: - Export of values

/// Fills in a record batch.
///
/// The batch itself owns nothing: each column holds its own memory, so that a consumer may move one out of the batch and
/// release the rest.
func exportBatch(_ batch: RecordBatch, to place: UnsafeMutablePointer<ArrowArray>) {
    let children = batch.columns.map { column in
        let child = newArray(length: column.length, buffers: column.buffers, owner: column.owner)
        child.pointee.null_count = Int64(column.nullCount)
        if let names = column.dictionary {
            child.pointee.dictionary = newArray(length: names.length, buffers: names.buffers, owner: names.owner)
        }
        return child
    }
    let array = newArray(length: batch.rows, buffers: [nil], owner: nil)
    array.pointee.n_children = Int64(children.count)
    array.pointee.children = copied(children)
    place.moveInitialize(from: array, count: 1)
    array.deallocate()
}

private func newArray(
    length: Int, buffers: [UnsafeRawPointer?], owner: AnyObject?
) -> UnsafeMutablePointer<ArrowArray> {
    let array = UnsafeMutablePointer<ArrowArray>.allocate(capacity: 1)
    array.initialize(to: ArrowArray())
    array.pointee.length = Int64(length)
    array.pointee.n_buffers = Int64(buffers.count)
    array.pointee.buffers = .allocate(capacity: buffers.count)
    array.pointee.buffers.initialize(from: buffers, count: buffers.count)
    array.pointee.private_data = owner.map { Unmanaged.passRetained($0).toOpaque() }
    array.pointee.release = releaseArray
    StructCounts.countExported()
    return array
}

private func releaseArray(_ array: UnsafeMutablePointer<ArrowArray>?) {
    guard let array, array.pointee.release != nil else { return }
    for index in 0..<Int(array.pointee.n_children) {
        guard let child = array.pointee.children[index] else { continue }
        // nil if the consumer has moved the child out.
        child.pointee.release?(child)
        child.deallocate()
    }
    array.pointee.children?.deallocate()
    if let dictionary = array.pointee.dictionary {
        dictionary.pointee.release?(dictionary)
        dictionary.deallocate()
    }
    array.pointee.buffers?.deallocate()
    if let owner = array.pointee.private_data { Unmanaged<AnyObject>.fromOpaque(owner).release() }
    array.pointee.release = nil
    StructCounts.countReleased()
}
