// SPDX-License-Identifier: GPL-2.0-or-later

extension SymbolTable {
    /// The table of a file: the kept one where there is one, else made now and kept.
    ///
    /// - Parameter sections: For a kernel module; see ``ELFImage/init(path:machine:sections:)``.
    ///
    /// Returns the table, what is wrong with the file although it serves, and whether it is a kernel module.
    static func load(
        path: String, machine: UInt16?, sections: [String: UInt64]? = nil, cache: SymbolCache
    ) throws(SymbolError) -> (table: SymbolTable, warnings: [SymbolError], isKernelModule: Bool) {
        if let text = try SymbolText(path: path) {
            return (try text.table(), text.warnings + [SymbolError(file: path, kind: .noDWARF)], false)
        }
        let program = try ELFImage(path: path, machine: machine, sections: sections)
        var warnings: [SymbolError] = []
        var search = DebugFiles.Search()
        if !program.hasDebugInfo { search = DebugFiles.find(for: program) }
        warnings += search.rejected
        let alternate = DebugFiles.alternate(of: search.found ?? program, warnings: &warnings)
        var key: SymbolCache.Key?
        if cache.directory != nil {
            let made = SymbolCache.Key(program: program, debugFile: search.found, alternate: alternate)
            if let table = cache.load(made) {
                if !table.hasDWARF { warnings.append(SymbolError(file: path, kind: .noDWARF)) }
                return (table, warnings, program.isKernelModule)
            }
            key = made
        }
        if let wrong = DebugFiles.verify(search) {
            warnings.append(wrong)
            search.found = nil
        }
        var builder = TableBuilder(program: program, debugFile: search.found, alternate: alternate)
        guard let table = builder.build(), table.view.segments.count > 0 else {
            throw SymbolError(file: path, kind: .noSymbols)
        }
        // What is wrong outside of the file may be put right: such a table must not stay.
        let isLasting = warnings.isEmpty && builder.warnings.allSatisfy { $0.kind == .noDWARF }
        warnings += builder.warnings
        if isLasting, let key, let code = cache.store(table, key) {
            warnings.append(SymbolError(file: cache.directory ?? "", kind: .cacheUnavailable(errno: code)))
        }
        return (table, warnings, program.isKernelModule)
    }
}
