// SPDX-License-Identifier: GPL-2.0-or-later

/// The columns of imported rows that have a meaning of their own. All other names are those of an event's fields
/// (``EventDefinition/fields``), or are passed over.
enum RowColumn: Int, CaseIterable {
    case vcpu, brctr, icount
    // A branch.
    case from, to, label, isStatic
    // An event.
    case kind, stream, info, ip, rcx, registers, address, values, tsc, payload
    // Objects of JSON, and what marks a line as no row.
    case fields, schema, count

    /// The names in a header or in an object.
    var names: [String] {
        switch self {
        case .vcpu: ["vcpu"]
        case .brctr: ["brctr", "clock"]
        case .icount: ["icount"]
        case .from: ["from"]
        case .to: ["to"]
        case .label: ["label", "class"]
        case .isStatic: ["static"]
        case .kind: ["kind"]
        case .stream: ["stream"]
        case .info: ["info"]
        case .ip: ["ip"]
        case .rcx: ["rcx"]
        case .registers: ["registers"]
        case .address: ["address"]
        case .values: ["values"]
        case .tsc: ["tsc"]
        case .payload: ["payload"]
        case .fields: ["fields"]
        case .schema: ["schema"]
        case .count: ["count"]
        }
    }

    /// The meaning of a name.
    enum Target: Hashable {
        case column(RowColumn)
        /// A field of an event's kind, as an index of ``RowNames/fields``.
        case field(Int)
        /// What follows from other columns (`discontinuity`, `details`, places, ordinals, tickets), and unknown names.
        case nothing
    }
}

/// The names of columns and of the fields of events.
enum RowNames {
    /// The names of all fields that events of any kind have.
    static let fields: [String] = {
        var names: [String] = []
        for definition in EventDefinition.all {
            for field in definition.fields where !names.contains(field.name) { names.append(field.name) }
        }
        return names
    }()

    /// The meaning of a name in a header, or of a key outside of `fields`.
    static func target(_ name: UnsafeRawBufferPointer) -> RowColumn.Target { find(name, in: columns) ?? .nothing }

    /// The meaning of a key inside of `fields`.
    static func field(_ name: UnsafeRawBufferPointer) -> RowColumn.Target { find(name, in: fieldsOnly) ?? .nothing }

    private typealias Table = [[(name: [UInt8], target: RowColumn.Target)]]

    @inline(__always)
    private static func find(_ name: UnsafeRawBufferPointer, in table: Table) -> RowColumn.Target? {
        guard let first = name.first else { return nil }
        for entry in table[slot(name.count, first)] where entry.name.elementsEqual(name) { return entry.target }
        return nil
    }

    private static func slot(_ count: Int, _ first: UInt8) -> Int { (count &* 7 ^ Int(first)) & 63 }

    private static func table(_ names: [(name: String, target: RowColumn.Target)]) -> Table {
        var table = Table(repeating: [], count: 64)
        var known: Set<String> = []
        for (name, target) in names where known.insert(name).inserted {
            let bytes = Array(name.utf8)
            table[slot(bytes.count, bytes[0])].append((bytes, target))
        }
        return table
    }

    private static let fieldsOnly = table(fields.enumerated().map { ($0.element, .field($0.offset)) })

    // A column `source` holds source lines in the rows of our own tools.
    private static let columns = table(
        RowColumn.allCases.flatMap { column in column.names.map { ($0, .column(column)) } }
            + [("source", .nothing)] + fields.enumerated().map { ($0.element, .field($0.offset)) })
}

/// A value in a row: its bytes, without quotes. No bytes: the row does not have it.
struct RowCell {
    var start: UnsafePointer<UInt8>?
    var count = 0
    /// Whether the bytes contain escapes of JSON, or doubled quotes of CSV.
    var hasEscapes = false

    var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: start, count: count) }
    var isEmpty: Bool { count == 0 }
}

/// The values of one row, by column. They point into the line.
struct RowCells: ~Copyable {
    private let cells: UnsafeMutablePointer<RowCell>
    /// The fields of an event's kind that have a value.
    private(set) var fields: [(index: Int, value: RowCell)] = []

    /// The fields of a row at most; no kind of event has as many.
    private static let fieldLimit = 64

    init() {
        cells = .allocate(capacity: RowColumn.allCases.count)
        cells.initialize(repeating: RowCell(), count: RowColumn.allCases.count)
    }

    deinit { cells.deallocate() }

    mutating func clear() {
        cells.update(repeating: RowCell(), count: RowColumn.allCases.count)
        fields.removeAll(keepingCapacity: true)
    }

    subscript(column: RowColumn) -> RowCell {
        @inline(__always) get { cells[column.rawValue] }
    }

    @inline(__always)
    mutating func set(_ target: RowColumn.Target, _ value: RowCell) {
        switch target {
        case .column(let column): cells[column.rawValue] = value
        case .field(let index):
            if !value.isEmpty, fields.count < RowCells.fieldLimit { fields.append((index, value)) }
        case .nothing: break
        }
    }
}
