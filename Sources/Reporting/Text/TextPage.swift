// SPDX-License-Identifier: GPL-2.0-or-later

/// How a report is written as text.
public struct TextStyle: Hashable, Sendable {
    /// The columns of a line. Prose is broken between words; a row with a long symbol can be longer.
    public var width: Int
    /// Whether the text has colours, as ANSI escape sequences.
    public var isColored: Bool

    /// A style. Widths below 40 count as 40.
    public init(width: Int = 80, isColored: Bool = false) {
        self.width = max(40, width)
        self.isColored = isColored
    }
}

/// The lines of a text report.
struct TextPage {
    /// Colours and weights, as SGR parameters.
    enum Emphasis: String {
        case bold = "1"
        case red = "31"
        case green = "32"
        case dim = "2"
    }

    let style: TextStyle
    private(set) var lines: [String] = []

    init(_ style: TextStyle) { self.style = style }

    func styled(_ text: String, _ emphasis: Emphasis) -> String {
        style.isColored && !text.isEmpty ? "\u{1B}[\(emphasis.rawValue)m\(text)\u{1B}[0m" : text
    }

    mutating func line(_ text: String = "") { lines.append(text) }

    /// An empty line and a heading.
    mutating func heading(_ text: String) {
        line()
        line(styled(text, .bold))
    }

    /// Prose, broken between words, with every line indented.
    mutating func prose(_ text: String, indent: Int = 2, hanging: Int? = nil) {
        var current = String(repeating: " ", count: indent)
        let margin = String(repeating: " ", count: hanging ?? indent)
        var isEmpty = true
        for word in text.split(separator: " ") {
            if !isEmpty, current.count + 1 + word.count > style.width {
                line(current)
                current = margin
                isEmpty = true
            }
            current += (isEmpty ? "" : " ") + word
            isEmpty = false
        }
        line(current)
    }

    /// A row made of pieces with a blank between them. A piece that does not fit begins an indented line.
    mutating func pieces(_ pieces: [String], hanging: Int) {
        guard var current = pieces.first else { return }
        for piece in pieces.dropFirst() {
            if current.count + 1 + piece.count <= style.width {
                current += " " + piece
            } else {
                line(current)
                current = String(repeating: " ", count: hanging) + piece.drop { $0 == " " }
            }
        }
        line(current)
    }

    var text: String { lines.joined(separator: "\n") + "\n" }
}
