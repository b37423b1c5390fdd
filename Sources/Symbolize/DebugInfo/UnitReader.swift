// SPDX-License-Identifier: GPL-2.0-or-later

import CElfutils

/// Reads units one after the other and collects what they say about code: functions and inlined copies, their address
/// ranges, line rows. One thread has one reader; their results are put together afterwards.
struct UnitReader {
    /// What one unit gave: parts of the reader's arrays.
    struct Result {
        /// Where the unit is in the file.
        var unit: UInt64
        var intervals: Range<Int>
        var sequences: Range<Int>
    }

    /// What the walk returns to when it has seen all children of an entry.
    struct Level {
        var entry: Dwarf_Die
        var node: UInt32
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

    let text: [Range<UInt64>]
    private let info: DebugInfo
    /// How many more ranges there may be: shared range lists could multiply without a bound otherwise.
    var rangeBudget: Int
    /// How many more line rows there may be: damaged units could share a line program at different offsets.
    var rowBudget: Int
    /// Whether line programs are read: not if they are far too large.
    let readsLines: Bool
    /// Units that share a line program (partial units) must not repeat it.
    var seenPrograms: Set<OpaquePointer> = []
    /// What libdw returned stays where it is as long as `info` lives, so that addresses identify entries and strings.
    var nameOfEntry = AddressMap()
    var nameOfText = AddressMap()
    /// Whether the unit that is being read is C++.
    var isCXX = false
    /// The compilation directory of the unit that is being read.
    var directory: UnsafePointer<CChar>?
    /// Scratch of the walk.
    var levels: [Level] = []

    init(_ info: DebugInfo, text: [Range<UInt64>], fileSize: Int) {
        self.info = info
        self.text = text
        // The upper half of the numbers marks names that are no linkage names.
        names = StringPool(limit: min(fileSize &* 8 &+ 1 << 20, 1 << 31))
        readsLines = info.excessiveLines(text: text) == nil
        rangeBudget = fileSize
        rowBudget = fileSize &* 2
    }

    /// Whether the debug information could be opened.
    var canRead: Bool { info.dwarf != nil }

    /// Whether a first entry is that of a unit with code; partial units and units of types have none.
    static func isCompileUnit(_ entry: inout Dwarf_Die) -> Bool {
        let tag = Int(dwarf_tag(&entry))
        return tag == DW_TAG_compile_unit || tag == DW_TAG_skeleton_unit
    }

    mutating func read(_ unit: DebugInfo.Unit) {
        guard var entry = info.firstEntry(of: unit) else {
            damagedUnits += 1
            return
        }
        let start = entry.addr
        defer { info.release(unit, entry: start) }
        guard UnitReader.isCompileUnit(&entry) else { return }
        compileUnits += 1
        directory = UnitReader.string(&entry, DW_AT_comp_dir)
        if let name = splitName(of: &entry), !info.canOpenSplitFile(name, directory: directory) {
            missing.append(String(cString: name))
            return
        }
        let (firstInterval, firstSequence) = (intervals.count, sequences.count)
        var isWhole = readLines(&entry)
        if var body = body(of: &entry) { isWhole = walk(&body) && isWhole }
        if !isWhole { damagedUnits += 1 }
        results.append(
            Result(
                unit: unit.entry, intervals: firstInterval..<intervals.count, sequences: firstSequence..<sequences.count
            ))
    }

    /// The unit that has the functions: the split unit of a skeleton; `nil` if it was not found.
    private mutating func body(of entry: inout Dwarf_Die) -> Dwarf_Die? {
        var split = Dwarf_Die()
        guard dwarf_cu_info(entry.cu, nil, nil, nil, &split, nil, nil, nil) == 0 else { return entry }
        if Int(dwarf_tag(&split)) == DW_TAG_compile_unit { return split }
        guard dwarf_haschildren(&entry) == 0 else { return entry }
        guard let name = splitName(of: &entry) else { return entry }
        missing.append(String(cString: name))
        return nil
    }

    /// The file of a skeleton's split unit.
    private func splitName(of entry: inout Dwarf_Die) -> UnsafePointer<CChar>? {
        UnitReader.string(&entry, DW_AT_dwo_name) ?? UnitReader.string(&entry, DW_AT_GNU_dwo_name)
    }

    private static func string(_ entry: inout Dwarf_Die, _ name: Int) -> UnsafePointer<CChar>? {
        var attribute = Dwarf_Attribute()
        guard dwarf_attr(&entry, UInt32(name), &attribute) != nil else { return nil }
        return dwarf_formstring(&attribute)
    }
}
