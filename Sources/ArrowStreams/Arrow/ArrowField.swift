// SPDX-License-Identifier: GPL-2.0-or-later

import CArrow
import Glibc

/// The type of a column. Numbers are signed: engines subtract them without overflow, and Spark has no unsigned ones.
enum ColumnType: String, Sendable {
    case int64
    case int32
    /// True or false, one bit each.
    case flag = "bool"
    case text
    case binary
    /// Text from a short list: an index of 8 bits into a dictionary.
    case name = "dictionary"
    /// Text from a list that each batch has: an index of 32 bits into a dictionary.
    case longName = "dictionary32"

    /// The format string of the Arrow C data interface.
    var format: String {
        switch self {
        case .int64: "l"
        case .int32: "i"
        case .flag: "b"
        case .text: "u"
        case .binary: "z"
        case .name: "C"
        case .longName: "i"
        }
    }
}

/// A column of a stream: its name and meaning.
struct ColumnDefinition: Sendable {
    var name: String
    var type: ColumnType
    /// The unit of a number; nil for a number without one.
    var unit: String?
    /// Whether it has addresses of code, which symbol files can name.
    var isCode = false
    /// The meaning; a phrase without a full stop.
    var summary: String

    init(
        _ name: String, _ type: ColumnType = .int64, unit: String? = nil, isCode: Bool = false, _ summary: String
    ) {
        (self.name, self.type, self.unit, self.isCode, self.summary) = (name, type, unit, isCode, summary)
    }

    /// A column of 64-bit numbers without a unit.
    init(_ name: String, _ summary: String) { self.init(name, .int64, summary) }
}

// MARK: - Export of types

/// Fills in the type of a record batch with these columns.
func exportSchema(_ columns: [ColumnDefinition], to place: UnsafeMutablePointer<ArrowSchema>) {
    let children = columns.map { column in
        let child = newSchema(format: column.type.format, name: column.name, flags: Int64(ARROW_FLAG_NULLABLE))
        if column.type == .name || column.type == .longName {
            child.pointee.dictionary = newSchema(format: ColumnType.text.format, name: "")
        }
        return child
    }
    let batch = newSchema(format: "+s", name: "")
    batch.pointee.n_children = Int64(children.count)
    batch.pointee.children = copied(children)
    place.moveInitialize(from: batch, count: 1)
    batch.deallocate()
}

private func newSchema(format: String, name: String, flags: Int64 = 0) -> UnsafeMutablePointer<ArrowSchema> {
    let schema = UnsafeMutablePointer<ArrowSchema>.allocate(capacity: 1)
    schema.initialize(to: ArrowSchema())
    schema.pointee.format = UnsafePointer(strdup(format))
    schema.pointee.name = UnsafePointer(strdup(name))
    schema.pointee.flags = flags
    schema.pointee.release = releaseSchema
    StructCounts.countExported()
    return schema
}

private func releaseSchema(_ schema: UnsafeMutablePointer<ArrowSchema>?) {
    guard let schema, schema.pointee.release != nil else { return }
    for index in 0..<Int(schema.pointee.n_children) {
        guard let child = schema.pointee.children[index] else { continue }
        child.pointee.release?(child)
        child.deallocate()
    }
    schema.pointee.children?.deallocate()
    if let dictionary = schema.pointee.dictionary {
        dictionary.pointee.release?(dictionary)
        dictionary.deallocate()
    }
    free(UnsafeMutableRawPointer(mutating: schema.pointee.format))
    free(UnsafeMutableRawPointer(mutating: schema.pointee.name))
    schema.pointee.release = nil
    StructCounts.countReleased()
}

/// A C array of these elements, for a structure that deallocates it.
func copied<Element>(_ elements: [Element]) -> UnsafeMutablePointer<Element?> {
    let result = UnsafeMutablePointer<Element?>.allocate(capacity: max(elements.count, 1))
    for (index, element) in elements.enumerated() { (result + index).initialize(to: element) }
    return result
}
