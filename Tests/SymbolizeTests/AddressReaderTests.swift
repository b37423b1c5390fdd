// SPDX-License-Identifier: GPL-2.0-or-later

import Foundation
import Testing

@testable import Symbolize

/// Lists of addresses on standard input.
@Suite struct AddressReaderTests {
    private let scratch: ScratchDirectory

    init() throws { scratch = try ScratchDirectory() }

    private func read(_ text: String) throws -> [UInt64?] {
        let path = try scratch.write(text.utf8, to: "addresses")
        let descriptor = open(path, O_RDONLY)
        defer { close(descriptor) }
        let symbolizer = Symbolizer()
        var reader = AddressReader(descriptor, for: symbolizer)
        var found: [UInt64?] = []
        var lines: [UInt8] = []
        while try reader.next(into: &lines) {
            let list = lines.withUnsafeBufferPointer { AddressReader.parse($0, symbolizer) }
            #expect(list.unknown.allSatisfy { list.addresses[$0] == 0 })
            found += list.addresses.indices.map { list.unknown.contains($0) ? nil : list.addresses[$0] }
        }
        return found
    }

    /// Lines lie across the ends of the pieces in which the file is read.
    @Test func aLongListIsReadLineByLine() throws {
        let addresses = (0..<60_000).map { (index: UInt64) in
            (index &* 0x9e37_79b9_7f4a_7c15) >> (index % 40)
        }
        #expect(try read(addresses.map { hexadecimal($0) }.joined(separator: "\n")) == addresses)
        #expect(try read(addresses.map { String($0, radix: 16).uppercased() + " \r\n" }.joined()) == addresses)
    }

    @Test func linesThatAreNoAddressesAreToldApart() throws {
        let long = String(repeating: "1", count: 300_000)
        let lines: [(String, [UInt64?])] = [
            ("0x10", [16]), ("10", [16]), ("  0XfF\t", [255]), ("", [nil]), (" \t", [nil]), ("0x", [nil]),
            ("xyz", [nil]),
            ("12 13", [nil]), ("ffffffffffffffff", [.max]), ("00ffffffffffffffff", [.max]),
            ("1ffffffffffffffff", [nil]), ("g", [nil]), ("`", [nil]), ("1:2", [nil]), ("@", [nil]), ("/", [nil]),
        ]
        for (line, expected) in lines { #expect(try read(line + "\n") == expected, "\(line)") }
        #expect(try read(lines.map { $0.0 }.joined(separator: "\n")) == lines.flatMap { $0.1 })
        // Longer than the reader keeps: no address, and what follows is read.
        let found = try read("\(long)\n0x20\n")
        #expect(found.dropLast().allSatisfy { $0 == nil } && !found.dropLast().isEmpty && found.last == 0x20)
    }

    @Test func everyDigitIsRead() {
        for byte in UInt8.min...UInt8.max {
            let text = String(UnicodeScalar(byte))
            #expect(hexadecimalDigit(byte) == (byte < 0x80 ? UInt8(text, radix: 16) : nil), "\(byte)")
        }
    }

    /// Eight characters at once, as one by one: every byte at every place, among digits.
    @Test func eightDigitsAreReadAtOnce() {
        func expect(_ bytes: [UInt8]) {
            let digits = bytes.prefix { hexadecimalDigit($0) != nil }
            let value = digits.reduce(0) { $0 << 4 | UInt64(hexadecimalDigit($1) ?? 0) }
            let text = bytes.withUnsafeBytes { $0.loadUnaligned(as: UInt64.self) }
            #expect(hexadecimalDigits(text) == (value, digits.count), "\(bytes)")
        }
        for byte in UInt8.min...UInt8.max {
            for place in 0..<8 {
                for rest in ["01234567", "89abcdef", "FEDCBA98", "fffff\n0x"] {
                    var bytes = Array(rest.utf8)
                    bytes[place] = byte
                    expect(bytes)
                }
            }
            expect([UInt8](repeating: byte, count: 8))
        }
    }

    /// Lines of all lengths, read at once or looked at more closely, beside each other.
    @Test func plainLinesAndOthersMix() throws {
        var lines: [(text: String, address: UInt64?)] = []
        for count in 1...18 {
            let digits = String("9aBcDeF012345678f0".prefix(count))
            for prefix in ["", "0x", "0X"] {
                for end in ["", "\r", " ", "g", "x1"] {
                    let isPlain = end.allSatisfy(\.isWhitespace)
                    lines.append((prefix + digits + end, isPlain ? UInt64(digits, radix: 16) : nil))
                }
            }
        }
        lines.append(("0x0x1", nil))
        lines.append(("00x1", nil))
        for _ in 0..<20 {
            lines.shuffle()
            #expect(try read(lines.map(\.text).joined(separator: "\n")) == lines.map(\.address))
        }
    }
}
