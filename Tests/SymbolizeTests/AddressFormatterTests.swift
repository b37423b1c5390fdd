// SPDX-License-Identifier: GPL-2.0-or-later

import Formatting
import Foundation
import Testing

@testable import Symbolize

/// Answers for lists of addresses: what is copied from an answer before is what would have been made.
@Suite struct AddressFormatterTests {
    private let scratch: ScratchDirectory

    init() throws { scratch = try ScratchDirectory() }

    private func text(_ body: (inout TextBuffer) -> Void) -> String {
        var text = TextBuffer()
        body(&text)
        return text.withBytes { String(decoding: $0, as: UTF8.self) }
    }

    /// All styles.
    private func formatters(_ symbolizer: Symbolizer) -> [AddressFormatter] {
        (0..<32).map { bits in
            var formatter = AddressFormatter(symbolizer)
            formatter.style = bits & 1 != 0 ? .json : .addr2line
            formatter.functions = bits & 2 != 0
            formatter.inlines = bits & 4 != 0
            formatter.addresses = bits & 8 != 0
            formatter.basenames = bits & 16 != 0
            return formatter
        }
    }

    /// A list gives what its addresses give one by one.
    private func expectOneAnswer(_ symbolizer: Symbolizer, _ addresses: [UInt64]) {
        for formatter in formatters(symbolizer) {
            let list = text { formatter.append(AddressList(addresses: addresses, unknown: []), to: &$0) }
            let single = addresses.map { address in
                text { formatter.append(address, to: &$0) } + (formatter.style == .json ? "\n" : "")
            }
            #expect(list == single.joined())
        }
    }

    @Test func aListGivesWhatItsAddressesGive() throws {
        let symbolizer = Symbolizer()
        let code = try symbolizer.add(try Programs.build(.fixed, in: scratch.url)).range
        // Between the functions there is padding, around them nothing.
        expectOneAnswer(symbolizer, Array(code.lowerBound - 100..<code.upperBound + 100))
        expectOneAnswer(
            symbolizer, (0..<5000).map { _ in .random(in: code.lowerBound - 100..<code.upperBound + 100) })
        expectOneAnswer(symbolizer, [UInt64](repeating: code.lowerBound, count: 200))
        expectOneAnswer(symbolizer, [0, .max, 0, code.lowerBound])
        expectOneAnswer(symbolizer, [])
    }

    /// The same stretches of the same file, in turn, at two places and under another path: module and begin of the
    /// function differ, all numbers of the answer but the module's are equal.
    @Test func oneFileAtTwoPlacesKeepsItsAnswersApart() throws {
        let symbolizer = Symbolizer()
        let path = try Programs.build(.fixed, in: scratch.url)
        let code = try symbolizer.add(path).range
        let other = scratch.url.appendingPathComponent("other \"name\"").path
        try FileManager.default.copyItem(atPath: path, toPath: other)
        try symbolizer.add(other, slide: 0x1000_0000)
        let addresses = code.flatMap { [$0, $0 + 0x1000_0000] }
        expectOneAnswer(symbolizer, addresses)

        var formatter = AddressFormatter(symbolizer)
        formatter.style = .json
        let address = try #require(code.first { symbolizer.symbolize($0)?.frames.isEmpty == false })
        let pair = AddressList(addresses: [address, address + 0x1000_0000, address], unknown: [])
        let lines = text { formatter.append(pair, to: &$0) }.split(separator: "\n")
        try #require(lines.count == 3)
        let objects = try lines.map {
            try #require(try JSONSerialization.jsonObject(with: Data($0.utf8)) as? [String: Any])
        }
        #expect(objects.map { $0["ModuleName"] as? String } == [path, other, path])
        let starts = try objects.map { object in
            let frame = try #require((object["Symbol"] as? [[String: Any]])?.first)
            let start = try #require(frame["StartAddress"] as? String)
            return try #require(UInt64(start.dropFirst(2), radix: 16))
        }
        #expect(starts == [starts[0], starts[0] + 0x1000_0000, starts[0]])
    }

