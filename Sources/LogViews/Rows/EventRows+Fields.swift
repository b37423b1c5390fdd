// SPDX-License-Identifier: GPL-2.0-or-later

import Formatting
import LogFormat

extension RowEncoder {
    /// The fields of an event's kind as an object, under the names of the table of kinds; for JSON only. Fields that the
    /// record does not have are left out.
    mutating func kindFields(of event: Event) {
        key("fields")
        text.append(0x7b)
        var isFirst = true
        for field in event.kind.definition?.fields ?? EventDefinition.fieldsOfUnknownKind {
            guard let value = field.value(in: event) else { continue }
            if !isFirst { text.append(0x2c) }
            isFirst = false
            text.appendJSON(field.name)
            text.append(0x3a)
            self.value(value)
        }
        text.append("},")
    }

    /// A value in JSON: 64-bit numbers and addresses as strings, words as an array of strings, bytes as digits.
    private mutating func value(_ value: EventField.Value) {
        switch value {
        case .number, .address, .word, .name, .text: text.appendJSON(value.text)
        case .flag(let isSet): text.append(isSet ? "true" : "false")
        case .words(let words):
            text.append(0x5b)
            for (index, word) in words.enumerated() {
                if index > 0 { text.append(0x2c) }
                text.appendJSON(RowText.hex(word))
            }
            text.append(0x5d)
        case .bytes(let bytes):
            text.append(0x22)
            for byte in bytes { text.appendHexadecimal(UInt64(byte), digits: 2) }
            text.append(0x22)
        }
    }
}
