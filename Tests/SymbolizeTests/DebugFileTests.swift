// SPDX-License-Identifier: GPL-2.0-or-later

import Formatting
import Foundation
import Testing

@testable import Symbolize

/// Debug information in another file, or in another form.
@Suite struct DebugFileTests {
    private let scratch: ScratchDirectory

    init() throws { scratch = try ScratchDirectory() }

    /// All answers for a program's code, without the module's name.
    private func answers(_ path: String, warnings expected: Int = 0) throws -> [Symbolized?] {
        let symbolizer = Symbolizer()
        let info = try symbolizer.add(path)
        #expect(info.warnings.count == expected, "\(info.warnings)")
        return info.range.map {
            var found = symbolizer.symbolize($0)
            found?.module = ""
            return found
        }
    }

    private func compile(_ options: [String], to name: String) throws -> String {
        var sources: [String] = []
        for (part, text) in Programs.sources { sources.append(try scratch.write(text.utf8, to: part)) }
        let target = scratch.path(name)
        _ = try run(["gcc", "-O2", "-g", "-pie", "-fPIE", "-Wl,--build-id", "-o", target] + options + sources)
        return target
    }

    @Test(arguments: [Programs.Variant.pie, .fixed, .dwarf4])
    func aDebugLinkIsFollowedWhenItsChecksumIsRight(_ variant: Programs.Variant) throws {
        let whole = try Programs.build(variant, in: scratch.url)
        let fresh = try answers(whole)
        let stripped = scratch.path("program")
        let debug = scratch.path(".debug/program.debug")
        try FileManager.default.createDirectory(atPath: scratch.path(".debug"), withIntermediateDirectories: true)
        _ = try run(["objcopy", "--only-keep-debug", whole, debug])
        _ = try run(["objcopy", "--strip-all", "--add-gnu-debuglink=\(debug)", whole, stripped])
        #expect(try answers(stripped) == fresh)

        // The section header table, where nothing reads the flags of .comment: another content, the same program.
        var bytes = [UInt8](try Data(contentsOf: URL(fileURLWithPath: debug)))
        bytes[bytes.count - 1] ^= 1
        try Data(bytes).write(to: URL(fileURLWithPath: debug))
        let symbolizer = Symbolizer()
        do throws(SymbolError) {
            let info = try symbolizer.add(stripped)
            #expect(info.warnings.contains { if case .wrongChecksum = $0.kind { true } else { false } })
            #expect(info.functionCount == 0)
        } catch {
            // All symbols stripped: without the debug file nothing is left.
            #expect(error.kind == .noSymbols)
        }
    }

    @Test func aDebugFileOfAnotherBuildIsRefused() throws {
        let one = try compile([], to: "one")
        let other = try compile(["-DOTHER", "-O1"], to: "other")
        _ = try run(["objcopy", "--only-keep-debug", other, scratch.path("one.debug")])
        _ = try run(["strip", "--strip-debug", one])
        _ = try run(["objcopy", "--add-gnu-debuglink=\(scratch.path("one.debug"))", one])
        let info = try Symbolizer().add(one)
        #expect(info.warnings.contains { if case .wrongBuildID = $0.kind { true } else { false } })
        #expect(info.functionCount == 0)
    }

    @Test func theCacheOfTheDebuginfodClientIsLookedInto() throws {
        let whole = try compile([], to: "whole")
        let fresh = try answers(whole)
        let identity = hexadecimalText(try ELFImage(path: whole, machine: .x86_64).buildID)
        let directory = scratch.path("debuginfod/\(identity)")
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        _ = try run(["objcopy", "--only-keep-debug", whole, "\(directory)/debuginfo"])
        let stripped = scratch.path("stripped")
        _ = try run(["strip", "-o", stripped, whole])
        // The environment belongs to all tests of the process; no other one depends on this variable.
        setenv("DEBUGINFOD_CACHE_PATH", scratch.path("debuginfod"), 1)
        defer { unsetenv("DEBUGINFOD_CACHE_PATH") }
        #expect(try answers(stripped) == fresh)
    }

    @Test(arguments: ["zlib", "zlib-gnu"])
    func compressedSectionsAreInflated(_ kind: String) throws {
        let whole = try compile([], to: "whole")
        let fresh = try answers(whole)
        let compressed = scratch.path("compressed")
        _ = try run(["objcopy", "--compress-debug-sections=\(kind)", whole, compressed])
        let image = try ELFImage(path: compressed, machine: .x86_64)
        let section = image.section(named: kind == "zlib-gnu" ? ".zdebug_info" : ".debug_info")
        #expect(section.map { $0.size < (image.section(named: ".text")?.size ?? 0) * 40 } == true)
        #expect(try answers(compressed) == fresh)
    }

    @Test(arguments: [".debug_info", ".debug_abbrev"])
    func sectionsThatCannotBeInflatedAreNamed(_ name: String) throws {
        let whole = try compile(["-gz=zlib"], to: "whole")
        var bytes = [UInt8](try Data(contentsOf: URL(fileURLWithPath: whole)))
        // The section's own header (Elf64_Chdr) says how it was compressed: 2 is zstd.
        let section = try #require(try ELFImage(path: whole, machine: .x86_64).section(named: name))
        let start = Int(section.header.sh_offset)
        #expect(bytes[start] == 1)
        bytes[start] = 2
        let info = try Symbolizer().add(try scratch.write(bytes, to: "foreign"))
        #expect(info.warnings.first?.kind == .damagedCompression(sections: [name]))
        #expect(info.functionCount == 0)
        #expect(info.symbolCount > 10)
    }

