// SPDX-License-Identifier: GPL-2.0-or-later

import CElfutils

extension AddressTable {
    /// Reads everything that the file has; what is wrong with it, but not fatal, is added to `warnings`.
    init(_ image: borrowing ELFImage, warnings: inout [SymbolError]) {
        symbols = FunctionSymbols.read(image, names: &names)
        let bySymbol = FunctionSymbols.boundaries(symbols, text: image.text)

        var functions = DWARFFunctions(rangeBudget: image.fileSize)
        var lines = DWARFLines()
        let hasDWARF = AddressTable.readDWARF(
            image, functions: &functions, lines: &lines, names: &names, warnings: &warnings)
        if !hasDWARF { warnings.append(SymbolError(file: image.path, kind: .noDWARF)) }
        nodes = functions.nodes
        let byNode = innermost(functions.intervals)
        let (byLine, positions) = lines.finish()

        merge(bySymbol, byNode, byLine, positions: positions)
        buildBuckets()
        names.seal()
    }

    /// Walks all compilation units; `false` when there are none.
    private static func readDWARF(
        _ image: borrowing ELFImage, functions: inout DWARFFunctions, lines: inout DWARFLines,
        names: inout StringPool, warnings: inout [SymbolError]
    ) -> Bool {
        guard let dwarf = dwarf_begin_elf(image.handle, DWARF_C_READ, nil) else { return false }
        defer { dwarf_end(dwarf) }
        var found = false
        var message = "damaged entries"
        var stoppedEarly = false
        var unit: OpaquePointer?
        while true {
            var next: OpaquePointer?
            var version: Dwarf_Half = 0
            var type: UInt8 = 0
            var entry = Dwarf_Die()
            var split = Dwarf_Die()
            let result = dwarf_get_units(dwarf, unit, &next, &version, &type, &entry, &split)
            if result < 0 {
                message = dwarf_errmsg(-1).map { String(cString: $0) } ?? message
                stoppedEarly = true
            }
            guard result == 0, let next else { break }
            unit = next
            let tag = Int(dwarf_tag(&entry))
            guard tag == DW_TAG_compile_unit || tag == DW_TAG_skeleton_unit else { continue }
            found = true
            // The rest of a skeleton stands in a .dwo file, where libdw found one.
            let body = dwarf_tag(&split) == Int32(DW_TAG_compile_unit) ? split : entry
            var files = FileNames(unit: body)
            lines.add(unit: entry, image: image, names: &names)
            functions.walk(unit: body, image: image, files: &files, names: &names)
        }
        let damaged = functions.damagedUnits + lines.damagedUnits + (stoppedEarly ? 1 : 0)
        if damaged > 0 {
            warnings.append(
                SymbolError(file: image.path, kind: .damagedDWARF(units: damaged, message: message)))
        }
        return found
    }

    /// Lays the three boundary lists over each other.
    private mutating func merge(
        _ bySymbol: [Boundary], _ byNode: [Boundary], _ byLine: [Boundary], positions: [SourcePosition]
    ) {
        var (s, n, l) = (0, 0, 0)
        var current = Segment(symbol: Boundary.none, node: Boundary.none, file: 0, line: 0)
        while true {
            var low = UInt64.max
            var isDone = true
            if s < bySymbol.count { (low, isDone) = (min(low, bySymbol[s].low), false) }
            if n < byNode.count { (low, isDone) = (min(low, byNode[n].low), false) }
            if l < byLine.count { (low, isDone) = (min(low, byLine[l].low), false) }
            if isDone { break }
            if s < bySymbol.count, bySymbol[s].low == low {
                current.symbol = bySymbol[s].value
                s += 1
            }
            if n < byNode.count, byNode[n].low == low {
                current.node = byNode[n].value
                n += 1
            }
            if l < byLine.count, byLine[l].low == low {
                let value = Int(byLine[l].value)
                let position = value < positions.count ? positions[value] : SourcePosition(file: 0, line: 0)
                (current.file, current.line) = (position.file, position.line)
                l += 1
            }
            if segments.last != current {
                starts.append(low)
                segments.append(current)
            }
        }
    }

    /// Buckets of 64 bytes, or larger ones where the addresses are spread so far that those would outweigh the table.
    private mutating func buildBuckets() {
        guard let first = starts.first, let last = starts.last else { return }
        let limit = UInt64(starts.count) * 4 + 1024
        bucketShift = 6
        while (last - first) >> bucketShift >= limit { bucketShift += 1 }
        var count = 0
        for bucket in 0...((last - first) >> bucketShift) {
            let address = first + bucket << bucketShift
            while count < starts.count, starts[count] <= address { count += 1 }
            buckets.append(UInt32(clamping: count))
        }
    }
}
