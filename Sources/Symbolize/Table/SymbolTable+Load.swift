// SPDX-License-Identifier: GPL-2.0-or-later

import Formatting

extension SymbolTable {
    /// A file's table, with what is wrong with the file although it serves.
    struct Loaded {
        var table: SymbolTable
        var warnings: [SymbolError]
        var isKernelModule = false
        /// What makes more of the table, where it is not whole.
        var rest: TableOnDemand?
    }

    /// The table of a file: the kept one where there is one, else made now and kept.
    ///
    /// - Parameter sections: For a kernel module.
    static func load(
        path: String, machine: Machine?, sections: [String: UInt64]? = nil, cache: SymbolCache,
        reading: Symbolizer.Reading = .whole
    ) throws(SymbolError) -> Loaded {
        if let text = try SymbolText(path: path) {
            let warnings = text.warnings + [SymbolError(file: path, kind: .noDWARF)]
            return Loaded(table: try text.table(), warnings: warnings)
        }
        var source = try TableSource(path: path, machine: machine, sections: sections, cache: cache)
        if let table = source.kept(part: false) {
            return Loaded(table: table, warnings: source.warnings, isKernelModule: source.program.isKernelModule)
        }
        if case .onDemand(let smallest, let largestPart) = reading,
            let rest = TableOnDemand(source, smallest: smallest, largestPart: largestPart)
        {
            return Loaded(
                table: rest.table, warnings: rest.warnings, isKernelModule: source.program.isKernelModule, rest: rest)
        }
        source.verify()
        let (table, found) = try source.build()
        return Loaded(
            table: table, warnings: source.warnings + found, isKernelModule: source.program.isKernelModule)
    }
}
