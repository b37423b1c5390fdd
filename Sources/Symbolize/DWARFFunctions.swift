// SPDX-License-Identifier: GPL-2.0-or-later

import CElfutils

/// A function, or a copy of one that was inlined, as DWARF describes it.
struct FunctionNode: Sendable, BitwiseCopyable {
    static let noParent = UInt32.max

    var name: StringPool.ID
    /// Where the call stood that was inlined (inlined copies only).
    var callFile: StringPool.ID
    var callLine: UInt32
    /// The node that this one was inlined into; `noParent` for a function.
    var parent: UInt32
    /// The lowest address of its code.
    var low: UInt64

    var isInlined: Bool { parent != FunctionNode.noParent }
}

/// Collects the functions and inlined copies of a DWARF file, unit by unit.
///
/// The walk enters only what can hold code: functions, inlined copies, lexical blocks and namespaces. It goes through
/// the entries of a unit in the order in which they stand in the file and never back, so that damaged sibling
/// references cannot make it run in circles.
struct DWARFFunctions {
    private(set) var nodes: [FunctionNode] = []
    private(set) var intervals: [Interval] = []
    /// Units that could not be read to their end.
    private(set) var damagedUnits = 0

    /// Deeper nesting than this is damage (a compiler's stays below 50).
    private static let depthLimit = 512

    /// How many more ranges there may be: shared range lists could multiply without a bound otherwise.
    private var rangeBudget: Int
    private var nameOfOrigin: [UnsafeRawPointer: StringPool.ID] = [:]
    private var nameOfText: [UnsafeRawPointer: StringPool.ID] = [:]

    init(rangeBudget: Int) {
        self.rangeBudget = rangeBudget
    }

    private struct Level {
        var entry: Dwarf_Die
        var node: UInt32
    }

    /// Walks one compilation unit.
    mutating func walk(
        unit: Dwarf_Die, image: borrowing ELFImage, files: inout FileNames, names: inout StringPool
    ) {
        var unit = unit
        var entry = Dwarf_Die()
        guard dwarf_child(&unit, &entry) == 0 else { return }
        var levels: [Level] = []
        var node = FunctionNode.noParent
        var furthest = dwarf_dieoffset(&unit)
        while true {
            let offset = dwarf_dieoffset(&entry)
            guard offset > furthest, levels.count < DWARFFunctions.depthLimit, rangeBudget > 0 else {
                damagedUnits += 1
                return
            }
            furthest = offset
            if let inner = visit(&entry, within: node, depth: levels.count, image, &files, &names) {
                var child = Dwarf_Die()
                switch dwarf_child(&entry, &child) {
                case 0:
                    levels.append(Level(entry: entry, node: node))
                    node = inner
                    entry = child
                    continue
                case -1:
                    damagedUnits += 1
                    return
                default:
                    break
                }
            }
            while true {
                var sibling = Dwarf_Die()
                let result = dwarf_siblingof(&entry, &sibling)
                if result == 0 {
                    entry = sibling
                    break
                }
                if result < 0 {
                    damagedUnits += 1
                    return
                }
                guard let level = levels.popLast() else { return }
                entry = level.entry
                node = level.node
            }
        }
    }

    /// Notes what the entry describes; returns the node that its children belong to, or `nil` when they need not be
    /// looked at.
    private mutating func visit(
        _ entry: inout Dwarf_Die, within node: UInt32, depth: Int, _ image: borrowing ELFImage,
        _ files: inout FileNames, _ names: inout StringPool
    ) -> UInt32? {
        switch Int(dwarf_tag(&entry)) {
        case DW_TAG_namespace, DW_TAG_lexical_block:
            return node
        case DW_TAG_subprogram:
            return add(&entry, parent: FunctionNode.noParent, depth: depth, image, &files, &names)
        case DW_TAG_inlined_subroutine:
            return add(&entry, parent: node, depth: depth, image, &files, &names)
        default:
            return nil
        }
    }

