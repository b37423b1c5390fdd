// SPDX-License-Identifier: GPL-2.0-or-later

import Glibc

/// Symbols as text: `System.map`, `/proc/kallsyms`, the output of `nm`.
///
///     ffffffff81000000 T _text
///     ffffffffc0123000 t helper	[module]
///     0000000000001139 000000000000002b T main
///                      U puts@GLIBC_2.2.5
///
/// One symbol a line (``Line``). Only code counts. A symbol without a size goes to the next one.
struct SymbolText {
    private let path: String
    private var symbols: [FunctionSymbol] = []
    private var names = StringPool()
    /// The highest address of any symbol: the last function ends there.
    private var highest: UInt64 = 0
    private(set) var warnings: [SymbolError] = []

    /// So much of a file decides whether it is a text of symbols.
    private static let sampleSize = 4096
    /// Longer texts are refused.
    private static let sizeLimit = 1 << 30

    /// `nil` if the file is not such a text by its first lines. Reads, as `/proc/kallsyms` has no size to map.
    init?(path: String) throws(SymbolError) {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else { throw SymbolError(file: path, kind: .cannotOpen(errno: errno)) }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else { return nil }
        var content = [UInt8](repeating: 0, count: SymbolText.sampleSize)
        let first = read(descriptor, &content, content.count)
        guard first > 0 else { return nil }
        content.removeLast(content.count - first)
        guard SymbolText.isText(content) else { return nil }
        var chunk = [UInt8](repeating: 0, count: 1 << 18)
        while true {
            let count = read(descriptor, &chunk, chunk.count)
            if count < 0 && errno == EINTR { continue }
            guard count > 0 else { break }
            content += chunk[..<count]
            guard content.count <= SymbolText.sizeLimit else {
                throw SymbolError(file: path, kind: .tooLarge(bytes: UInt64(max(status.st_size, 0))))
            }
        }
        self.path = path
        parseLines(content)
    }

    /// Whether the first whole lines are those of symbols.
    private static func isText(_ sample: [UInt8]) -> Bool {
        guard !sample.contains(0) else { return false }
        var lines = sample.split(separator: 0x0a, omittingEmptySubsequences: false)
        // The last line may go on after the sample.
        if lines.count > 1 { lines.removeLast() }
        for line in lines where !Line.isBlank(line) {
            if Line(line) != nil { return true }
            guard Line.isHeading(line) else { return false }
        }
        return false
    }

    private mutating func parseLines(_ content: [UInt8]) {
        var badLines = 0
        for text in content.split(separator: 0x0a) where !Line.isBlank(text) {
            guard let line = Line(text) else {
                if !Line.isHeading(text) { badLines += 1 }
                continue
            }
            guard let address = line.address else { continue }
            highest = max(highest, address &+ (line.isCode ? line.size : 0))
            guard line.isCode, !line.name.isEmpty else { continue }
            let id = line.name.prefix(StringPool.nameLimit).withUnsafeBytes { names.intern($0) }
            let rank: UInt32 = (line.size > 0 ? 8 : 0) | (line.isGlobal ? 6 : 4)
            symbols.append(FunctionSymbol(address: address, size: line.size, name: id, rank: rank))
        }
        if badLines > 0 {
            warnings.append(SymbolError(file: path, kind: .badSymbolLines(count: badLines)))
        }
    }

    /// The table of the symbols.
    func table() throws(SymbolError) -> SymbolTable {
        // Without the right to see them the kernel shows all addresses as 0.
        guard symbols.contains(where: { $0.address != 0 }) else {
            throw SymbolError(file: path, kind: highest == 0 && !symbols.isEmpty ? .hiddenAddresses : .noSymbols)
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
