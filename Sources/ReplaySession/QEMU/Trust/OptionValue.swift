// SPDX-License-Identifier: GPL-2.0-or-later

/// The value of one of QEMU's options: `first,key=value,key=value`, where `,,` is a comma.
struct OptionValue {
    /// The parts in their order; a part without `=` has no key.
    let parts: [(key: String?, value: String)]

    init(_ text: String) {
        parts = OptionValue.split(text).map { part in
            guard let equals = part.firstIndex(of: "=") else { return (nil, part) }
            return (String(part[..<equals]), String(part[part.index(after: equals)...]))
        }
    }

    /// The value of the last part with this key.
    subscript(key: String) -> String? { parts.last { $0.key == key }?.value }

    /// The first part where it has no key.
    var first: String? { parts.first.flatMap { $0.key == nil ? $0.value : nil } }

    /// Splits at single commas.
    private static func split(_ text: String) -> [String] {
        var parts: [String] = []
        var part = ""
        var rest = Substring(text)
        while let character = rest.popFirst() {
            guard character == "," else {
                part.append(character)
                continue
            }
            if rest.first == "," {
                rest.removeFirst()
                part.append(",")
            } else {
                parts.append(part)
                part = ""
            }
        }
        return parts + [part]
    }
}
