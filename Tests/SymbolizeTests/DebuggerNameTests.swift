// SPDX-License-Identifier: GPL-2.0-or-later

import Foundation
import Testing

@testable import Symbolize

/// The names that gdb gives, beside gdb.
@Suite struct DebuggerNameTests {
    /// What gdb's `p/a` prints after each address; empty if it prints nothing.
    private func gdb(_ program: String, _ addresses: [UInt64]) throws -> [UInt64: String] {
        let script = addresses.map { "p/a 0x\(String($0, radix: 16))\n" }.joined()
        let output = try run(["gdb", "-batch", "-nx", "-x", "/dev/stdin", program], input: script)
        var names: [UInt64: String] = [:]
        for line in output.split(separator: "\n") {
            guard let match = line.wholeMatch(of: /\$\d+ = 0x([0-9a-f]+)(?: <(.*)>)?/),
                let address = UInt64(match.1, radix: 16)
            else { continue }
            names[address] = match.2.map(String.init) ?? ""
        }
        return names
    }

    /// Where a section is.
    private func section(_ name: String, of program: String) throws -> Range<UInt64> {
        for line in try run(["readelf", "-SW", program]).split(separator: "\n") {
            let words = line.split { " []".contains($0) }
            guard words.count > 5, words[1] == name, let start = UInt64(words[3], radix: 16),
                let size = UInt64(words[5], radix: 16)
            else { continue }
            return start..<start + size
        }
        throw CommandFailed(description: "no section \(name)")
    }

    private func compare(_ program: String, addresses: [UInt64]) throws -> [String] {
        let symbolizer = Symbolizer()
        try symbolizer.add(program)
        let theirs = try gdb(program, addresses)
        #expect(theirs.count == addresses.count)
        return addresses.compactMap { address in
            let ours = symbolizer.debuggerName(address)?.description ?? ""
            let name = theirs[address] ?? "(not said)"
            return ours == name ? nil : "0x\(String(address, radix: 16)): \(ours), gdb \(name)"
        }
    }

    /// Every address of the code: C with inlined functions and split-off parts, assembly with and without sizes, aliases.
    @Test(arguments: [Programs.Variant.fixed, .dwarf4, .pie, .unoptimised, .collected])
    func everyAddressOfAProgram(_ variant: Programs.Variant) throws {
        let directory = try ScratchDirectory()
        let program = try Programs.build(variant, in: directory.url)
        let text = try section(".text", of: program)
        let differences = try compare(program, addresses: Array(text))
        #expect(differences.isEmpty, "\(differences.count) of \(text.count): \(differences.prefix(10))")
    }

    /// Without DWARF, and of a libc that is linked in: many aliases and assembly.
    @Test func aProgramWithItsLibrary() throws {
        let directory = try ScratchDirectory()
        let program = try Programs.build(.withLibrary, in: directory.url)
        let text = try section(".text", of: program)
        let step = max(1, UInt64(text.count) / 20_000)
        let addresses = Array(stride(from: text.lowerBound, to: text.upperBound, by: Int(step)))
        let differences = try compare(program, addresses: addresses)
        // Rule: of the two names of a function that glibc chooses at run time gdb takes the resolver's.
        let unexplained = differences.filter { !$0.contains(/, gdb [a-z_]+_ifunc(\+[0-9]+)?$/) }
        #expect(unexplained.isEmpty, "\(unexplained.count) of \(addresses.count): \(unexplained.prefix(10))")
        #expect(differences.count < addresses.count / 200)
    }

    @Test func namesBeforeAndBehind() {
        #expect(DebuggerName(name: "foo", offset: 0).description == "foo")
        #expect(DebuggerName(name: "foo", offset: 12).description == "foo+12")
        #expect(DebuggerName(name: "foo", offset: -34).description == "foo-34")
    }
}
