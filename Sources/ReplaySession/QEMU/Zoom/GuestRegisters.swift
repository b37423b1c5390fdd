// SPDX-License-Identifier: GPL-2.0-or-later

/// The registers of a stopped guest, from the answer of QEMU's `info registers`.
///
/// The names are QEMU's: `RAX`, `RIP`, `RFL`, `CR3`, `XMM00`, … In 32-bit code, too: `EAX` is `RAX`. A segment register
/// has its four numbers in one value.
public struct GuestRegisters: Sendable, Equatable {
    /// A register and its value, as QEMU writes it.
    public struct Register: Sendable, Equatable {
        /// QEMU's name.
        public var name: String
        /// Hexadecimal digits; several groups for a register of several parts.
        public var value: String
    }

    /// All registers in QEMU's order.
    public let list: [Register]

    /// Reads QEMU's text: `NAME=VALUE`, `NAME =VALUE`, several in a line. Text in brackets and single letters are left out.
    public init(text: String) {
        var list: [Register] = []
        for line in text.split(whereSeparator: \.isNewline) where line.contains("=") {
            var name = ""
            for word in line.split(separator: " ") {
                if let equals = word.firstIndex(of: "=") {
                    name = equals == word.startIndex ? name : String(word[..<equals])
                    let value = String(word[word.index(after: equals)...])
                    list.append(Register(name: GuestRegisters.wide[name] ?? name, value: value))
                    name = ""
                } else if word.allSatisfy(\.isHexDigit), word.count >= 4, !list.isEmpty {
                    list[list.count - 1].value += " \(word)"
                } else {
                    name = String(word)
                }
            }
        }
        self.list = list
        let segment = text.firstRange(of: "CS64") ?? text.firstRange(of: "CS32")
        codeBits = segment.map { text[$0].hasSuffix("64") ? 64 : 32 } ?? 16
    }

    /// The names of the wide registers by those that QEMU shows in 16-bit and 32-bit code.
    private static let wide = Dictionary(
        uniqueKeysWithValues: ["AX", "BX", "CX", "DX", "SI", "DI", "BP", "SP", "IP", "FL"].map { ("E\($0)", "R\($0)") })

    /// The size of the code segment's operands: 16, 32 or 64.
    public let codeBits: Int

    /// The value of a register of up to 64 bits.
    public subscript(name: String) -> UInt64? {
        list.first { $0.name == name }.flatMap { UInt64($0.value, radix: 16) }
    }

    /// The registers that differ, as pairs.
    public func differences(from other: GuestRegisters) -> [(name: String, here: String, there: String)] {
        zip(list, other.list).filter { $0.name == $1.name && $0.value != $1.value }
            .map { ($0.name, $0.value, $1.value) }
    }
}
