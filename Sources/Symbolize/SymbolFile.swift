// SPDX-License-Identifier: GPL-2.0-or-later

import Glibc

/// A symbol file as command lines name it: `FILE[@SLIDE][,FROM:TO]`.
///
///     vmlinux
///     init@0x555555554000                      loaded that much higher than it was linked
///     program,0x400000:0x500000                answers only for these addresses of the run
///
/// Numbers are hexadecimal with `0x`, else decimal; the slide may be negative. A file whose name contains `@` or `,`
/// is taken as it is when it exists.
public struct SymbolFile: Hashable, Sendable {
    public var path: String
    /// What to add to the file's addresses to get those of the run.
    public var slide: Int64
    /// The addresses of the run that the file answers for; all of its code when `nil`. FROM is in it, TO is not.
    public var range: Range<UInt64>?

    public init(path: String, slide: Int64 = 0, range: Range<UInt64>? = nil) {
        self.path = path
        self.slide = slide
        self.range = range
    }

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
        if let at = rest.lastIndex(of: "@") {
            let text = rest[rest.index(after: at)...]
            guard let value = SymbolFile.parseSlide(text) else {
                throw SymbolError(file: argument, kind: .badArgument(String(text)))
            }
            slide = value
            rest = rest[..<at]
        }
        path = String(rest)
    }

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
