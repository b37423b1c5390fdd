// SPDX-License-Identifier: GPL-2.0-or-later

import Alignment
import Formatting
import LogFormat
import Symbolize

/// Puts the addresses of both sides into words.
struct Places {
    let original: Symbolizer?
    let replay: Symbolizer?

    func symbolizer(_ side: Side) -> Symbolizer? { side == .original ? original : replay }

    /// What stands at an address of a side.
    func symbol(_ address: UInt64, _ side: Side) -> Symbolized? { symbolizer(side)?.symbolize(address) }

    /// `0x200280 <work+0x12>`, or the bare address.
    func text(_ address: UInt64, _ side: Side) -> String {
        RowText.hex(address) + name(address, side)
    }

    /// ` <work+0x12>`, or nothing.
    func name(_ address: UInt64, _ side: Side) -> String {
        guard let label = symbol(address, side)?.label, !label.isEmpty else { return "" }
        return " <\(Places.shortenedChain(label).onOneLine)>"
    }

    /// Of a chain of more than three inlined functions the innermost and the function itself.
    private static func shortenedChain(_ label: String) -> String {
        let parts = label.split(separator: "@").map { part in
            String(part.drop { $0 == " " }.reversed().drop { $0 == " " }.reversed())
        }
        guard parts.count > 3, let first = parts.first, let last = parts.last else { return label }
        return "\(first) @ … \(parts.count - 2) more … @ \(last)"
    }

    /// `work.c:12`, the last parts of a long path.
    func source(_ address: UInt64, _ side: Side) -> String? {
        symbol(address, side)?.sourcePlace.map { Places.shortened($0.onOneLine) }
    }

    /// The chain of functions that were inlined at an address, innermost first: `leaf.h:3, inlined into work at
    /// work.c:12`.
    func chain(_ address: UInt64, _ side: Side) -> [String] {
        guard let frames = symbol(address, side)?.frames, frames.count > 1 else { return [] }
        return frames.dropFirst().map { frame in
            let place = frame.place.map { " at \(Places.shortened($0.onOneLine))" } ?? ""
            return "inlined into \(frame.function.onOneLine)\(place)"
        }
    }

    /// The last 40 characters of a path, from a directory on.
    private static func shortened(_ path: String) -> String {
        guard path.utf8.count > 40 else { return path }
        var parts = path.split(separator: "/", omittingEmptySubsequences: false)
        while parts.count > 1, parts.reduce(0, { $0 + $1.utf8.count + 1 }) > 40 { parts.removeFirst() }
        return "…/" + parts.joined(separator: "/")
    }
}
