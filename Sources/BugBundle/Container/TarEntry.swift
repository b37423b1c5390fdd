// SPDX-License-Identifier: GPL-2.0-or-later

/// The header of a member in the archive: POSIX ustar (IEEE 1003.1, pax, "ustar Interchange Format"), of which one form is
/// written: a regular file, mode 0644, without times and owners.
enum TarEntry {
    static let blockSize = 512
    /// The end of an archive: two blocks of zeros.
    static let end = [UInt8](repeating: 0, count: 2 * blockSize)

    /// The header of a member. The name is valid and the size has at most eleven octal digits.
    static func header(name: String, size: UInt64) -> [UInt8] {
        var block = [UInt8](repeating: 0, count: blockSize)
        func put(_ bytes: some Collection<UInt8>, at offset: Int) {
            for (index, byte) in bytes.enumerated() where offset + index < blockSize { block[offset + index] = byte }
        }
        func octal(_ value: UInt64, digits: Int) -> [UInt8] {
            let text = String(value, radix: 8)
            return Array((String(repeating: "0", count: max(0, digits - text.count)) + text).utf8)
        }
        put(name.utf8.prefix(100), at: 0)
        put(octal(0o644, digits: 7), at: 100)
        put(octal(0, digits: 7), at: 108)
        put(octal(0, digits: 7), at: 116)
        put(octal(size, digits: 11), at: 124)
        put(octal(0, digits: 11), at: 136)
        put("0".utf8, at: 156)
        put("ustar\u{0}00".utf8, at: 257)
        // The checksum is computed with blanks in its place.
        put("        ".utf8, at: 148)
        let sum = block.reduce(0 as UInt64) { $0 + UInt64($1) }
        put(octal(sum, digits: 6) + [0, UInt8(ascii: " ")], at: 148)
        return block
    }

    /// The zeros after a member of that size.
    static func padding(after size: UInt64) -> Int { Int((512 - size % 512) % 512) }

    /// What a header says that is not the expected one, for errors.
    static func kind(of block: [UInt8]) -> String? {
        guard block.count == blockSize else { return nil }
        return switch block[156] {
        case 0, UInt8(ascii: "0"), UInt8(ascii: "7"): nil
        case UInt8(ascii: "1"): "a hard link"
        case UInt8(ascii: "2"): "a symbolic link"
        case UInt8(ascii: "3"): "a character device"
        case UInt8(ascii: "4"): "a block device"
        case UInt8(ascii: "5"): "a directory"
        case UInt8(ascii: "6"): "a FIFO"
        default: "an entry of type \(Int(block[156]))"
        }
    }

    /// The name in a header.
    static func name(of block: [UInt8]) -> String {
        let prefix = block[345..<500].prefix { $0 != 0 }
        let name = block[..<100].prefix { $0 != 0 }
        return String(
            decoding: prefix.isEmpty ? Array(name) : Array(prefix) + [UInt8(ascii: "/")] + Array(name), as: UTF8.self)
    }

    /// The size in a header; nil if it is no octal number.
    static func size(of block: [UInt8]) -> UInt64? {
        let digits = block[124..<136].prefix { $0 != 0 && $0 != UInt8(ascii: " ") }
        return UInt64(String(decoding: digits, as: UTF8.self), radix: 8)
    }
}

/// The names that members may have: relative, at most 100 bytes of letters, digits and `._-+@=,` in at most eight parts,
/// none of which begins with a dot.
enum MemberName {
    static func isValid(_ name: String) -> Bool {
        let parts = name.utf8.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
        return name.utf8.count <= 100 && parts.count <= 8
            && parts.allSatisfy { part in
                !part.isEmpty && part.first != UInt8(ascii: ".") && part.first != UInt8(ascii: "-")
                    && part.allSatisfy(isAllowed)
            }
    }

    /// A name in which every other character is an underscore, for the last part of a path; never empty.
    static func made(from path: String) -> String {
        let last = path.split(separator: "/").last ?? "file"
        var bytes = Array(last.utf8.suffix(60)).map { isAllowed($0) ? $0 : UInt8(ascii: "_") }
        if bytes.isEmpty || bytes[0] == UInt8(ascii: ".") || bytes[0] == UInt8(ascii: "-") {
            bytes.insert(UInt8(ascii: "_"), at: 0)
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    private static func isAllowed(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"):
            true
        default: "._-+@=,".utf8.contains(byte)
        }
    }
}
