// SPDX-License-Identifier: GPL-2.0-or-later

import Formatting

/// A table that is made as far as it is asked: only of the units that describe the addresses asked for. Where that
/// would be too many, of all.
///
/// What the table says about an address that it covers is what the whole table would say: it has all units that
/// describe the address, and all symbols that could own it.
///
/// A file of a few million entries takes a second to read, and most questions touch a few units of thousands. Reading
/// these again in each run could cost more in the end: what was read is kept, and grows from run to run until it is a
/// certain part of all; then all is read.
final class TableOnDemand: @unchecked Sendable {
    /// So often the table is made anew before all units are read: each time costs a few milliseconds.
    private static let growthLimit = 32
    /// For fewer units another thread does not pay.
    private static let fewestUnitsForThreads = 8

    private let source: TableSource
    /// `nil` if the table is whole.
    private var info: DebugInfo?
    private let text: [Range<UInt64>]
    private var map: UnitMap
    /// Bytes of units that may be read before all are.
    private let limit: UInt64
    private var readers: [UnitReader] = []
    /// The headers of the units that the table is made of.
    private var units: Set<UInt64>
    /// Those among them that the readers have read; the others are in a table that was kept.
    private var readUnits: Set<UInt64> = []
    private var readSize: UInt64 = 0
    private var covered: [Range<UInt64>]
    private var growths = 0

    private(set) var table: SymbolTable
    /// What is wrong with the file although it serves.
    private(set) var warnings: [SymbolError]
    private var found: [SymbolError] = []
    private(set) var isWhole = false
    private var isKept = true

    /// `nil` if the file has less than `smallest` bytes of units: then all of it is read as fast.
    ///
    /// - Parameter largestPart: Which part of the units, by bytes, is read on demand before all are.
    init?(_ source: TableSource, smallest: Int, largestPart: Double) {
        var source = source
        let image = source.debugImage
        let info = source.openDebugInfo()
        let size = info.section(".debug_info").count
        guard info.dwarf != nil, size >= smallest, size > 0 else { return nil }
        var kept = source.kept(part: true)
        if kept == nil {
            source.verify()
            guard source.debugImage === image else { return nil }
        }
        text = source.text
        if kept == nil {
            kept = TableBuilder.assemble(
                [], TableBuilder.Symbols(source.images, text: text, part: []), text: text,
                lowestSegment: source.program.lowestSegment, part: TableBuilder.Part())
        }
        guard let table = kept else { return nil }
        self.table = table
        (self.source, self.info, map) = (source, info, UnitMap(info))
        limit = UInt64(Double(size) * min(max(largestPart, 0), 1))
        warnings = source.warnings
        covered = table.covered
        units = table.units
    }

    /// Every symbol of the file, and nothing of its units.
    private(set) lazy var symbolTable: SymbolTable? = TableBuilder.assemble(
        [], TableBuilder.Symbols(source.images, text: text), text: text, lowestSegment: source.program.lowestSegment)

    /// Makes the table cover addresses of the file; those outside of its code are covered always.
    ///
    /// - Returns: Whether the table is another one now.
    func extend(to addresses: some Sequence<UInt64>) throws(SymbolError) -> Bool {
        guard !isWhole else { return false }
        switch grow(to: addresses) {
        case .enough: return false
        case .grown: return true
        case .tooMuch:
            try complete()
            return true
        }
    }

    private enum Growth { case enough, grown, tooMuch }

    private func grow(to addresses: some Sequence<UInt64>) -> Growth {
        guard let info else { return .enough }
        var more: [Range<UInt64>] = []
        var wanted: [DebugInfo.Unit] = []
        var last: Range<UInt64> = 0..<0
        for address in addresses where !last.contains(address) {
            guard text.containsSorted(address), !covered.containsSorted(address) else { continue }
            guard let found = map.find(address, info), want(found.units, &wanted, info) else { return .tooMuch }
            last = found.around
            more.append(last)
        }
        guard !more.isEmpty else { return .enough }
        growths += 1
        guard growths <= TableOnDemand.growthLimit else { return .tooMuch }
        // Those of a table that was kept have to be read again.
        guard want(units.sorted(), &wanted, info), let table = read(wanted, covering: more, info) else {
            return .tooMuch
        }
        self.table = table
        isKept = false
        note(TableBuilder.warnings(readers, info, source))
        return .grown
    }

    /// Adds units to those that are to be read; `false` when they have become too many.
    private func want(_ headers: [UInt64], _ wanted: inout [DebugInfo.Unit], _ info: DebugInfo) -> Bool {
        for header in headers where readUnits.insert(header).inserted {
            // If there is none, the section that names it is damaged.
            guard let unit = info.unit(header: header) else { return false }
            readSize &+= unit.size
            wanted.append(unit)
        }
        return readSize <= limit
    }

    /// Reads units; the table of all units read so far, which covers these addresses too.
    private func read(_ new: [DebugInfo.Unit], covering more: [Range<UInt64>], _ info: DebugInfo) -> SymbolTable? {
        read(new, info)
        units = readUnits
        covered = (covered + more + map.stretches(of: Set(new.map(\.header)))).joinedRanges()
        return TableBuilder.assemble(
            readers, TableBuilder.Symbols(source.images, text: text, part: covered), text: text,
            lowestSegment: source.program.lowestSegment,
            part: TableBuilder.Part(covered: covered, units: units.sorted()))
    }

    private func read(_ new: [DebugInfo.Unit], _ info: DebugInfo) {
        let threads = new.count < TableOnDemand.fewestUnitsForThreads ? 1 : max(1, Parallel.threadCount)
        let (source, text, size) = (source, text, source.size(info))
        if readers.isEmpty { readers = [UnitReader(info, text: text, fileSize: size)] }
        readers = TableBuilder.read(new, with: readers, threads: threads) { _ in
            UnitReader(source.openDebugInfo(), text: text, fileSize: size)
        }
    }

    /// Reads all units.
    func complete() throws(SymbolError) {
        guard !isWhole else { return }
        // Their memory is wanted now.
        (info, readers) = (nil, [])
        (isWhole, isKept) = (true, true)
        let (table, found) = try source.build()
        self.table = table
        note(found)
    }

    /// Keeps the table, if it has become another one.
    func keep() {
        guard !isKept else { return }
        isKept = true
        if let unkept = source.keep(table, found: found, part: true) { warnings.append(unkept) }
    }

    /// One warning of a kind: what is wrong may come to light bit by bit.
    private func note(_ new: [SymbolError]) {
        for warning in new where !found.contains(where: { $0.isLike(warning) }) {
            found.append(warning)
            warnings.append(warning)
        }
    }
}
