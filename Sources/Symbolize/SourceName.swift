// SPDX-License-Identifier: GPL-2.0-or-later

/// A function's name as its source has it, with parameters or without: finds its linkage names.
struct SourceName {
    private let name: String

    init(_ name: String) { self.name = name }

    /// Whether a name may be one of a source whose functions have linkage names: not `main`, but `Shape::area`,
    /// `over(int)`, `main.Shape.area`.
    static func isPossible(_ name: String) -> Bool {
        !name.isEmpty && name.utf8.count <= Demangler.lengthLimit && !Demangler.isMangled(name.utf8)
    }

    /// Whether this is the source's name of a linkage name. Parameters, template arguments and the type that a template
    /// function returns are compared only if this name has them.
    func isName(of linkageName: String) -> Bool {
        guard let demangled = Demangler.demangle(linkageName) else { return false }
        return demangled == name || DemangledParts(demangled).forms.contains(name)
    }
}

extension SymbolTable.View {
    /// The distinct names of function symbols that a predicate chooses.
    func symbolNames(where isWanted: (String) -> Bool) -> [String] {
        var seen: Set<StringPool.ID> = []
        var found: [String] = []
        for index in 0..<symbols.count {
            let id = symbols[index].name
            guard Demangler.isMangled(bytes(id)), seen.insert(id).inserted else { continue }
            let name = name(id)
            if isWanted(name) { found.append(name) }
        }
        return found
    }
}
