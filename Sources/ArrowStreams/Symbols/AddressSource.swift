// SPDX-License-Identifier: GPL-2.0-or-later

import Symbolize

/// Addresses that a caller has, as a stream of one column.
final class AddressSource: BatchSource {
    static let name = "address"
    static let column = ColumnDefinition(name, .int64, isCode: true, "the address")
    private static let rowLimit = 1 << 16

    private let addresses: [UInt64]
    /// One byte of value 1 for each known address; empty if all are known.
    private let isKnown: [Bool]
    private var place = 0

    init(_ addresses: [UInt64], isKnown: [Bool] = []) {
        self.addresses = addresses
        self.isKnown = isKnown
        super.init(columns: [AddressSource.column])
    }

    override func next() throws -> RecordBatch? {
        guard place < addresses.count else { return nil }
        let rows = place..<min(place + AddressSource.rowLimit, addresses.count)
        place = rows.upperBound
        var builder = ColumnBuilder(.int64)
        for row in rows {
            if isKnown.isEmpty || isKnown[row] { builder.append(addresses[row]) } else { builder.appendNull() }
        }
        return RecordBatch(rows: rows.count, columns: [builder.finish()])
    }
}

/// The inline chains of addresses, one row a frame.
final class FrameSource: TableSource<FrameRow> {
    private let addresses: [UInt64]
    private let symbolizer: Symbolizer
    private var place = 0

    init(_ addresses: [UInt64], _ symbols: RunSymbols, _ request: StreamRequest) throws(RequestError) {
        self.addresses = addresses
        symbolizer = symbols.symbolizer
        super.init(try request.choose(FrameRow.columns) { $0.definition.name })
    }

    override func produce() throws -> Bool {
        guard place < addresses.count else { return false }
        let address = addresses[place]
        if let found = symbolizer.symbolize(address)?.shortened {
            var frames = found.frames
            if frames.isEmpty, let symbol = found.displayedSymbol {
                frames = [SourceFrame(function: symbol, file: nil, line: 0, isInlined: false, offset: found.offset)]
            }
            for (depth, frame) in frames.enumerated() {
                append(FrameRow(row: place, depth: depth, address: address, module: found.module, frame: frame))
            }
        }
        place += 1
        return true
    }
}

/// A function that an address is in, or that was inlined there.
struct FrameRow {
    var row: Int
    var depth: Int
    var address: UInt64
    var module: String
    var frame: SourceFrame

    static var columns: [TableColumn<FrameRow>] {
        [
            .init(.init("row", "number of the address among those asked for, from 0")) { $1.append(Int64($0.row)) },
            .init(.init("depth", .int32, "0 for the innermost function")) { $1.append(Int64($0.depth)) },
            .init(.init("address", "the address")) { $1.append($0.address) },
            .init(.init("function", .text, "the function")) { $1.append($0.frame.displayedFunction) },
            .init(.init("offset", unit: "bytes", "from the function's lowest address; null if that is not known")) {
                $1.append($0.frame.offset)
            },
            .init(.init("file", .text, "the source file")) { $1.append($0.frame.file) },
            .init(.init("line", .int32, "of the instruction, or of the call that was inlined; null if it is not known"))
            {
                if $0.frame.line > 0 { $1.append(Int64($0.frame.line)) } else { $1.appendNull() }
            },
            .init(.init("is_inlined", .flag, "whether the function is inlined into the next row's")) {
                $1.append($0.frame.isInlined)
            },
            .init(.init("module", .text, "the symbol file")) { $1.append($0.module) },
        ]
    }
}
