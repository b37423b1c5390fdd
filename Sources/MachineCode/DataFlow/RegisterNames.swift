// SPDX-License-Identifier: GPL-2.0-or-later

/// Maps the names of parts of registers to the names of whole ones.
enum RegisterNames {
    /// The whole register that a name is a part of, and whether a write to the part replaces the whole; nil for the
    /// instruction pointer and segment registers, which carry no data here.
    static func whole(_ name: String) -> (name: String, isWhole: Bool)? {
        if let found = table[name] { return found }
        switch name {
        case "", "rip", "eip", "ip", "cs", "ds", "es", "ss", "fs", "gs", "eiz", "riz": return nil
        case "eflags", "rflags", "flags": return ("flags", true)
        default: break
        }
        if name.hasPrefix("ymm") || name.hasPrefix("zmm") { return ("xmm" + name.dropFirst(3), true) }
        return (name, true)
    }

    private static let table: [String: (name: String, isWhole: Bool)] = {
        var table: [String: (name: String, isWhole: Bool)] = [:]
        for letter in ["a", "b", "c", "d"] {
            let whole = "r\(letter)x"
            for part in ["\(letter)x", "\(letter)l", "\(letter)h"] { table[part] = (whole, false) }
            for part in [whole, "e\(letter)x"] { table[part] = (whole, true) }
        }
        for name in ["si", "di", "bp", "sp"] {
            for part in [name, "\(name)l"] { table[part] = ("r\(name)", false) }
            for part in ["r\(name)", "e\(name)"] { table[part] = ("r\(name)", true) }
        }
        for number in 8...15 {
            let whole = "r\(number)"
            for part in ["\(whole)b", "\(whole)w"] { table[part] = (whole, false) }
            for part in [whole, "\(whole)d"] { table[part] = (whole, true) }
        }
        return table
    }()
}
