// SPDX-License-Identifier: GPL-2.0-or-later

/// The walk over a unit's entries.
///
/// It enters only what can hold code: functions, inlined copies, lexical blocks, namespaces and, where the language has
/// functions in them, types. It goes through the entries in the order in which they stand in the file and never back,
/// so that damaged sibling references cannot make it run in circles.
extension UnitReader {
    /// Deeper nesting than this is damage (a compiler's stays below 50).
    private static let depthLimit = 512

    /// The attributes of a function or an inlined copy.
    private struct FunctionEntry {
        var low = RawValue()
        var high = RawValue()
        var ranges = RawValue()
        var callFile: UInt64 = 0
        var callLine: UInt64 = 0
        var names = EntryNames()
    }

    /// Collects the functions of a unit; `false` when it is damaged.
    mutating func walk(_ unit: Unit, in file: DWARFFile, files: inout FileTable) -> Bool {
        guard let start = unit.children else { return true }
        let entersTypes = unit.hasFunctionsInTypes
        let shape = unit.header.shape
        let unitStart = file.info.start + Int(unit.header.start)
        var cursor = ByteCursor(from: start, to: unit.end)
        var node = FunctionNode.noParent
        /// How deep below an entry that nobody asks for, and that does not say where it ends.
        var ignored = 0
        levels.removeAll(keepingCapacity: true)
        while !cursor.isAtEnd {
            let entry = cursor.position
            let code = cursor.uleb()
            if code == 0 {
                if ignored > 0 {
                    ignored &-= 1
                } else if let outer = levels.popLast() {
                    node = outer
                } else {
                    return true
                }
                continue
            }
            guard let declaration = abbreviations.find(code, in: unit.table) else { return false }
            let body = cursor.position
            var inner: UInt32?
            var isSkipped = false
            if ignored == 0 {
                switch declaration.interest {
                case .none: break
                case .scope: inner = node
                case .type: inner = entersTypes ? node : nil
                case .function, .inlined:
                    let parent = declaration.interest == .inlined ? node : FunctionNode.noParent
                    inner = add(&cursor, declaration, entry, unit, file, parent: parent, &files)
                    isSkipped = true
                }
            }
            if declaration.hasChildren {
                if let inner {
                    if !isSkipped { abbreviations.skip(declaration, &cursor, shape) }
                    guard levels.count < UnitReader.depthLimit else { return false }
                    levels.append(node)
                    node = inner
                    continue
                }
                if declaration.siblingAt >= 0, unit.end - body >= Int(declaration.siblingAt) + 4 {
                    let offset = (body + Int(declaration.siblingAt)).loadUnaligned(as: UInt32.self)
                    let target = unitStart + Int(UInt32(littleEndian: offset))
                    guard target > cursor.position, target <= unit.end else { return false }
                    cursor.jump(to: target)
                    continue
                }
                ignored &+= 1
            }
            if !isSkipped { abbreviations.skip(declaration, &cursor, shape) }
        }
        return !cursor.isDamaged
    }

    /// Adds the node of a function or an inlined copy and its ranges; `nil` when it has no code.
    private mutating func add(
        _ cursor: inout ByteCursor, _ declaration: Abbreviations.Declaration, _ entry: UnsafeRawPointer,
        _ unit: Unit, _ file: DWARFFile, parent: UInt32, _ files: inout FileTable
    ) -> UInt32? {
        var found = FunctionEntry()
        for index in 0..<Int(declaration.attributeCount) {
            let attribute = abbreviations.attributes[Int(declaration.firstAttribute) &+ index]
            switch attribute.name {
            case DWARF.Attribute.lowPC, DWARF.Attribute.highPC, DWARF.Attribute.ranges, DWARF.Attribute.callFile,
                DWARF.Attribute.callLine, DWARF.Attribute.name, DWARF.Attribute.linkageName,
                DWARF.Attribute.mipsLinkageName, DWARF.Attribute.abstractOrigin, DWARF.Attribute.specification:
                let value = cursor.value(form: attribute.form, implicit: attribute.implicit, unit.header.shape)
                switch attribute.name {
                case DWARF.Attribute.lowPC: found.low = value
                case DWARF.Attribute.highPC: found.high = value
                case DWARF.Attribute.ranges: found.ranges = value
                case DWARF.Attribute.callFile: found.callFile = value.number
                case DWARF.Attribute.callLine: found.callLine = value.number
                default: found.names.note(attribute.name, value)
                }
            default:
                cursor.skip(form: attribute.form, unit.header.shape)
            }
        }
        let node = UInt32(truncatingIfNeeded: nodes.count)
        guard !cursor.isDamaged, let low = addRanges(found, node: node, unit, file) else { return nil }
        var made = FunctionNode(
            name: name(found.names, of: entry, unit, file), callFile: 0, callLine: 0, parent: parent, low: low)
        if parent != FunctionNode.noParent {
            made.callLine = UInt32(clamping: found.callLine)
            if found.callFile > 0 || files.firstNumber == 0 { made.callFile = files.name(found.callFile, &names) }
        }
        nodes.append(made)
        return node
    }

    /// Notes the entry's address ranges as far as they lie in the file's code (what the linker dropped has its
    /// addresses near 0); returns the lowest address.
    private mutating func addRanges(_ entry: FunctionEntry, node: UInt32, _ unit: Unit, _ file: DWARFFile) -> UInt64? {
        var lowest: UInt64?
        let depth = UInt32(truncatingIfNeeded: levels.count)
        if entry.ranges.isPresent {
            _ = file.forEachRange(entry.ranges, unit) { low, high in
                add(low, high, depth: depth, node: node, &lowest)
            }
        } else if entry.low.isPresent, entry.high.isPresent, let low = file.address(entry.low, unit) {
            let high = file.address(entry.high, unit) ?? low &+ entry.high.number
            _ = add(low, high, depth: depth, node: node, &lowest)
        }
        return lowest
    }

    private mutating func add(
        _ low: UInt64, _ high: UInt64, depth: UInt32, node: UInt32, _ lowest: inout UInt64?
    ) -> Bool {
        rangeBudget &-= 1
        if low < high && text.containsSorted(low) {
            intervals.append(Interval(low: low, high: high, depth: depth, value: node))
            lowest = min(lowest ?? .max, low)
        }
        return rangeBudget > 0
    }
}
