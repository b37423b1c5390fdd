// SPDX-License-Identifier: GPL-2.0-or-later

extension SymbolText {
    /// A line of a text of symbols: `[FILE:][ADDRESS [SIZE]] LETTER NAME`, and after the name, for kallsyms a tab and
    /// `[MODULE]`, for `nm -l` a tab and a source line. A name may have blanks (`nm -C`) and a version (`nm -D`).
    ///
    /// `nm -P` writes `NAME LETTER ADDRESS [SIZE]`, without leading zeros; `nm -f sysv` a table whose columns are divided
    /// by `|`: name, address, letter, type, size, line, section.
    struct Line {
        /// `nil` for a symbol that the file does not define.
        private(set) var address: UInt64?
        /// Bytes; 0 if the line has no size.
        private(set) var size: UInt64 = 0
        /// The letter of nm.
        private var kind: UInt8 = 0
        private(set) var name: ArraySlice<UInt8> = []

        /// Whether the symbol is code, as far as its letter shows.
        var isCode: Bool { "TtWwi".utf8.contains(kind) }
        var isGlobal: Bool { kind == UInt8(ascii: "T") }

        static func isBlank(_ line: ArraySlice<UInt8>) -> Bool { line.allSatisfy(isBlank) }

        /// Whether nm wrote the line between symbols: a file's name and a colon, or the columns of its table.
        static func isHeading(_ line: ArraySlice<UInt8>) -> Bool {
            let text = line.reversed().drop(while: isBlank)
            return text.first == 0x3a || (line.starts(with: "Name ".utf8) && text.starts(with: "noitceS".utf8))
        }

        private static func isBlank(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x09 || byte == 0x0d }

        /// File names before a symbol are looked for at so many colons.
        private static let prefixLimit = 8

        /// `nil` if the line is not that of a symbol.
        init?(_ line: ArraySlice<UInt8>) {
            var line = line
            while let last = line.last, Line.isBlank(last) { line.removeLast() }
            if !parseTable(line), !parse(line), !parsePosix(line) {
                // nm -A: the names of the file and of an archive's member, which may have blanks.
                var rest = line
                var isParsed = false
                for _ in 0..<Line.prefixLimit where !isParsed {
                    guard let colon = rest.firstIndex(of: 0x3a) else { return nil }
                    rest = rest[(colon + 1)...]
                    isParsed = parse(rest)
                }
                guard isParsed else { return nil }
            }
            dropVersion()
        }

        private mutating func parse(_ line: ArraySlice<UInt8>) -> Bool {
            var rest = line
            guard let first = Line.word(&rest) else { return false }
            address = Line.number(first, digits: 8...16)
            size = 0
            var letter = first
            if address != nil {
                guard let next = Line.word(&rest) else { return false }
                letter = next
                if let number = Line.number(next, digits: 8...16), let third = Line.word(&rest) {
                    size = number
                    letter = third
                }
            }
            guard letter.count == 1, let kind = letter.first, Line.isKind(kind),
                address != nil || "UwvW".utf8.contains(kind)
            else { return false }
            self.kind = kind
            name = rest.prefix { $0 != 0x09 }
            // nm -a: a source file may have no name.
            return !name.isEmpty || address != nil
        }

        private mutating func parseTable(_ line: ArraySlice<UInt8>) -> Bool {
            let columns = line.split(separator: 0x7c, omittingEmptySubsequences: false)
            // A demangled name may have `|` of its own.
            guard columns.count >= 7 else { return false }
            func word(_ fromEnd: Int) -> ArraySlice<UInt8>? {
                var column = columns[columns.count - fromEnd]
                return Line.word(&column)
            }
            guard let letter = word(5), letter.count == 1, let kind = letter.first, Line.isKind(kind) else {
                return false
            }
            address = word(6).flatMap { Line.number($0, digits: 8...16) }
            size = word(3).flatMap { Line.number($0, digits: 8...16) } ?? 0
            self.kind = kind
            name = line[..<columns[columns.count - 7].endIndex]
            while let last = name.last, Line.isBlank(last) { name.removeLast() }
            return !name.isEmpty
        }

        private mutating func parsePosix(_ line: ArraySlice<UInt8>) -> Bool {
            var words = line.split { Line.isBlank($0) }
            // nm -AP: `FILE: ` and, of an archive, `FILE[MEMBER]: `.
            if words.count > 2, words.first?.last == 0x3a { words.removeFirst() }
            guard words.count >= 2 else { return false }
            // The letter is followed by one number, two, or (undefined) none.
            for count in 0...min(2, words.count - 2) {
                let at = words.count - 1 - count
                let numbers = words[(at + 1)...].map { Line.number($0, digits: 1...16) }
                guard words[at].count == 1, let kind = words[at].first, Line.isKind(kind),
                    !numbers.contains(nil), count > 0 || "UwvW".utf8.contains(kind)
                else { continue }
                address = numbers.first ?? nil
                size = numbers.count > 1 ? (numbers[1] ?? 0) : 0
                self.kind = kind
                words.removeSubrange(at...)
                guard let first = words.first, let last = words.last else { return false }
                name = line[first.startIndex..<last.endIndex]
                return true
            }
            return false
        }

        /// `printf@@GLIBC_2.2.5`, `puts@GLIBC_2.2.5`: the symbol's version is no part of its name.
        private mutating func dropVersion() {
            guard let at = name.lastIndex(of: 0x40), at > name.startIndex,
                name[(at + 1)...].allSatisfy({
                    $0 == 0x5f || $0 == 0x2e || 0x30...0x39 ~= $0 || 0x41...0x5a ~= $0 & ~0x20
                })
            else { return }
            name = name[..<at]
            if name.last == 0x40, name.count > 1 { name.removeLast() }
        }

        /// The next word; blanks before and after it are passed over.
        private static func word(_ rest: inout ArraySlice<UInt8>) -> ArraySlice<UInt8>? {
            rest = rest.drop(while: isBlank)
            let word = rest.prefix { !isBlank($0) }
            rest = rest[word.endIndex...].drop(while: isBlank)
            return word.isEmpty ? nil : word
        }

        /// Letters and `?`, `-` (nm's stabs).
        private static func isKind(_ byte: UInt8) -> Bool {
            0x41...0x5a ~= byte & ~0x20 || byte == 0x3f || byte == 0x2d
        }

        private static func number(_ word: ArraySlice<UInt8>, digits: ClosedRange<Int>) -> UInt64? {
            guard digits.contains(word.count) else { return nil }
            var value: UInt64 = 0
            for digit in word {
                guard let next = hexadecimalDigit(digit) else { return nil }
                value = value << 4 | UInt64(next)
            }
            return value
        }
    }
}
