// SPDX-License-Identifier: GPL-2.0-or-later

import Glibc

/// Symbols as text: `System.map`, `/proc/kallsyms`, the output of `nm`.
///
///     ffffffff81000000 T _text
///     ffffffffc0123000 t helper	[module]
///
/// An address (hexadecimal), a letter, a name, for kallsyms also a module; only code counts (t, T, w, W). There are no
/// sizes: a symbol goes to the next one.
struct SymbolText {
    private let path: String
    private var symbols: [FunctionSymbol] = []
    private var names = StringPool()
    /// The highest address of any symbol: the last function ends there.
    private var highest: UInt64 = 0
    private(set) var warnings: [SymbolError] = []

    /// `nil` when the file is not such a text by its first line. /proc/kallsyms has no size, so this reads, not maps.
    init?(path: String) throws(SymbolError) {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else { throw SymbolError(file: path, kind: .cannotOpen(errno: errno)) }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else { return nil }
        var content = [UInt8](repeating: 0, count: 64)
        let first = read(descriptor, &content, content.count)
        guard first > 0 else { return nil }
        content.removeLast(content.count - first)
        guard SymbolText.parse(content[...].prefix { $0 != 0x0a }) != nil else { return nil }
        var chunk = [UInt8](repeating: 0, count: 1 << 18)
        while true {
            let count = read(descriptor, &chunk, chunk.count)
            if count < 0 && errno == EINTR { continue }
            guard count > 0 else { break }
            content += chunk[..<count]
        }
        self.path = path
        parseLines(content)
    }

    private mutating func parseLines(_ content: [UInt8]) {
        var badLines = 0
        for line in content.split(separator: 0x0a) {
            guard let (address, kind, name) = SymbolText.parse(line) else {
                badLines += 1
                continue
            }
            highest = max(highest, address)
            let isGlobal = kind == UInt8(ascii: "T")
            guard isGlobal || [UInt8(ascii: "t"), UInt8(ascii: "w"), UInt8(ascii: "W")].contains(kind) else { continue }
            let id = name.withUnsafeBytes { names.intern($0) }
            symbols.append(FunctionSymbol(address: address, size: 0, name: id, rank: isGlobal ? 6 : 4))
        }
        if badLines > 0 {
            warnings.append(SymbolError(file: path, kind: .badSymbolLines(count: badLines)))
        }
    }

    private static func parse(_ line: ArraySlice<UInt8>) -> (UInt64, UInt8, ArraySlice<UInt8>)? {
        let parts = line.split(maxSplits: 3) { $0 == 0x20 || $0 == 0x09 }
        guard parts.count >= 3, parts[1].count == 1, let kind = parts[1].first, kind >= 0x41, kind <= 0x7a,
            parts[0].count >= 8, parts[0].count <= 16
        else { return nil }
        var address: UInt64 = 0
        for digit in parts[0] {
            guard let value = hexadecimalDigit(digit) else { return nil }
            address = address << 4 | UInt64(value)
        }
        return (address, kind, parts[2])
    }

    /// The table of the symbols.
    func table() throws(SymbolError) -> SymbolTable {
        // Without the right to see them the kernel shows all addresses as 0.
        guard symbols.contains(where: { $0.address != 0 }) else {
            throw SymbolError(file: path, kind: highest == 0 ? .hiddenAddresses : .noSymbols)
        }
        let low = symbols.map(\.address).min() ?? 0
        let last = symbols.map(\.address).max() ?? 0
        let end = highest > last ? highest : last.addingReportingOverflow(4096).overflow ? .max : last &+ 4096
        guard let table = TableBuilder.build(symbols: symbols, names: names, text: [low..<end]) else {
            throw SymbolError(file: path, kind: .noSymbols)
        }
        return table
    }
}