    /// Adds the node and its ranges; `nil` when it has no code.
    private mutating func add(
        _ entry: inout Dwarf_Die, parent: UInt32, depth: Int, _ image: borrowing ELFImage,
        _ files: inout FileNames, _ names: inout StringPool
    ) -> UInt32? {
        let node = UInt32(nodes.count)
        guard let low = addRanges(&entry, node: node, depth: depth, image) else { return nil }
        var made = FunctionNode(
            name: name(&entry, &names), callFile: 0, callLine: 0, parent: parent, low: low)
        if parent != FunctionNode.noParent {
            made.callLine = UInt32(clamping: number(&entry, DW_AT_call_line) ?? 0)
            if let index = number(&entry, DW_AT_call_file) { made.callFile = files.name(index, &names) }
        }
        nodes.append(made)
        return node
    }

    /// Notes the entry's address ranges as far as they lie in the file's code (what the linker dropped has its
    /// addresses near 0); returns the lowest address.
    private mutating func addRanges(
        _ entry: inout Dwarf_Die, node: UInt32, depth: Int, _ image: borrowing ELFImage
    ) -> UInt64? {
        var base: Dwarf_Addr = 0
        var start: Dwarf_Addr = 0
        var end: Dwarf_Addr = 0
        var low: UInt64?
        var offset = dwarf_ranges(&entry, 0, &base, &start, &end)
        while offset > 0 {
            rangeBudget -= 1
            guard rangeBudget > 0 else { return low }
            if start < end && image.isText(start) {
                intervals.append(Interval(low: start, high: end, depth: UInt32(depth), value: node))
                low = min(low ?? .max, start)
            }
            offset = dwarf_ranges(&entry, offset, &base, &start, &end)
        }
        return low
    }

    private func number(_ entry: inout Dwarf_Die, _ attribute: Int) -> UInt64? {
        var found = Dwarf_Attribute()
        var value: Dwarf_Word = 0
        guard dwarf_attr(&entry, UInt32(attribute), &found) != nil, dwarf_formudata(&found, &value) == 0 else {
            return nil
        }
        return value
    }

    /// The linkage name or else the name, of the entry itself or of what it is a copy of.
    private mutating func name(_ entry: inout Dwarf_Die, _ names: inout StringPool) -> StringPool.ID {
        var attribute = Dwarf_Attribute()
        var origin = Dwarf_Die()
        guard dwarf_attr(&entry, UInt32(DW_AT_abstract_origin), &attribute) != nil,
            dwarf_formref_die(&attribute, &origin) != nil, let key = UnsafeRawPointer(origin.addr)
        else { return text(of: &entry, &names) }
        if let known = nameOfOrigin[key] { return known }
        let found = text(of: &entry, &names)
        nameOfOrigin[key] = found
        return found
    }

    private mutating func text(of entry: inout Dwarf_Die, _ names: inout StringPool) -> StringPool.ID {
        for kind in [DW_AT_linkage_name, DW_AT_MIPS_linkage_name, DW_AT_name] {
            var attribute = Dwarf_Attribute()
            guard dwarf_attr_integrate(&entry, UInt32(kind), &attribute) != nil,
                let text = dwarf_formstring(&attribute)
            else { continue }
            let key = UnsafeRawPointer(text)
            if let known = nameOfText[key] { return known }
            let id = names.intern(text)
            nameOfText[key] = id
            return id
        }
        return 0
    }
}

/// The source files of one unit, by their numbers in it.
struct FileNames {
    private var table: OpaquePointer?
    private var known: [UInt64: StringPool.ID] = [:]

    init(unit: Dwarf_Die) {
        var unit = unit
        var count = 0
        if dwarf_getsrcfiles(&unit, &table, &count) != 0 { table = nil }
    }

    /// The name of file number `index`; 0 where there is none.
    mutating func name(_ index: UInt64, _ names: inout StringPool) -> StringPool.ID {
        if let id = known[index] { return id }
        guard let table, let index = Int(exactly: index) else { return 0 }
        let id = names.intern(dwarf_filesrc(table, index, nil, nil))
        known[UInt64(index)] = id
        return id
    }
}
