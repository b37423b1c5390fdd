// SPDX-License-Identifier: GPL-2.0-or-later

import Formatting

/// The linkage names of functions that DWARF has none for.
///
/// C++ compilers leave the linkage name of a function with internal linkage out, so that overloads (`same(int)`,
/// `same(long)`) share one plain name. The symbol at the function's entry has the linkage name; inlined copies of the
/// function get it too.
struct LinkageNames {
    private let readers: [UnitReader]
    private let firstNode: [UInt32]
    private let symbols: [FunctionSymbol]

    init(_ readers: [UnitReader], _ firstNode: [UInt32], _ symbols: [FunctionSymbol]) {
        (self.readers, self.firstNode, self.symbols) = (readers, firstNode, symbols)
    }

    /// Replaces plain names by linkage names.
    func apply(to nodes: UnsafeMutableBufferPointer<SymbolTable.Node>, _ names: inout StringPool) {
        for (reader, first) in zip(readers, firstNode) {
            var linkage: [UInt: StringPool.ID] = [:]
            for node in reader.nodes where node.unlinked != 0 && !node.isInlined && linkage[node.unlinked] == nil {
                guard let name = linkageName(at: node.low, reader, node, &names) else { continue }
                linkage[node.unlinked] = name
            }
            guard !linkage.isEmpty else { continue }
            for (index, node) in reader.nodes.enumerated() where node.unlinked != 0 {
                if let name = linkage[node.unlinked] { nodes[Int(first) + index].name = name }
            }
        }
    }

    /// The linkage name, without a suffix of the compiler's, of the symbol at an address that names the function.
    private func linkageName(
        at address: UInt64, _ reader: UnitReader, _ node: FunctionNode, _ names: inout StringPool
    ) -> StringPool.ID? {
        var index = symbols.partitioningIndex { $0.address >= address }
        let plain = reader.names.name(node.name)
        while index < symbols.count, symbols[index].address == address {
            var name = names.name(symbols[index].name)
            if name.starts(with: [0x5f, 0x5a]), LinkageNames.names(name, plain) {
                if let dot = name.firstIndex(of: 0x2e) { name.removeSubrange(dot...) }
                return name.withUnsafeBytes { names.intern($0) }
            }
            index += 1
        }
        return nil
    }

    /// Whether a mangled name has an identifier, its length before it. Operators and destructors have other names there.
    private static func names(_ mangled: [UInt8], _ plain: [UInt8]) -> Bool {
        guard let first = plain.first, first == 0x5f || 0x41...0x5a ~= first & ~0x20 else { return true }
        if plain.starts(with: Array("operator".utf8)) { return true }
        return mangled.firstRange(of: Array(String(plain.count).utf8) + plain) != nil
    }
}
