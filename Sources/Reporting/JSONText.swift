// SPDX-License-Identifier: GPL-2.0-or-later

import FoundationEssentials

/// JSON documents as text.
public enum JSONText {
    /// A value as a JSON document, one entry a line: `schema` and `version` first, the other keys in order, so that two
    /// documents can be compared as text.
    ///
    /// Throws the encoder's error, for example for a number that JSON does not have.
    public static func document(_ value: some Encodable) throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        return schemaFirst(String(decoding: try encoder.encode(value), as: UTF8.self))
    }

    /// A document of one entry a line, indented by two spaces, with the entries `schema` and `version` moved to its
    /// beginning.
    static func schemaFirst(_ document: String) -> String {
        var entries: [String] = []
        for line in document.split(separator: "\n").dropFirst().dropLast() {
            let isEntry = line.hasPrefix("  \"")
            if isEntry || entries.isEmpty {
                entries.append(String(line))
            } else {
                entries[entries.count - 1] += "\n\(line)"
            }
        }
        guard !entries.isEmpty else { return document }
        for index in entries.indices where entries[index].hasSuffix(",") { entries[index].removeLast() }
        let first = ["  \"schema\" :", "  \"version\" :"]
        let head = first.compactMap { key in entries.first { $0.hasPrefix(key) } }
        let rest = entries.filter { entry in !first.contains { entry.hasPrefix($0) } }
        return "{\n" + (head + rest).joined(separator: ",\n") + "\n}"
    }
}
