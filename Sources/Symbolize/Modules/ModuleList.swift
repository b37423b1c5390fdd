// SPDX-License-Identifier: GPL-2.0-or-later

import Glibc

/// Which kernel modules were loaded and where, as a running Linux says it to root.
///
///     virtio_blk 28672 0 - Live 0xffffffffc0593000 (E)                   a line of /proc/modules
///     /sys/module/virtio_blk/sections/.text:0xffffffffc0593000           a line of: grep . /sys/module/*/sections/*
///
/// One text may have both kinds of lines. Where a module's sections are known they hold, else its address does and
/// its code is laid out from there.
public struct ModuleList: Sendable {
    /// One module.
    public struct Entry: Hashable, Sendable {
        /// As the kernel has it: with `_`, where the file's name may have `-`.
        public var name: String
        /// Where its code begins; `nil` if only sections are known.
        public var address: UInt64?
        /// Addresses of its sections by their names.
        public var sections: [String: UInt64] = [:]
    }

    /// In the order of the text, each module once.
    public private(set) var entries: [Entry] = []
    /// Lines that are of neither kind.
    public private(set) var badLines = 0
    private var indexOfName: [String: Int] = [:]

    /// Longer texts are none: a kernel with 10,000 modules says less.
    static let sizeLimit = 16 << 20

    /// Reads a text file.
    public init(path: String) throws(SymbolError) {
        let file = try MappedFile(path: path)
        guard file.bytes.count <= ModuleList.sizeLimit else { throw SymbolError(file: path, kind: .noModules) }
        self.init(Array(file.bytes.buffer))
        guard !entries.isEmpty else { throw SymbolError(file: path, kind: .noModules) }
        guard entries.contains(where: { ($0.address ?? 0) != 0 || $0.sections.values.contains { $0 != 0 } }) else {
            throw SymbolError(file: path, kind: .hiddenModules)
        }
    }

    init(_ text: [UInt8]) {
        for line in text.split(separator: 0x0a) {
            let words = line.split(maxSplits: 8) { $0 == 0x20 || $0 == 0x09 || $0 == 0x0d }
            if words.count == 1, let (name, section, address) = ModuleList.section(words[0]) {
                entries[index(of: name)].sections[section] = address
            } else if words.count >= 6, words[1].allSatisfy({ $0 >= 0x30 && $0 <= 0x39 }),
                let name = ModuleList.name(words[0]), let address = ModuleList.address(words[5])
            {
                entries[index(of: name)].address = address
            } else if !words.isEmpty {
                badLines += 1
            }
        }
    }

    private mutating func index(of name: String) -> Int {
        if let index = indexOfName[name] { return index }
        indexOfName[name] = entries.count
        entries.append(Entry(name: name))
        return entries.count - 1
    }

    /// `…/NAME/sections/SECTION:ADDRESS`
    private static func section(_ word: ArraySlice<UInt8>) -> (String, String, UInt64)? {
        guard let colon = word.lastIndex(of: UInt8(ascii: ":")), let address = address(word[(colon + 1)...]) else {
            return nil
        }
        let parts = word[..<colon].split(separator: UInt8(ascii: "/"))
        guard parts.count >= 3, parts[parts.count - 2].elementsEqual("sections".utf8),
            let name = name(parts[parts.count - 3]), let section = parts.last, section.count <= 128
        else { return nil }
        return (name, String(decoding: section, as: UTF8.self), address)
    }

    private static func name(_ word: ArraySlice<UInt8>) -> String? {
        let isName = word.count <= 64 && word.allSatisfy { $0 == UInt8(ascii: "-") || isWordByte($0) }
        return isName ? normalized(String(decoding: word, as: UTF8.self)) : nil
    }

    /// A module's name from that of its file.
    static func normalized(_ name: String) -> String {
        String(decoding: name.utf8.map { $0 == UInt8(ascii: "-") ? UInt8(ascii: "_") : $0 }, as: UTF8.self)
    }

    private static func isWordByte(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x30...0x39, 0x41...0x5a, 0x61...0x7a, UInt8(ascii: "_"): true
        default: false
        }
    }

    /// Hexadecimal with `0x`.
    private static func address(_ word: ArraySlice<UInt8>) -> UInt64? {
        guard word.count > 2, word.count <= 18, word.starts(with: "0x".utf8) else { return nil }
        var value: UInt64 = 0
        for byte in word.dropFirst(2) {
            guard let digit = hexadecimalDigit(byte) else { return nil }
            value = value << 4 | UInt64(digit)
        }
        return value
    }
}
