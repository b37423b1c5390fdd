// SPDX-License-Identifier: GPL-2.0-or-later

import CElfutils

/// The walk over a unit's entries.
///
/// It enters only what can hold code: functions, inlined copies, lexical blocks, namespaces and, where the language has
/// functions in them, types. It goes through the entries in the order of the file and never back,
/// so that damaged sibling references cannot make it run in circles.
extension UnitReader {
    /// Deeper nesting than this is damage (a compiler's stays below 50).
    private static let depthLimit = 512

    /// Collects the functions of a unit; `false` when it is damaged.
    mutating func walk(_ unit: inout Dwarf_Die) -> Bool {
        var entry = Dwarf_Die()
        switch dwarf_child(&unit, &entry) {
        case 0: break
        case -1: return false
        default: return true
        }
        let files = FileTable(&unit, isRead: readsLines)
        let language = Int(dwarf_srclang(&unit))
        let entersTypes = UnitReader.hasFunctionsInTypes(language: language)
        isCXX = UnitReader.languagesCXX.contains(language)
        var node = FunctionNode.noParent
        var furthest = dwarf_dieoffset(&unit)
        levels.removeAll(keepingCapacity: true)
        while true {
            let offset = dwarf_dieoffset(&entry)
            guard offset > furthest, levels.count < UnitReader.depthLimit, rangeBudget > 0 else { return false }
            furthest = offset
            if let inner = visit(&entry, within: node, entersTypes: entersTypes, files) {
                var child = Dwarf_Die()
                let result = dwarf_child(&entry, &child)
                guard result >= 0 else { return false }
                if result == 0 {
                    levels.append(Level(entry: entry, node: node))
                    node = inner
                    entry = child
                    continue
                }
            }
            while true {
                var sibling = Dwarf_Die()
                let result = dwarf_siblingof(&entry, &sibling)
                guard result >= 0 else { return false }
                if result == 0 {
                    entry = sibling
                    break
                }
                guard let level = levels.popLast() else { return true }
                entry = level.entry
                node = level.node
            }
        }
    }

    /// Whether types can contain functions: everywhere but in assembly and C.
    private static func hasFunctionsInTypes(language: Int) -> Bool {
        switch language {
        case -1, DW_LANG_C89, DW_LANG_C, DW_LANG_C99, DW_LANG_C11, UnitReader.languageC17, DW_LANG_Mips_Assembler: false
        default: true
        }
    }

    /// C++ in its versions, Objective-C++: compilers leave the linkage names of local functions out. 17 and 20 are not in
    /// the header of 0.188.
    private static let languagesCXX = [
        DW_LANG_C_plus_plus, DW_LANG_ObjC_plus_plus, DW_LANG_C_plus_plus_03, DW_LANG_C_plus_plus_11,
        DW_LANG_C_plus_plus_14, 0x2a, 0x2b,
    ]

    /// DW_LANG_C17, which the header of 0.188 does not have.
    private static let languageC17 = 0x2c

    /// Notes what the entry describes; returns the node that its children belong to, or `nil` if they need not be
    /// looked at.
    private mutating func visit(
        _ entry: inout Dwarf_Die, within node: UInt32, entersTypes: Bool, _ files: FileTable
    ) -> UInt32? {
        switch Int(dwarf_tag(&entry)) {
        case DW_TAG_lexical_block, DW_TAG_namespace, DW_TAG_module, DW_TAG_try_block, DW_TAG_catch_block:
            node
        case DW_TAG_class_type, DW_TAG_structure_type, DW_TAG_union_type, DW_TAG_interface_type,
            DW_TAG_enumeration_type:
            entersTypes ? node : nil
        case DW_TAG_subprogram:
            add(&entry, parent: FunctionNode.noParent, files)
        case DW_TAG_inlined_subroutine:
            add(&entry, parent: node, files)
        default:
            nil
        }
    }

    /// Adds the node of a function or an inlined copy and its ranges; `nil` if it has no code.
    private mutating func add(
        _ entry: inout Dwarf_Die, parent: UInt32, _ files: FileTable
    ) -> UInt32? {
        let node = UInt32(truncatingIfNeeded: nodes.count)
        guard let low = addRanges(&entry, node: node) else { return nil }
        let (name, unlinked) = name(of: &entry, isInlined: parent != FunctionNode.noParent)
        var made = FunctionNode(
            name: name, callFile: 0, callLine: 0, parent: parent, low: low, unlinked: isCXX ? unlinked : 0)
        if parent != FunctionNode.noParent {
            made.callLine = UInt32(clamping: number(&entry, DW_AT_call_line) ?? 0)
            if let file = number(&entry, DW_AT_call_file) { made.callFile = intern(file: files.name(file)) }
        }
        nodes.append(made)
        return node
    }

    /// Notes the entry's address ranges as far as they lie in the file's code (what the linker dropped has its
    /// addresses near 0); returns the lowest address.
    private mutating func addRanges(_ entry: inout Dwarf_Die, node: UInt32) -> UInt64? {
        var lowest: UInt64?
        let depth = UInt32(truncatingIfNeeded: levels.count)
        forEachRange(of: &entry, budget: &rangeBudget) { low, high in
            guard low < high && text.containsSorted(low) else { return }
            intervals.append(Interval(low: low, high: high, depth: depth, value: node))
            lowest = min(lowest ?? .max, low)
        }
        return lowest
    }

    private func number(_ entry: inout Dwarf_Die, _ attribute: Int) -> UInt64? {
        var found = Dwarf_Attribute()
        var value: Dwarf_Word = 0
        guard dwarf_attr(&entry, UInt32(attribute), &found) != nil, dwarf_formudata(&found, &value) == 0 else {
            return nil
        }
        return value
    }
}