    /// Lines that are no addresses are answered as unknown, also where a file knows address 0.
    @Test func linesThatAreNoAddressesAreUnknown() throws {
        let symbolizer = Symbolizer()
        let map = "0000000000000000 T zero\n0000000000001000 T next\n"
        try symbolizer.add(try scratch.write(map.utf8, to: "System.map"))
        var formatter = AddressFormatter(symbolizer)
        formatter.functions = true
        let addresses = [UInt64](repeating: 0, count: 200)
        let list = AddressList(addresses: addresses, unknown: [0, 63, 64, 65, 199])
        let names = text { formatter.append(list, to: &$0) }.split(separator: "\n")
        #expect(names.count == 400)
        let unknown = stride(from: 0, to: names.count, by: 2).filter { names[$0] == "??" }.map { $0 / 2 }
        #expect(unknown == list.unknown)
    }

    /// Each answer is below its own address.
    @Test func addressesAreNotCopied() throws {
        let symbolizer = Symbolizer()
        let map = "0000000000001000 T one\n0000000000002000 T two\n0000000000003000 t end\n"
        try symbolizer.add(try scratch.write(map.utf8, to: "System.map"))
        var formatter = AddressFormatter(symbolizer)
        (formatter.functions, formatter.addresses) = (true, true)
        let list = AddressList(addresses: [0x1000, 0x1fff, 0x2000, 0x1001, 0x2abc, 0x10], unknown: [])
        let expected = zip(list.addresses, ["one", "one", "two", "one", "two", "??"]).map { address, name in
            "0x" + String(repeating: "0", count: 16 - String(address, radix: 16).count)
                + "\(String(address, radix: 16))\n\(name)\n??:0\n"
        }
        #expect(text { formatter.append(list, to: &$0) } == expected.joined())
    }

    @Test func hexadecimalDigitsAreWrittenAtOnce() {
        for shift in 0..<64 {
            for value: UInt64 in [0, 1, .max >> shift, 0x0123_4567_89ab_cdef << shift, 0xfedc_ba98_7654_3210 >> shift] {
                for digits in [0, 1, 2, 9, 16] {
                    let plain = String(value, radix: 16)
                    let expected = String(repeating: "0", count: max(0, digits - plain.count)) + plain
                    #expect(text { $0.appendHexadecimal(value, digits: digits) } == expected)
                }
            }
        }
    }

    @Test func decimalDigitsAreWrittenAtOnce() {
        func expect(_ value: UInt64) { #expect(text { $0.appendDecimal(value) } == String(value)) }
        for value in 0...20_000 { expect(UInt64(value)) }
        var power: UInt64 = 1
        for _ in 0..<20 {
            for value in [power &- 1, power, power &+ 1, power &* 7, power &+ power / 10] { expect(value) }
            power = power &* 10
        }
        // Each pair and each half of eight digits.
        for half in 0..<10_000 { expect(UInt64(half * 10_000 + 9_999 - half)) }
        expect(.max)
        expect(UInt64(UInt32.max))
    }

    /// Text in JSON strings: every byte at every place.
    @Test func textIsEscapedWhereItMustBe() throws {
        for byte in UInt8(1)..<0x80 {
            for (size, place) in [(1, 0), (7, 3), (8, 0), (8, 7), (9, 8), (15, 8), (15, 14), (16, 15), (21, 5)] {
                var bytes = [UInt8](repeating: 0x61, count: size)
                bytes[place] = byte
                let made = text { text in bytes.withUnsafeBufferPointer { text.appendEscaped($0) } }
                #expect(
                    try JSONDecoder().decode([String].self, from: Data("[\"\(made)\"]".utf8)).map { Array($0.utf8) }
                        == [bytes])
                let isSpecial = byte < 0x20 || byte == 0x22 || byte == 0x5c
                #expect((made.utf8.count > size) == isSpecial)
            }
        }
        let broken: [UInt8] = [0x61, 0xff, 0x61, 0x61, 0x61, 0x61, 0x61, 0x61, 0x61]
        #expect(text { text in broken.withUnsafeBufferPointer { text.appendEscaped($0) } } == "a\u{fffd}aaaaaaa")
    }
}
