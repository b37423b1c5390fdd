// SPDX-License-Identifier: GPL-2.0-or-later

/// One level of an inline chain as a reference tool prints it.
struct ReferenceFrame: Hashable, CustomStringConvertible {
    var function: String
    /// `file:line`, without column; `??:0` where there is none.
    var place: String

    var description: String { "\(function) at \(place)" }
}

/// What elfutils and binutils say of addresses: the tools that Symbolize must agree with.
enum ReferenceTools {
    /// `eu-addr2line -f -i`, file names as the compiler wrote them down.
    static func elfutils(_ file: String, _ addresses: [UInt64]) throws -> [UInt64: [ReferenceFrame]] {
        // It exits with 1 when it does not know one of the addresses.
        parse(
            try run(
                ["eu-addr2line", "--relative", "-f", "-i", "-a", "-e", file], input: list(addresses), accepting: 0...1))
    }

    /// The same for offsets in a section of an object file, which eu-addr2line lays out by itself.
    static func elfutils(_ file: String, section: String, offsets: [UInt64]) throws -> [UInt64: [ReferenceFrame]] {
        let command = ["eu-addr2line", "-j", section, "--relative", "-f", "-i", "-a", "-e", file]
        let found = parse(try run(command, input: list(offsets), accepting: 0...1))
        // It prints addresses of its own.
        return Dictionary(uniqueKeysWithValues: zip(offsets.sorted(), found.sorted { $0.key < $1.key }.map(\.value)))
    }

    /// `addr2line -f -i`.
    static func binutils(_ file: String, _ addresses: [UInt64]) throws -> [UInt64: [ReferenceFrame]] {
        parse(try run(["addr2line", "-f", "-i", "-a", "-e", file], input: list(addresses)))
    }

    /// `eu-addr2line -S`: symbol and offset.
    static func elfutilsSymbols(_ file: String, _ addresses: [UInt64]) throws -> [UInt64: String] {
        let output = try run(["eu-addr2line", "-S", "-a", "-e", file], input: list(addresses), accepting: 0...1)
        var result: [UInt64: String] = [:]
        let lines = output.split(separator: "\n")
        for (index, line) in lines.enumerated() where line.hasPrefix("0x") {
            guard let address = UInt64(line.dropFirst(2), radix: 16), index + 1 < lines.count else { continue }
            let text = lines[index + 1]
            // Without a function symbol: "??", or "()+0x12" for a nameless one, or the place follows at once.
            let isMissing = text == "??" || text.hasPrefix("()") || text.contains(":")
            result[address] = isMissing ? "" : String(text)
        }
        return result
    }

    private static func list(_ addresses: [UInt64]) -> String {
        addresses.map { "0x" + String($0, radix: 16) }.joined(separator: "\n") + "\n"
    }

    private static func parse(_ output: String) -> [UInt64: [ReferenceFrame]] {
        var result: [UInt64: [ReferenceFrame]] = [:]
        var address: UInt64 = 0
        var function: String?
        var callPlace: String?
        for line in output.split(separator: "\n") {
            if line.hasPrefix("0x"), let value = UInt64(line.dropFirst(2), radix: 16) {
                address = value
                (function, callPlace) = (nil, nil)
            } else if let name = function {
                // The second frame's place is there twice, and elfutils 0.188 contradicts itself where a function was
                // inlined twice from neighbouring lines: binutils agrees with what its first line says.
                let isCaller = result[address, default: []].count == 1
                let place = isCaller ? callPlace ?? place(line) : place(line)
                result[address, default: []].append(ReferenceFrame(function: name, place: place))
                function = nil
            } else if let inlined = line.firstRange(of: " inlined at "),
                let end = line[inlined.upperBound...].firstRange(of: " in ")
            {
                // elfutils: "leaf inlined at file:1:2 in outer"; the rest of the chain follows.
                function = String(line[..<inlined.lowerBound])
                callPlace = place(line[inlined.upperBound..<end.lowerBound])
            } else {
                function = String(line)
            }
        }
        return result
    }

    /// `file:line`: elfutils adds a column, binutils " (discriminator 3)", and an unknown line is `?` there.
    private static func place(_ line: Substring) -> String {
        let text = line.split(separator: " (discriminator").first ?? line
        var parts = text.split(separator: ":", omittingEmptySubsequences: false)
        if parts.count >= 3, UInt(parts[parts.count - 1]) != nil, UInt(parts[parts.count - 2]) != nil {
            parts.removeLast()
        }
        if parts.last == "?" { parts[parts.count - 1] = "0" }
        return parts.joined(separator: ":")
    }
}
