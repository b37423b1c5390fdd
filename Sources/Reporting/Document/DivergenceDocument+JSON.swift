// SPDX-License-Identifier: GPL-2.0-or-later

import FoundationEssentials

extension DivergenceDocument {
    /// The document as JSON text: schema and version first, the other keys sorted; without a final newline.
    ///
    /// - Throws: `EncodingError`; not for documents that this library made.
    public func json() throws -> String {
        try JSONText.document(self)
    }

    /// Reads a document from JSON text.
    ///
    /// - Throws: `DecodingError` if the text is not JSON, or a field is absent or malformed.
    public init(json: String) throws {
        self = try JSONDecoder().decode(DivergenceDocument.self, from: Data(json.utf8))
    }
}
