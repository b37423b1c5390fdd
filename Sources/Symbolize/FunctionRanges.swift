// SPDX-License-Identifier: GPL-2.0-or-later

extension Symbolizer {
    /// The addresses of the run that belong to a function: those of all symbols of that name, those of the function as DWARF
    /// describes it, and those of every copy of it that was inlined into another, with what is inlined in turn. Ascending,
    /// none touching another. Empty when no file knows the name.
    ///
    /// Reads through the tables once: fit for once a command, not for hot loops.
    public func functionRanges(named name: String) -> [Range<UInt64>] {
        var found = resolve(name: name)
        for (index, module) in modules.enumerated() {
            guard let table = table(index) else { continue }
            let shift = UInt64(bitPattern: module.slide)
            var own = table.view.ranges(ofNodesNamed: [name])
            if own.isEmpty, SourceName.isPossible(name) {
                own = table.view.ranges(ofNodesNamed: table.view.nodeNames(where: SourceName(name).isName(of:)))
            }
            for own in own {
                let (low, high) = (own.lowerBound &+ shift, own.upperBound &+ shift)
                if low < high { found.append((low..<high).clamped(to: module.range)) }
            }
        }
        return found.filter { !$0.isEmpty }.joinedRanges()
    }

    /// Names of functions that somebody may have meant by a name that is not there, the likeliest first: the same but for
    /// case, with a suffix (`foo.cold` for `foo`), or with up to two letters changed.
    public func names(near wanted: String, limit: Int = 4) -> [String] {
        var best: [String: Int] = [:]
        let letters = Array(wanted.utf8.prefix(256))
        guard !letters.isEmpty else { return [] }
        for index in modules.indices {
            guard let view = table(index)?.view else { continue }
            view.forEachFunctionName { name in
                guard let distance = Symbolizer.distance(letters, name) else { return }
                let text = String(decoding: name, as: UTF8.self)
                best[text] = min(best[text] ?? .max, distance)
            }
        }
        return best.sorted { ($0.value, $0.key) < ($1.value, $1.key) }.prefix(limit).map(\.key)
    }

    /// How far a name is from the one that was wanted; `nil` if it is another.
    private static func distance(_ wanted: [UInt8], _ name: UnsafeBufferPointer<UInt8>) -> Int? {
        let (shorter, longer) = (min(wanted.count, name.count), max(wanted.count, name.count))
        if name.count > wanted.count, name[wanted.count] == UInt8(ascii: "."), name.starts(with: wanted) { return 1 }
        guard longer - shorter <= 2, wanted.count > 3 else { return nil }
        func lower(_ letter: UInt8) -> UInt8 { 0x41...0x5a ~= letter ? letter | 0x20 : letter }
        // Same beginnings and ends need no table.
        var start = 0
        while start < shorter, lower(wanted[start]) == lower(name[start]) { start += 1 }
        var end = 0
        while end < shorter - start, lower(wanted[wanted.count - 1 - end]) == lower(name[name.count - 1 - end]) {
            end += 1
        }
        let (left, right) = (wanted.count - start - end, name.count - start - end)
        guard max(left, right) <= 6 else { return nil }
        var row = Array(0...right)
        for i in 0..<left {
            var diagonal = row[0]
            row[0] = i + 1
            for j in 0..<right {
                let isSame = lower(wanted[start + i]) == lower(name[start + j])
                let next = min(diagonal + (isSame ? 0 : 1), min(row[j], row[j + 1]) + 1)
                diagonal = row[j + 1]
                row[j + 1] = next
            }
        }
        return row[right] <= 2 ? row[right] : nil
    }
}

extension SymbolTable.View {
    /// The addresses of the file of functions and inlined copies of that name, with what was inlined into them.
    fileprivate func ranges(ofNodesNamed wanted: [String]) -> [Range<UInt64>] {
        let isNamed = wanted.reduce(into: Set<UInt32>()) { $0.formUnion(nodesNamed($1)) }
        guard !isNamed.isEmpty else { return [] }
        var result: [Range<UInt64>] = []
        forEachSegment { low, high, segment in
            if isInside(segment.node, isNamed) { result.append(low..<high) }
        }
        return result
    }

    /// The distinct mangled names of nodes that a predicate chooses.
    fileprivate func nodeNames(where isWanted: (String) -> Bool) -> [String] {
        var seen: Set<StringPool.ID> = []
        var found: [String] = []
        for index in 0..<nodes.count {
            let id = nodes[index].name
            guard Demangler.isMangled(bytes(id)), seen.insert(id).inserted else { continue }
            let name = name(id)
            if isWanted(name) { found.append(name) }
        }
        return found
    }

    /// Numbers of the nodes with that name.
    private func nodesNamed(_ wanted: String) -> Set<UInt32> {
        var found: Set<UInt32> = []
        let wanted = Array(wanted.utf8)
        guard !wanted.isEmpty, !wanted.contains(0) else { return [] }
        for index in 0..<nodes.count where utf8(nodes[index].name).elementsEqual(wanted) { found.insert(UInt32(index)) }
        return found
    }

    /// Whether a node is one of these, or was inlined into one.
    private func isInside(_ node: UInt32, _ wanted: Set<UInt32>) -> Bool {
        var node = node
        for _ in 0..<SymbolTable.chainLimit {
            guard let function = nodes[checked: node] else { return false }
            if wanted.contains(node) { return true }
            guard function.isInlined else { return false }
            node = function.parent
        }
        return false
    }

    private func utf8(_ id: StringPool.ID) -> UnsafeBufferPointer<UInt8> {
        let text = text(id)
        var count = 0
        while text[count] != 0 { count += 1 }
        return UnsafeBufferPointer(start: UnsafeRawPointer(text).assumingMemoryBound(to: UInt8.self), count: count)
    }

    fileprivate func forEachFunctionName(_ body: (UnsafeBufferPointer<UInt8>) -> Void) {
        for index in 0..<symbols.count { body(utf8(symbols[index].name)) }
        var last: StringPool.ID = 0
        for index in 0..<nodes.count where nodes[index].name != last {
            last = nodes[index].name
            body(utf8(last))
        }
    }
}
