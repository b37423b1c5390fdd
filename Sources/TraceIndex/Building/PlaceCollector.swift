// SPDX-License-Identifier: GPL-2.0-or-later

import Symbolize

/// Names addresses, each once, and fills the tables of places, functions and files.
struct PlaceCollector {
    private let symbolizer: Symbolizer
    private let insertPlace: Statement
    private let insertFunction: Statement
    private let insertFile: Statement
    private var known: Set<UInt64> = []
    private var waiting: [UInt64] = []
    private var functions: [Function: Int64] = [:]
    private var files: [String: Int64] = [:]

    private struct Function: Hashable {
        var name: String
        var module: String
        var address: UInt64
    }

    /// The number of addresses after which known addresses are forgotten and looked up again: memory stays bounded for
    /// any log.
    private static let limit = 1 << 20

    /// - Parameter database: May have places already.
    private init(_ symbolizer: Symbolizer, _ database: Database) throws(SQLError) {
        self.symbolizer = symbolizer
        insertPlace = try database.prepare("INSERT OR IGNORE INTO _place VALUES (?, ?, ?, ?, ?, ?)")
        insertFunction = try database.prepare("INSERT INTO _function VALUES (?, ?, ?, ?)")
        insertFile = try database.prepare("INSERT INTO _file VALUES (?, ?)")
        let functions = try database.prepare("SELECT name, module, address, id FROM _function")
        while try functions.step() {
            let function = Function(
                name: functions.text(0) ?? "", module: functions.text(1) ?? "",
                address: UInt64(bitPattern: functions.integer(2)))
            self.functions[function] = functions.integer(3)
        }
        let files = try database.prepare("SELECT name, id FROM _file")
        while try files.step() { self.files[files.text(0) ?? ""] = files.integer(1) }
    }

    /// Names the addresses that a query finds.
    static func name(_ query: String, _ symbolizer: Symbolizer, in database: Database) throws(SQLError) {
        var places = try PlaceCollector(symbolizer, database)
        let addresses = try database.prepare(query)
        while try addresses.step() { places.add(UInt64(bitPattern: addresses.integer(0))) }
        try places.flush()
    }

    /// Takes an address; it is named at the next ``flush()``.
    private mutating func add(_ address: UInt64) {
        if known.insert(address).inserted { waiting.append(address) }
    }

    /// Names the addresses that were added.
    private mutating func flush() throws(SQLError) {
        for address in waiting {
            guard let found = symbolizer.symbolize(address) else { continue }
            try insert(address, found)
        }
        waiting.removeAll(keepingCapacity: true)
        if known.count > PlaceCollector.limit { known.removeAll() }
    }

    private mutating func insert(_ address: UInt64, _ found: Symbolized) throws(SQLError) {
        let frame = found.frames.first
        let outer = found.frames.last
        let offset = found.symbol != nil ? found.offset : outer?.offset ?? 0
        var function: Int64?
        if let name = found.symbol ?? (outer?.isInlined == false ? outer?.function : nil) {
            function = try id(Function(name: name, module: found.module, address: address &- offset))
        }
        insertPlace.bind(1, bits: address)
        insertPlace.bind(2, function)
        insertPlace.bind(3, bits: offset)
        insertPlace.bind(4, try frame?.file.map { file throws(SQLError) in try id(file) })
        insertPlace.bind(5, frame.flatMap { $0.line == 0 ? nil : Int64($0.line) })
        insertPlace.bind(6, found.label.isEmpty ? nil : found.label)
        try insertPlace.run()
    }

    private mutating func id(_ function: Function) throws(SQLError) -> Int64 {
        if let known = functions[function] { return known }
        let id = Int64(functions.count + 1)
        functions[function] = id
        insertFunction.bind(1, id)
        insertFunction.bind(2, function.name)
        insertFunction.bind(3, function.module)
        insertFunction.bind(4, bits: function.address)
        try insertFunction.run()
        return id
    }

    private mutating func id(_ file: String) throws(SQLError) -> Int64 {
        if let known = files[file] { return known }
        let id = Int64(files.count + 1)
        files[file] = id
        insertFile.bind(1, id)
        insertFile.bind(2, file)
        try insertFile.run()
        return id
    }
}
