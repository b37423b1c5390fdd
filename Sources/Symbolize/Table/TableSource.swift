// SPDX-License-Identifier: GPL-2.0-or-later

import Formatting

/// The files that a table is made from, and where it is kept.
struct TableSource: Sendable {
    let path: String
    let program: ELFImage
    private(set) var debugFile: ELFImage?
    /// The symbols that a stripped program keeps for itself.
    private let miniDebugInfo: ELFImage?
    let alternate: ELFImage?
    /// What is wrong with the files although they serve.
    private(set) var warnings: [SymbolError]

    private let search: DebugFiles.Search
    private let cache: SymbolCache
    /// `nil` if nothing is kept.
    private let key: SymbolCache.Key?

    /// - Parameter sections: For a kernel module.
    init(
        path: String, machine: Machine?, sections: [String: UInt64]?, cache: SymbolCache
    ) throws(SymbolError) {
        self.path = path
        self.cache = cache
        program = try ELFImage(path: path, machine: machine, sections: sections)
        search = program.hasDebugInfo ? DebugFiles.Search() : DebugFiles.find(for: program)
        debugFile = search.found
        warnings = search.rejected
        let hasSymbols = program.hasSymbolTable || search.found?.hasSymbolTable ?? false
        do throws(SymbolError) {
            miniDebugInfo = hasSymbols ? nil : try MiniDebugInfo.find(in: program)
        } catch {
            miniDebugInfo = nil
            warnings.append(error)
        }
        alternate = DebugFiles.alternate(of: search.found ?? program, warnings: &warnings)
        key =
            cache.directory == nil
            ? nil : SymbolCache.Key(program: program, debugFile: debugFile, alternate: alternate)
    }

    /// The files that have symbols and code, the program first.
    var images: [ELFImage] { [program] + [debugFile, miniDebugInfo].compactMap(\.self) }

    /// What happened to the files since they were opened; `nil` if nothing did.
    var change: SymbolError? { [program, debugFile, alternate].lazy.compactMap { $0?.original.change }.first }

    /// The file that has the debug information.
    var debugImage: ELFImage { debugFile ?? program }

    /// The addresses of code; sorted, apart from each other.
    var text: [Range<UInt64>] { [program, debugFile].flatMap { $0?.text ?? [] }.joinedRanges() }

    /// Opens the debug information; each thread needs its own.
    func openDebugInfo() -> DebugInfo { DebugInfo(debugImage, alternate: alternate) }

    /// Bytes of all files, inflated: a bound for what they can describe.
    func size(_ info: DebugInfo) -> Int {
        images.reduce(alternate?.file.bytes.count ?? 0) { $0 &+ $1.file.bytes.count } &+ info.size
    }

    /// The table that was kept; `nil` if there is none.
    ///
    /// - Parameter part: Whether one that does not cover all addresses is asked for.
    mutating func kept(part: Bool) -> SymbolTable? {
        guard let key, let table = cache.load(key, part: part) else { return nil }
        if !table.hasDWARF { warnings.append(SymbolError(file: path, kind: .noDWARF)) }
        return table
    }

    /// Leaves a debug file out that has another CRC than its link says.
    mutating func verify() {
        guard let wrong = DebugFiles.verify(search) else { return }
        warnings.append(wrong)
        debugFile = nil
    }

    /// Keeps a table, unless something is wrong outside of the file, which may be put right.
    ///
    /// - Parameter found: What turned out to be wrong when the table was made.
    /// - Returns: What is wrong with the cache.
    func keep(_ table: SymbolTable, found: [SymbolError], part: Bool) -> SymbolError? {
        guard warnings.isEmpty, found.allSatisfy({ $0.kind == .noDWARF }), let key,
            let code = cache.store(table, key, part: part)
        else { return nil }
        return SymbolError(file: cache.directory ?? "", kind: .cacheUnavailable(errno: code))
    }

    /// Makes the whole table, and keeps it. Returns what is wrong with the debug information or the cache, too.
    func build() throws(SymbolError) -> (table: SymbolTable, found: [SymbolError]) {
        let (made, found) = TableBuilder.build(self)
        if let change { throw change }
        guard let table = made, table.view.segments.count > 0 else {
            let reason = found.first { if case .inflates = $0.kind { true } else { false } }
            throw reason ?? SymbolError(file: path, kind: .noSymbols)
        }
        let unkept = keep(table, found: found, part: false)
        return (table, found + (unkept.map { [$0] } ?? []))
    }
}
