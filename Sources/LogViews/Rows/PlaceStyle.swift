// SPDX-License-Identifier: GPL-2.0-or-later

import Formatting
import Symbolize

/// How a row names an address. Styles for people escape text from the symbol files.
enum PlaceStyle {
    /// ` <foo+0x12>`, ` <inlined+0x4 @ foo+0x12>`; with `lines` ` <foo+0x12 file.c:33>`. Nothing if it is unknown.
    case text(lines: Bool)
    /// ` <foo+18>`, ` <inlined+4 @ foo+18>`: the innermost inlined function, and the one that holds its code.
    case inline(lines: Bool)
    /// ` foo+0x12 (file)`, as perf script prints it; ` [unknown] ([unknown])` if nothing is known.
    case perf
    /// An object, or `null`.
    case json
    /// Two fields: the name and the source line.
    case csv

    /// The words for one address, at most `PlaceCache.lengthLimit` bytes: longer names and inline chains are shortened.
    func render(_ place: Symbolized?) -> String {
        let whole = words(place)
        return whole.utf8.count <= PlaceCache.lengthLimit ? whole : words(place?.shortened)
    }

    private func words(_ place: Symbolized?) -> String {
        switch self {
        case .text(let lines):
            guard let place, !place.label.isEmpty else { return "" }
            guard lines, let source = place.sourcePlace else { return " <\(place.label)>".onOneLine }
            return " <\(place.label) \(source)>".onOneLine
        case .inline(let lines):
            guard let place, !place.label.isEmpty else { return "" }
            let source = lines ? place.sourcePlace.map { " \($0)" } ?? "" : ""
            return " <\(PlaceStyle.innermostAndOutermost(place))\(source)>".onOneLine
        case .perf:
            guard let place else { return " [unknown] ([unknown])" }
            let symbol = place.displayedSymbol.map { "\($0)+\(RowText.hex(place.offset))" } ?? "[unknown]"
            return " \(symbol) (\(place.module))".onOneLine
        case .json:
            return place.map(PlaceStyle.json) ?? "null"
        case .csv:
            return "\(RowText.csv(place?.label ?? "")),\(RowText.csv(place?.sourcePlace ?? ""))"
        }
    }

    /// `inlined+4 @ foo+18`, decimal as in gdb.
    private static func innermostAndOutermost(_ place: Symbolized) -> String {
        func name(_ name: String, _ offset: UInt64) -> String { offset == 0 ? name : "\(name)+\(offset)" }
        var parts: [String] = []
        if let inner = place.frames.first, inner.isInlined {
            parts.append(name(inner.displayedFunction, inner.offset ?? 0))
        }
        if let symbol = place.displayedSymbol {
            parts.append(name(symbol, place.offset))
        } else if let function = place.frames.last, !function.isInlined {
            parts.append(name(function.displayedFunction, function.offset ?? 0))
        }
        return parts.joined(separator: " @ ")
    }

    /// ` <foo+18>` as gdb names an address; with `lines` ` <foo+18 at file.c:33>`, its `set print symbol-filename on`.
    static func gdb(_ symbolizer: Symbolizer, _ address: UInt64, lines: Bool) -> String {
        guard var name = symbolizer.debuggerName(address) else { return "" }
        if name.name.utf8.count > PlaceCache.lengthLimit / 2 { name.name = Symbolized.cut(name.name) }
        guard lines, let place = symbolizer.symbolize(address)?.shortened, let source = place.sourcePlace else {
            return " <\(name)>".onOneLine
        }
        return " <\(name) at \(source)>".onOneLine
    }

    private static func json(_ place: Symbolized) -> String {
        let frames = place.frames.map { frame in
            "{\"function\":\(RowText.json(frame.displayedFunction))"
                + linkageName(frame.function, frame.demangledFunction)
                + ",\"file\":\(frame.file.map(RowText.json) ?? "null"),\"line\":\(frame.line),\"inlined\":\(frame.isInlined)}"
        }
        return
            "{\"module\":\(RowText.json(place.module)),\"symbol\":\(place.displayedSymbol.map(RowText.json) ?? "null")"
            + (place.symbol.map { linkageName($0, place.demangledSymbol) } ?? "")
            + ",\"offset\":\"\(place.offset)\",\"frames\":[\(frames.joined(separator: ","))]}"
    }

    /// The member with the linkage name beside a demangled one; nothing if the name is not demangled.
    private static func linkageName(_ name: String, _ demangled: String?) -> String {
        demangled == nil ? "" : ",\"linkage_name\":\(RowText.json(name))"
    }
}
