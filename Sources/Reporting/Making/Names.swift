// SPDX-License-Identifier: GPL-2.0-or-later

import Alignment
import Formatting
import Symbolize

/// Finds the symbols and source positions of one run's addresses.
struct Names {
    let symbolizer: Symbolizer?

    private func found(_ address: UInt64) -> Symbolized? { symbolizer?.symbolize(address) }

    /// The symbol at an address: `work+0x12`, with inlined functions in front.
    func symbol(_ address: UInt64) -> String? {
        guard let label = found(address)?.label, !label.isEmpty else { return nil }
        return label
    }

    /// The name of the function that contains an address, or the address.
    func function(_ address: UInt64) -> String {
        let place = found(address)
        return place?.displayedSymbol ?? place?.frames.last?.displayedFunction ?? RowText.hex(address)
    }

    /// The linkage name of the symbol that contains an address, if ``symbol(_:)`` shows it demangled.
    func linkageName(_ address: UInt64) -> String? {
        guard let place = found(address), place.demangledSymbol != nil else { return nil }
        return place.symbol
    }

    /// The file that names an address.
    func file(_ address: UInt64) -> String? { found(address)?.module }

    /// The source position of the innermost function at an address.
    func source(_ address: UInt64) -> String? { found(address)?.sourcePlace }

    /// The source positions at an address, innermost inlined function first; nil without any.
    func sources(_ address: UInt64) -> [String]? {
        let places = found(address)?.frames.compactMap(\.place) ?? []
        return places.isEmpty ? nil : places
    }

    /// The functions into which the code at an address is inlined, innermost first; nil without any.
    func inlinedInto(_ address: UInt64) -> [DivergenceDocument.InlineFrame]? {
        guard let frames = found(address)?.frames, frames.count > 1 else { return nil }
        return frames.dropFirst().map {
            DivergenceDocument.InlineFrame(
                function: $0.displayedFunction, linkageName: $0.demangledFunction == nil ? nil : $0.function,
                source: $0.place)
        }
    }
}

/// Writes symbols and source positions for people.
enum ShortName {
    /// ` <work+0x12>`, or nothing without a symbol.
    static func suffix(_ symbol: String?) -> String {
        guard let symbol, !symbol.isEmpty else { return "" }
        return " <\(chain(symbol).onOneLine)>"
    }

    /// A chain of inlined functions; of more than three only the innermost and the function itself.
    private static func chain(_ label: String) -> String {
        let parts = label.split(separator: "@").map { part in
            String(part.drop { $0 == " " }.reversed().drop { $0 == " " }.reversed())
        }
        guard parts.count > 3, let first = parts.first, let last = parts.last else { return label }
        return "\(first) @ … \(parts.count - 2) more … @ \(last)"
    }

    /// The last 40 bytes of a path, from a directory on.
    static func path(_ path: String) -> String {
        let path = path.onOneLine
        guard path.utf8.count > 40 else { return path }
        var parts = path.split(separator: "/", omittingEmptySubsequences: false)
        while parts.count > 1, parts.reduce(0, { $0 + $1.utf8.count + 1 }) > 40 { parts.removeFirst() }
        return "…/" + parts.joined(separator: "/")
    }
}
