// SPDX-License-Identifier: GPL-2.0-or-later

import Formatting
import Mustache

/// What a part of a template shows, by name.
///
/// A name that has no value is `false`: its section is left out. Templates do not look for it in the enclosing parts.
struct Values: MustacheParent {
    private var values: [String: Any] = [:]

    /// - Parameter values: texts, numbers, `Bool`, ``Values``, arrays of these, ``Figure``. Entries that are nil are left
    ///   out.
    init(_ values: [String: Any?]) {
        for (name, value) in values {
            if let value { self.values[name] = value }
        }
    }

    func child(named name: String) -> Any? { values[name] ?? false }
}

/// A value of the document in the page, with the place of the same value in the JSON document.
struct Figure: MustacheParent {
    /// The text in the page; digits of a counter are in groups of three.
    let text: String
    /// The value's place in the document, as a JSON pointer (RFC 6901).
    let pointer: String

    init?(_ text: String?, _ pointer: String) {
        guard let text else { return nil }
        let isCounter = !text.isEmpty && text.utf8.count < 20 && text.utf8.allSatisfy { (0x30...0x39).contains($0) }
        self.text = isCounter ? UInt64(text).map { RowText.grouped($0) } ?? text : text.onOneLine
        self.pointer = pointer
    }

    init?(_ counter: Counter?, _ pointer: String) { self.init(counter?.description, pointer) }

    init?(_ word: HexWord?, _ pointer: String) { self.init(word?.description, pointer) }

    func child(named name: String) -> Any? {
        switch name {
        case "text": text
        case "pointer": pointer
        default: false
        }
    }
}

/// Escapes text for HTML, in elements and in attributes.
///
/// The template engine escapes whole characters. A `<` with a combining mark is another character, and would stay as it
/// is. This one works on code units.
struct HTMLText: MustacheContentType {
    /// The name by which templates ask for it: `{{% CONTENT_TYPE: TT-HTML}}`.
    static let name = "TT-HTML"

    func escapeText(_ text: String) -> String { HTMLText.escaped(text) }

    static func escaped(_ text: String) -> String {
        var bytes: [UInt8] = []
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "<"): bytes += "&lt;".utf8
            case UInt8(ascii: ">"): bytes += "&gt;".utf8
            case UInt8(ascii: "&"): bytes += "&amp;".utf8
            case UInt8(ascii: "\""): bytes += "&quot;".utf8
            case UInt8(ascii: "'"): bytes += "&#39;".utf8
            default: bytes.append(byte)
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}
