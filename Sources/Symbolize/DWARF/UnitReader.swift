// SPDX-License-Identifier: GPL-2.0-or-later

/// Reads units one after the other and collects what they say about code: functions and inlined copies, their address
/// ranges, line rows. One thread has one reader; their results are put together afterwards.
struct UnitReader {
    /// What one unit gave: parts of the reader's arrays.
    struct Result {
        var unit: Int
        var intervals: Range<Int>
        var sequences: Range<Int>
    }

    var names: StringPool
    var nodes: [FunctionNode] = []
    var intervals: [Interval] = []
    var rows: [LineRow] = []
    var sequences: [LineSequence] = []
    private(set) var results: [Result] = []
    /// Units that could not be read to their end.
    private(set) var damagedUnits = 0
    /// Split units that were not found, by the name of their file.
    private(set) var missing: [String] = []
    private(set) var compileUnits = 0

    let file: DWARFFile
    let text: [Range<UInt64>]
    private let split: SplitUnits
    var abbreviations: Abbreviations
    /// How many more ranges there may be: shared range lists could multiply without a bound otherwise.
    var rangeBudget: Int
    private var lineHeaderBudget: Int
    private var seenPrograms: Set<UInt64> = []
    /// Split files stay open: the maps below know their strings by address.
    private var kept: [DWARFFile] = []
    /// Units that other units refer to, by where they begin.
    var foreignUnits: [UnsafeRawPointer: Unit] = [:]
    var nameOfEntry = AddressMap()
    var nameOfText = AddressMap()
    /// Scratch of the walk.
    var levels: [UInt32] = []

    init(_ file: DWARFFile, text: [Range<UInt64>], split: SplitUnits, fileSize: Int) {
        self.file = file
        self.text = text
        self.split = split
        names = StringPool(limit: fileSize &* 8 &+ 1 << 20)
        abbreviations = Abbreviations(budget: fileSize &* 4 &+ 1 << 16)
        rangeBudget = fileSize
        lineHeaderBudget = file.line.count &* 16 &+ 1 << 16
    }

    /// Reads the unit with this index in `file.units`.
    mutating func read(_ index: Int) {
        let header = file.units[index]
        guard header.kind == UnitHeader.Kind.compile || header.kind == UnitHeader.Kind.skeleton else { return }
        guard let unit = Unit(header, in: file, &abbreviations) else {
            damagedUnits += 1
            return
        }
        guard unit.tag == DWARF.Tag.compileUnit || unit.tag == DWARF.Tag.skeletonUnit else { return }
        compileUnits += 1
        let (firstInterval, firstSequence) = (intervals.count, sequences.count)
        var isWhole = true
        var files = FileTable()
        if let offset = unit.lineProgram {
            if var program = lineProgram(file, at: offset, unit) {
                files = program.files
                if seenPrograms.insert(offset).inserted {
                    let text = text
                    isWhole = program.run(names: &names, rows: &rows, sequences: &sequences) {
                        text.containsSorted($0)
                    }
                }
            } else {
                isWhole = false
            }
        }
        isWhole = walk(unit, files: &files) && isWhole
        if !isWhole { damagedUnits += 1 }
        results.append(
            Result(
                unit: index, intervals: firstInterval..<intervals.count, sequences: firstSequence..<sequences.count))
    }

    private mutating func lineProgram(_ file: DWARFFile, at offset: UInt64, _ unit: Unit) -> LineProgram? {
        guard lineHeaderBudget > 0, let program = LineProgram(file, at: offset, unit: unit) else { return nil }
        lineHeaderBudget -= program.headerSize
        return program
    }

    /// Walks a unit or, where it is a skeleton, the split unit behind it.
    private mutating func walk(_ unit: Unit, files: inout FileTable) -> Bool {
        guard let splitName = unit.splitName, unit.children == nil else { return walk(unit, in: file, files: &files) }
        guard let (splitFile, header) = split.find(unit, of: file, &abbreviations) else {
            missing.append(String(cString: splitName))
            return true
        }
        kept.append(splitFile)
        guard let body = Unit(header, in: splitFile, &abbreviations, skeleton: unit) else { return false }
        // Split files have a table of files of their own where they need one.
        if splitFile.line.count > 0, let program = lineProgram(splitFile, at: body.lineProgram ?? 0, body) {
            files = program.files
        }
        return walk(body, in: splitFile, files: &files)
    }
}
