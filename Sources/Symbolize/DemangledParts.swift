// SPDX-License-Identifier: GPL-2.0-or-later

/// The parts of a demangled name: `int outer::over<int>(int) [clone .cold]` is the function `outer::over`.
struct DemangledParts {
    private let text: [UInt8]
    /// Where the qualified name begins: after the type that it returns, after `static`.
    private var start = 0
    /// Where the parameters begin; the end of the text if there are none.
    private var end: Int
    /// Where the parameters end.
    private var parametersEnd: Int

    private static let operatorWord = Array("operator".utf8)

    /// Scans a demangled name. Spaces and parentheses within template arguments and within a scope, as in
    /// `(anonymous namespace)::`, are parts of the name.
    init(_ demangled: String) {
        text = Array(demangled.utf8)
        (end, parametersEnd) = (text.count, text.count)
        var at = 0
        while at < text.count {
            switch text[at] {
            case UInt8(ascii: "o") where isOperator(at):
                at += DemangledParts.operatorWord.count
                let symbols = Array("()<>=!-+*/%&|^~[],".utf8)
                if text[at...].starts(with: "()".utf8) {
                    at += 2
                } else {
                    while at < text.count, text[at] != UInt8(ascii: "("), symbols.contains(text[at]) { at += 1 }
                    // `operator bool()`, `operator new(…)`: the words belong to the name.
                    if at < text.count, text[at] == 0x20 {
                        while at < text.count, text[at] != UInt8(ascii: "(") { at += 1 }
                    }
                }
            case UInt8(ascii: "<"): at = endOfGroup(at)
            case UInt8(ascii: "("):
                let after = endOfGroup(at)
                guard after < text.count, text[after] == UInt8(ascii: ":") else {
                    (end, parametersEnd) = (at, after)
                    return
                }
                at = after
            case 0x20:
                if isSuffix(at) {
                    (end, parametersEnd) = (at, at)
                    return
                }
                at += 1
                start = at
            default: at += 1
            }
        }
    }

    /// The names that a person may give for the function, each shorter than the one before.
    var forms: [String] {
        // `vtable for`, `non-virtual thunk to`: another thing than the function.
        let before = text[..<start]
        if before.ends(with: " for ") || before.ends(with: " to ") { return [] }
        var forms = [text(..<parametersEnd), text(start..<parametersEnd), text(start..<end)]
        if end > start, text[end - 1] == UInt8(ascii: ">"), let open = beginningOfGroup(end - 1), open > start {
            forms.append(text(start..<open))
        }
        return forms
    }

    private func text(_ range: some RangeExpression<Int>) -> String { String(decoding: text[range], as: UTF8.self) }

    /// Whether the word `operator` of C++ begins there.
    private func isOperator(_ at: Int) -> Bool {
        guard text[at...].starts(with: DemangledParts.operatorWord) else { return false }
        let next = at + DemangledParts.operatorWord.count
        func isLetter(_ byte: UInt8) -> Bool { byte == 0x5f || 0x30...0x39 ~= byte || 0x41...0x5a ~= byte & ~0x20 }
        return next < text.count && !isLetter(text[next]) && (at == 0 || !isLetter(text[at - 1]))
    }

    /// Whether what follows the name of a function without parameters begins there.
    private func isSuffix(_ at: Int) -> Bool {
        [" [clone ", " : ", " -> "].contains { text[at...].starts(with: $0.utf8) }
    }

    private static let opening = Array("(<".utf8)
    private static let closing = Array(")>".utf8)

    /// After the bracket that closes the one at an index; the end of the text if none does. An arrow closes nothing.
    private func endOfGroup(_ at: Int) -> Int {
        var depth = 0
        for index in at..<text.count {
            if DemangledParts.opening.contains(text[index]) { depth += 1 }
            if DemangledParts.closing.contains(text[index]), text[index - 1] != UInt8(ascii: "-") {
                depth -= 1
                if depth == 0 { return index + 1 }
            }
        }
        return text.count
    }

    /// The bracket that the one at an index closes; `nil` if there is none.
    private func beginningOfGroup(_ at: Int) -> Int? {
        var depth = 0
        for index in stride(from: at, through: 1, by: -1) {
            if DemangledParts.closing.contains(text[index]), text[index - 1] != UInt8(ascii: "-") { depth += 1 }
            if DemangledParts.opening.contains(text[index]) {
                depth -= 1
                if depth == 0 { return index }
            }
        }
        return nil
    }
}

extension ArraySlice<UInt8> {
    fileprivate func ends(with text: String) -> Bool { suffix(text.utf8.count).elementsEqual(text.utf8) }
}
