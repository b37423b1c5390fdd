// SPDX-License-Identifier: GPL-2.0-or-later

extension Event {
    /// The event's fields in words: `vector 32 -> 0xffffffff81a00000`, `port 0x3f8, 1 byte, value 0x41`.
    ///
    /// The words follow from ``EventDefinition/fields``. Text from the log may hold any character: escape it before it
    /// reaches a terminal.
    ///
    /// - Parameter name: returns the name of a code address with a space before it, or an empty string.
    public func details(name: (UInt64) -> String) -> String {
        var text = ""
        for field in fields {
            guard let piece = field.words(in: self, name: name) else { continue }
            if case .joined(let separator) = field.phrase {
                text += separator
            } else if !text.isEmpty {
                text += ", "
            }
            text += piece
        }
        return text
    }
}

extension EventField {
    /// The field in words; nil if the event does not have it or text omits it.
    fileprivate func words(in event: Event, name: (UInt64) -> String) -> String? {
        guard let value = value(in: event) else { return isUnknown(in: event) ? unknown?.text : nil }
        switch phrase {
        case .titled(let title): return "\(title) \(value.text)"
        case .measured(let singular): return "\(value.text) \(singular)\(value == .number(1) ? "" : "s")"
        case .flag(let text): return value == .flag(true) ? text : nil
        case .bare: return value.text
        case .joined:
            if case .address(let address) = value { return value.text + name(address) }
            return value.text
        }
    }
}
