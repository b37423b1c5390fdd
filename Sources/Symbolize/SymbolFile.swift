// SPDX-License-Identifier: GPL-2.0-or-later

import Glibc

/// A symbol file as command lines name it: `FILE[@ADDRESS|+SLIDE][,FROM:TO]`.
///
///     vmlinux
///     init@0x555555554000                      its lowest loaded segment was loaded there
///     vmlinux+0x1c000000                       loaded that much higher than it was linked (KASLR); -0x… lower
///     virtio.ko@0xffffffffc057b000             a kernel module: its code was loaded there (/proc/modules)
///     program,0x400000:0x500000                answers only for these addresses of the run
///
/// Numbers are hexadecimal with `0x`, else decimal. A file whose name contains `@`, `+` or `,` is taken as it is when it
/// exists.
public struct SymbolFile: Hashable, Sendable {
    /// Where a file was loaded.
    public enum Placement: Hashable, Sendable {
        /// Nobody says: where it was linked to, unless the log shows something else.
        case linked
        /// That many bytes above (below, when negative) where it was linked to.
        case slide(Int64)
        /// Its lowest loaded segment at this address.
        case address(UInt64)
    }

    /// The file.
    public var path: String
    /// Where it was loaded.
    public var placement: Placement
    /// The addresses of the run that the file answers for; all of its code when `nil`. FROM is in it, TO is not.
    public var range: Range<UInt64>?

    /// For a kernel module: the addresses of the run of its sections, by their names. Such a file is placed by the slide from
    /// where modules are linked to.
    var sections: [String: UInt64] = [:]

    /// How a kernel module is to be linked; `nil` if it has no load address.
    var moduleSections: [String: UInt64]? {
        if case .address = placement { return sections }
        return sections.isEmpty ? nil : sections
    }

    /// Makes a file that ran `slide` bytes above its link addresses.
    public init(path: String, slide: Int64, range: Range<UInt64>? = nil) {
        self.init(path: path, placement: .slide(slide), range: range)
    }

    /// Makes a file with a place.
    public init(path: String, placement: Placement = .linked, range: Range<UInt64>? = nil) {
        self.path = path
        self.placement = placement
        self.range = range
    }

    /// Reads an argument of a command line, as described above.
    public init(argument: String) throws(SymbolError) {
        var rest = Substring(argument)
        self.init(path: argument)
        guard access(argument, F_OK) != 0 else { return }
        if let comma = rest.lastIndex(of: ",") {
            let text = rest[rest.index(after: comma)...]
            let parts = text.split(separator: ":", omittingEmptySubsequences: false)
            guard parts.count == 2, let from = parseNumber(parts[0]), let to = parseNumber(parts[1]), from < to else {
                throw SymbolError(file: argument, kind: .badArgument(String(text)))
            }
            range = from..<to
            rest = rest[..<comma]
        }
        if access(String(rest), F_OK) != 0, let mark = rest.lastIndex(where: { $0 == "@" || $0 == "+" }) {
            let text = rest[rest.index(after: mark)...]
            if rest[mark] == "@" || rest[..<mark].last == "@" {
                guard rest[mark] == "@", let placement = SymbolFile.parsePlacement(text) else {
                    throw SymbolError(file: argument, kind: .badArgument(String(text)))
                }
                self.placement = placement
                rest = rest[..<mark]
            } else if let value = SymbolFile.parseSlide(text) {
                placement = .slide(value)
                rest = rest[..<mark]
            }
        }
        path = String(rest)
    }

    /// Behind `@`: an address; with a sign a slide.
    private static func parsePlacement(_ text: Substring) -> Placement? {
        if text.first == "-" { return parseSlide(text).map(Placement.slide) }
        return parseNumber(text).map(Placement.address)
    }

    /// What was added to a file's addresses, as a command line says it: a number, hexadecimal with `0x`, else decimal,
    /// with a sign where it is negative; `nil` if it is none.
    public static func slide(_ text: String) -> Int64? { parseSlide(Substring(text)) }

    /// A signed 64-bit number; a slide of a kernel may also be given as its unsigned form.
    private static func parseSlide(_ text: Substring) -> Int64? {
        if text.first == "-" {
            guard let value = parseNumber(text.dropFirst()), value <= 1 << 63 else { return nil }
            return Int64(bitPattern: 0 &- value)
        }
        return parseNumber(text).map { Int64(bitPattern: $0) }
    }
}

/// A number, hexadecimal with `0x`, else decimal.
func parseNumber(_ text: Substring) -> UInt64? {
    guard let first = text.utf8.first, first != UInt8(ascii: "+") else { return nil }
    if text.hasPrefix("0x") || text.hasPrefix("0X") {
        let digits = text.dropFirst(2)
        return digits.utf8.first == UInt8(ascii: "+") ? nil : UInt64(digits, radix: 16)
    }
    return UInt64(text, radix: 10)
}
