// SPDX-License-Identifier: GPL-2.0-or-later

import Formatting
import Foundation
import Testing

@testable import Symbolize

/// Symbolize against elfutils and binutils, on every address of real programs.
@Suite struct AgreementTests {
    /// Our answer in the reference tools' form.
    private static func frames(_ found: Symbolized?) -> [ReferenceFrame] {
        guard let found else { return [ReferenceFrame(function: "??", place: "??:0")] }
        if found.frames.isEmpty { return [ReferenceFrame(function: found.symbol ?? "??", place: "??:0")] }
        return found.frames.map { frame in
            ReferenceFrame(function: frame.function, place: frame.file.map { "\($0):\(frame.line)" } ?? "??:0")
        }
    }

    private func report(_ differences: [String], of count: Int) {
        let number = differences.count
        #expect(number == 0, "\(number) of \(count):\n\(differences.prefix(5).joined(separator: "\n"))")
    }

    private static func textAddresses(_ path: String) throws -> [UInt64] {
        let image = try ELFImage(path: path, machine: .x86_64)
        // The C library of a static program is large and has no DWARF: a part of it will do.
        return image.text.flatMap { Array($0).prefix(15_000) }
    }

    @Test(arguments: Programs.Variant.allCases)
    func everyAddressAgreesWithElfutils(_ variant: Programs.Variant) throws {
        let scratch = try ScratchDirectory()
        try compareWithElfutils(try Programs.build(variant, in: scratch.url))
    }

    @Test(arguments: Programs.Variant.allCases)
    func everyAddressAgreesWithBinutils(_ variant: Programs.Variant) throws {
        let scratch = try ScratchDirectory()
        try compareWithBinutils(try Programs.build(variant, in: scratch.url))
    }

    /// The small guest that other tests record: freestanding, linked by a script of its own, much assembly.
    @Test(.enabled(if: access(tinyGuest, R_OK) == 0, "make guests"))
    func everyAddressOfTheSmallGuestAgrees() throws {
        try compareWithElfutils(Self.tinyGuest)
        try compareWithBinutils(Self.tinyGuest)
    }

    /// Two stripped programs whose debug files share a third one, as Debian's packages have them.
    @Test(arguments: [Programs.Variant.pie, .dwarf4])
    func everyAddressAgreesWhereDwzMovedWhatIsCommon(_ variant: Programs.Variant) throws {
        let scratch = try ScratchDirectory()
        let whole = try Programs.build(variant, in: scratch.url)
        let names = ["one", "two"]
        for name in names {
            _ = try run(["objcopy", "--only-keep-debug", whole, scratch.path("\(name).debug")])
        }
        _ = try run(["dwz", "-m", scratch.path("common.debug")] + names.map { scratch.path("\($0).debug") })
        for name in names {
            let debug = scratch.path("\(name).debug")
            #expect(try ELFImage(path: debug, machine: .x86_64).section(named: ".gnu_debugaltlink") != nil)
            let stripped = scratch.path(name)
            _ = try run(["objcopy", "--strip-all", "--add-gnu-debuglink=\(debug)", whole, stripped])
            #expect(try Symbolizer().add(stripped).warnings.isEmpty)
            try compareWithElfutils(stripped)
        }
    }

    private static let tinyGuest = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .appendingPathComponent("../../hypervisor/guests/tiny/build/tiny.elf").standardized.path

    private func compareWithElfutils(_ path: String) throws {
        let symbolizer = Symbolizer()
        try symbolizer.add(path)
        let addresses = try Self.textAddresses(path)
        #expect(addresses.count > 2000)

        let reference = try ReferenceTools.elfutils(path, addresses)
        let binutils = try ReferenceTools.binutils(path, addresses)
        let symbols = try ReferenceTools.elfutilsSymbols(path, addresses)
        var excused = 0
        var differences: [String] = []
        for address in addresses {
            let found = symbolizer.symbolize(address)
            let ours = Self.frames(found)
            let theirs = reference[address] ?? []
            // elfutils 0.188 prints a function a second time, as its own caller, at some addresses after an inlined
            // copy; and it goes on with the function before in the padding between two functions.
            if theirs.count > ours.count, Array(theirs.prefix(ours.count)) == ours,
                ours.last?.function == "??" || theirs.last?.function == ours.last?.function
            {
                excused += 1
                continue
            }
            // Where ranges of inlined copies overlap (fibonacci in the small guest) the two tools contradict each other.
            if ours != theirs, ours == binutils[address] {
                excused += 1
                continue
            }
            // elfutils 0.188 keeps the line rows of functions that the linker dropped; they count from address 0 and
            // reach into real code.
            if ours == [ReferenceFrame(function: "??", place: "??:0")], theirs.count == 1, theirs[0].function == "??",
                theirs != ours
            {
                excused += 1
                continue
            }
            if ours != theirs { differences.append("\(hexadecimal(address)): \(ours), elfutils \(theirs)") }
            let symbol = found?.symbol.map { found?.offset == 0 ? $0 : "\($0)+\(hexadecimal(found?.offset ?? 0))" }
            if symbol ?? "" != symbols[address] ?? "" {
                differences.append("\(hexadecimal(address)): \(symbol ?? "-"), elfutils \(symbols[address] ?? "-")")
            }
        }
        #expect(excused < addresses.count / 20)
        report(differences, of: addresses.count)
    }

    private func compareWithBinutils(_ path: String) throws {
        let symbolizer = Symbolizer()
        try symbolizer.add(path)
        let addresses = try Self.textAddresses(path)
        let reference = try ReferenceTools.binutils(path, addresses)
        var compared = 0
        var padding = 0
        var differences: [String] = []
        for address in addresses {
            let ours = Self.frames(symbolizer.symbolize(address))
            let theirs = reference[address] ?? []
            // Without DWARF binutils makes do with the nearest symbol below and the name of its object file.
            if ours.allSatisfy({ $0.place == "??:0" }), theirs.allSatisfy({ $0.place.hasSuffix(":0") }) { continue }
            // Padding after a function counts as part of that function there.
            if ours.count == 1, ours[0].function == "??", theirs.count == 1 {
                padding += 1
                continue
            }
            compared += 1
            if ours != theirs { differences.append("\(hexadecimal(address)): \(ours), binutils \(theirs)") }
        }
        #expect(compared > 1500)
        #expect(padding < compared / 10)
        report(differences, of: addresses.count)
    }
}
