// SPDX-License-Identifier: GPL-2.0-or-later

/// One line of gdb's machine interface (gdb manual, GDB/MI Output Syntax), as far as the adapter reads it.
enum DebuggerRecord: Equatable {
    /// `N^CLASS,…`: the result of a command with this number; the rest of the line from the comma on.
    case result(number: Int?, class: String, rest: String)
    /// `*stopped,…`: the guest has stopped.
    case stopped
    /// Text of gdb's console: `~"…"`.
    case console(String)
    /// Text of the guest's server: `@"…"`.
    case target(String)
    /// gdb's own messages: `&"…"`.
    case log(String)
    /// Anything else: the prompt, notices.
    case other

    /// Reads a line without its newline.
    init(_ line: some StringProtocol) {
        let digits = line.prefix { $0.isASCII && $0.isNumber }
        let rest = line.dropFirst(digits.count)
        switch rest.first {
        case "^":
            let name = rest.dropFirst().prefix { $0 != "," }
            self = .result(
                number: Int(digits), class: String(name), rest: String(rest.dropFirst(name.count + 1)))
        case "*": self = rest.hasPrefix("*stopped") ? .stopped : .other
        case "~": self = .console(DebuggerRecord.text(rest.dropFirst()))
        case "@": self = .target(DebuggerRecord.text(rest.dropFirst()))
        case "&": self = .log(DebuggerRecord.text(rest.dropFirst()))
        default: self = .other
        }
    }

    /// The value of `,NAME="…"` in the rest of a result record.
    static func value(of name: String, in rest: String) -> String? {
        guard let range = rest.firstRange(of: ",\(name)=\"") else { return nil }
        return text(rest[rest.index(before: range.upperBound)...])
    }

    /// The contents of a C string: escapes for quotes, control characters and bytes in octal.
    static func text(_ string: some StringProtocol) -> String {
        var bytes: [UInt8] = []
        var source = Array(string.utf8.dropFirst())[...]
        while let byte = source.popFirst(), byte != UInt8(ascii: "\"") {
            guard byte == UInt8(ascii: "\\"), let escape = source.popFirst() else {
                bytes.append(byte)
                continue
            }
            switch escape {
            case UInt8(ascii: "n"): bytes.append(0x0a)
            case UInt8(ascii: "t"): bytes.append(0x09)
            case UInt8(ascii: "r"): bytes.append(0x0d)
            case UInt8(ascii: "e"), UInt8(ascii: "a"), UInt8(ascii: "b"), UInt8(ascii: "f"), UInt8(ascii: "v"): break
            case UInt8(ascii: "0")...UInt8(ascii: "7"):
                var value = UInt16(escape - UInt8(ascii: "0"))
                for _ in 0..<2 {
                    guard let next = source.first, (UInt8(ascii: "0")...UInt8(ascii: "7")).contains(next) else { break }
                    value = value << 3 | UInt16(next - UInt8(ascii: "0"))
                    source.removeFirst()
                }
                bytes.append(UInt8(truncatingIfNeeded: value))
            default: bytes.append(escape)
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}
