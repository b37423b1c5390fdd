// SPDX-License-Identifier: GPL-2.0-or-later

import Symbolize

/// Joins the stretches that were run with the functions and lines of the files.
struct CoverageBuilder {
    /// The largest count of one line in one copy of a function.
    private struct Record: BitwiseCopyable {
        var file: UInt32
        var line: UInt32
        var function: UInt32
        var copy: UInt32
        var count: UInt64

        var key: (UInt32, UInt32, UInt32, UInt32) { (file, line, function, copy) }
    }

    /// A function of one module while it is put together.
    private struct Entry {
        var name: UInt32
        var file: UInt32
        /// The lowest of its own lines, and of the lines that call functions inlined into it; `.max` if there is none.
        var line: UInt32 = .max
        var callLine: UInt32 = .max
        var count: UInt64 = 0
        var lines = 0
        var reachedLines = 0
    }

    private struct Name: Hashable {
        var name: UInt32
        var file: UInt32
    }

    private struct FileParts {
        var functions: [Coverage.Function] = []
        var lines: [Int: UInt64] = [:]
    }

    private static let noFunction = UInt32.max
    /// Deeper inlining is damage.
    private static let depthLimit = 512

    private let symbolizer: Symbolizer
    private var executed: ExecutionCounts
    private var parts: [String?: FileParts] = [:]
    // State of the file that is being added.
    private var entries: [Entry] = []
    private var entryOfName: [Name: UInt32] = [:]
    private var copyCount: UInt32 = 0
    /// The entry that a copy belongs to, and the copy's number; of one module.
    private var places: [CodeFunction.ID: (entry: UInt32, copy: UInt32)] = [:]

    init(_ symbolizer: Symbolizer, _ executed: ExecutionCounts) {
        self.symbolizer = symbolizer
        self.executed = executed
    }

    /// Adds a file by its modules: one for each place at which it was loaded in the run, each with copies of all
    /// functions.
    mutating func add(modules: [Int]) {
        guard let first = modules.first else { return }
        entries = []
        entryOfName = [:]
        copyCount = 0
        var records: [Record] = []
        for module in modules { addPieces(of: module, to: &records) }
        records.sort { $0.key < $1.key }
        takeLines(records, module: first)
        takeFunctions(module: first)
    }

    private mutating func addPieces(of module: Int, to records: inout [Record]) {
        places = [:]
        var last: (id: CodeFunction.ID, entry: UInt32, copy: UInt32)?
        symbolizer.forEachPiece(module: module) { piece in
            var place = (entry: CoverageBuilder.noFunction, copy: CoverageBuilder.noFunction)
            if let id = piece.function {
                if let last, last.id == id {
                    place = (last.entry, last.copy)
                } else {
                    place = self.place(of: id, file: piece.file, module: module)
                    last = (id, place.entry, place.copy)
                }
            }
            guard piece.file != 0, piece.line != 0 else { return }
            if place.entry != CoverageBuilder.noFunction, entries[Int(place.entry)].file == piece.file {
                entries[Int(place.entry)].line = min(entries[Int(place.entry)].line, piece.line)
            }
            records.append(
                Record(
                    file: piece.file, line: piece.line, function: place.entry, copy: place.copy,
                    count: executed.maximum(piece.low, piece.high)))
        }
    }

    /// The entry of a function or copy. It is made at the first use, with those that it was inlined into.
    private mutating func place(
        of id: CodeFunction.ID, file: UInt32, module: Int, depth: Int = 0
    ) -> (entry: UInt32, copy: UInt32) {
        if let known = places[id] { return known }
        guard depth < CoverageBuilder.depthLimit, let function = symbolizer.function(id, module: module) else {
            return (CoverageBuilder.noFunction, CoverageBuilder.noFunction)
        }
        let name = Name(name: function.name, file: file)
        let entry = entryOfName[name] ?? UInt32(entries.count)
        if entry == UInt32(entries.count) {
            entryOfName[name] = entry
            entries.append(Entry(name: function.name, file: file))
        }
        entries[Int(entry)].count &+= executed.count(at: function.entry)
        let found = (entry: entry, copy: copyCount)
        copyCount += 1
        places[id] = found
        if let parent = function.parent {
            let outer = place(of: parent, file: function.callFile, module: module, depth: depth + 1).entry
            if outer != CoverageBuilder.noFunction, entries[Int(outer)].file == function.callFile {
                entries[Int(outer)].callLine = min(entries[Int(outer)].callLine, function.callLine)
            }
        }
        return found
    }

    /// Lines: of each copy the largest count, of all copies the sum.
    private mutating func takeLines(_ records: [Record], module: Int) {
        var index = 0
        var (path, file) = ("", 0 as UInt32)
        var lines: [Int: UInt64] = [:]
        while index < records.count {
            let first = records[index]
            if first.file != file {
                if file != 0 { merge(lines, into: path) }
                (path, file, lines) = (symbolizer.text(first.file, module: module), first.file, [:])
            }
            var sum: UInt64 = 0
            while index < records.count, records[index].line == first.line, records[index].file == file,
                records[index].function == first.function
            {
                let copy = records[index].copy
                var count: UInt64 = 0
                while index < records.count, records[index].copy == copy, records[index].line == first.line,
                    records[index].file == file, records[index].function == first.function
                {
                    count = max(count, records[index].count)
                    index += 1
                }
                sum &+= count
            }
            lines[Int(first.line), default: 0] &+= sum
            if first.function != CoverageBuilder.noFunction {
                entries[Int(first.function)].lines += 1
                entries[Int(first.function)].reachedLines += sum > 0 ? 1 : 0
            }
        }
        if file != 0 { merge(lines, into: path) }
    }

    private mutating func merge(_ lines: [Int: UInt64], into path: String) {
        parts[path, default: FileParts()].lines.merge(lines, uniquingKeysWith: &+)
    }

    private mutating func takeFunctions(module: Int) {
        for entry in entries where entry.name != 0 {
            let line = entry.line == .max ? entry.callLine : entry.line
            let path = entry.file == 0 ? nil : symbolizer.text(entry.file, module: module)
            let name = symbolizer.text(entry.name, module: module)
            parts[path, default: FileParts()].functions.append(
                Coverage.Function(
                    name: name, demangledName: symbolizer.demangles ? Demangler.demangle(name) : nil,
                    line: line == .max ? 0 : Int(line),
                    count: entry.count, lines: entry.lines, reachedLines: entry.reachedLines))
        }
    }

    /// Everything, in order.
    func files() -> [Coverage.File] {
        parts.map { path, parts in
            Coverage.File(
                path: path,
                functions: parts.functions.sorted { ($0.line, $0.name) < ($1.line, $1.name) },
                lines: parts.lines.map { Coverage.Line(number: $0, count: $1) }.sorted { $0.number < $1.number })
        }.sorted { first, second in
            guard let one = first.path, let other = second.path else { return first.path != nil }
            return one < other
        }
    }
}