    @Test(arguments: ["-gdwarf-4", "-gdwarf-5"])
    func splitUnitsAreFoundAsFiles(_ version: String) throws {
        let fresh = try answers(try compile([version], to: "whole"))
        let split = try compile([version, "-gsplit-dwarf"], to: "whole")
        #expect(try answers(split) == fresh)
        let units = try FileManager.default.contentsOfDirectory(atPath: scratch.url.path).filter {
            $0.hasSuffix(".dwo")
        }
        #expect(units.count == 3)
        // Put together, and the single files gone.
        // (The dwp of binutils 2.40 dies on version 5; the package's content does not matter here.)
        if (try? run(["dwp", "-e", split, "-o", "\(split).dwp"])) == nil {
            _ = try scratch.write([0], to: "whole.dwp")
        }
        for unit in units { try FileManager.default.removeItem(atPath: scratch.path(unit)) }
        let packed = try Symbolizer().add(split)
        #expect(packed.warnings.contains(SymbolError(file: "\(split).dwp", kind: .splitPackage)))
        try FileManager.default.removeItem(atPath: "\(split).dwp")
        let info = try Symbolizer().add(split)
        #expect(!info.warnings.contains { $0.kind == .splitPackage })
        #expect(info.warnings.contains { if case .missingSplitUnits(2, _) = $0.kind { true } else { false } })
        #expect(info.symbolCount > 10)
    }

    @Test func programsOf32BitsAreRead() throws {
        let source = """
            static inline __attribute__((always_inline)) int inner(int x) { volatile int y = x; return y * 3; }
            __attribute__((noinline)) int outer(int x) { return inner(x) + 1; }
            void _start(void) { outer(1); for (;;); }
            """
        let file = try scratch.write(source.utf8, to: "small.c")
        let target = scratch.path("small")
        _ = try run([
            "gcc", "-m32", "-O1", "-g", "-nostdlib", "-static", "-ffreestanding", "-fno-pie", "-no-pie", "-o", target,
            file,
        ])
        let symbolizer = Symbolizer()
        try symbolizer.add(target, machine: .i386)
        let outer = try #require(symbolizer.resolve(name: "outer").first)
        let chains = outer.map { symbolizer.symbolize($0)?.frames.map(\.function) ?? [] }
        #expect(chains.contains(["inner", "outer"]))
        #expect(symbolizer.symbolize(outer.lowerBound)?.frames.first?.line == 2)
    }

    @Test func alternateFilesOfDwzAreRead() throws {
        // Two programs with much in common; dwz moves that to a third file.
        let one = try compile([], to: "one")
        let two = try compile(["-DTWO"], to: "two")
        let fresh = try answers(one)
        _ = try run(["dwz", "-m", scratch.path("common.debug"), one, two])
        #expect(try ELFImage(path: one, machine: .x86_64).section(named: ".gnu_debugaltlink") != nil)
        #expect(try answers(one) == fresh)
        try FileManager.default.removeItem(atPath: scratch.path("common.debug"))
        let info = try Symbolizer().add(one)
        #expect(info.warnings.contains { if case .noAlternate = $0.kind { true } else { false } })
    }

    @Test func textsOfSymbolsServe() throws {
        let map = """
            ffffffff81000000 T _text
            ffffffff81000040 t helper
            ffffffff81000040 T helper_alias
            ffffffff81000080 D not_code
            ffffffff81000100 W weak_one\t[some_module]
            not a line
            ffffffff81000200 B _end

            """
        let symbolizer = Symbolizer()
        let info = try symbolizer.add(try scratch.write(map.utf8, to: "System.map"))
        #expect(info.warnings.map(\.kind) == [.badSymbolLines(count: 1), .noDWARF])
        #expect(symbolizer.symbolize(0xffff_ffff_8100_0041)?.label == "helper_alias+0x1")
        #expect(symbolizer.symbolize(0xffff_ffff_8100_00ff)?.symbol == "helper_alias")
        #expect(symbolizer.symbolize(0xffff_ffff_8100_0104)?.label == "weak_one+0x4")
        #expect(symbolizer.symbolize(0xffff_ffff_8100_0200) == nil)
        #expect(symbolizer.symbolize(0xffff_ffff_80ff_ffff) == nil)
        #expect(Set(symbolizer.aliases(at: 0xffff_ffff_8100_0040)) == ["helper", "helper_alias"])

        let hidden = try scratch.write("0000000000000000 T _text\n0000000000000000 t x\n".utf8, to: "kallsyms")
        #expect(throws: SymbolError(file: hidden, kind: .hiddenAddresses)) { try Symbolizer().add(hidden) }
    }

    @Test func anAddressPlacesTheLowestSegment() throws {
        let path = try Programs.build(.fixed, in: scratch.url)
        let symbolizer = Symbolizer()
        try symbolizer.add(try SymbolFile(argument: "\(path)@0x10000000"))
        #expect(symbolizer.modules.first?.slide == Int64(0x1000_0000 - 0x40_0000))
        let again = Symbolizer()
        try again.add(try SymbolFile(argument: "\(path)+0x1000"))
        #expect(again.modules.first?.slide == 0x1000)
    }
}
