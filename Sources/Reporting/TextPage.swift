// SPDX-License-Identifier: GPL-2.0-or-later

/// Lines of a text report, with headings, and colours where they are wanted.
struct TextPage {
    enum Style: String {
        case bold = "1"
        case red = "31"
        case green = "32"
        case dim = "2"
    }

    private let isColored: Bool
    private(set) var lines: [String] = []
    /// Columns that prose is broken at.
    static let width = 100

    init(color: Bool) { isColored = color }

    func styled(_ text: String, _ style: Style) -> String {
        isColored && !text.isEmpty ? "\u{1B}[\(style.rawValue)m\(text)\u{1B}[0m" : text
    }

    mutating func line(_ text: String = "") { lines.append(text) }

    /// An empty line and a heading.
    mutating func heading(_ text: String) {
        line()
        line(styled(text, .bold))
    }

    /// Prose, broken between words, every line indented.
    mutating func prose(_ text: String, indent: Int = 2, hanging: Int? = nil) {
        var current = String(repeating: " ", count: indent)
        let margin = String(repeating: " ", count: hanging ?? indent)
        var isEmpty = true
        for word in text.split(separator: " ") {
            if !isEmpty, current.count + 1 + word.count > TextPage.width {
                line(current)
                current = margin
                isEmpty = true
            }
            current += (isEmpty ? "" : " ") + word
            isEmpty = false
        }
        line(current)
    }

    var text: String { lines.joined(separator: "\n") + "\n" }
}
