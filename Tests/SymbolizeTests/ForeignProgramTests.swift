// SPDX-License-Identifier: GPL-2.0-or-later

import Foundation
import Testing

@testable import Symbolize

/// Programs as other people build them: i386, C++, stripped, with old debug files beside them.
@Suite struct ForeignProgramTests {
    private let scratch: ScratchDirectory

    init() throws { scratch = try ScratchDirectory() }

    private func write(_ text: String, _ name: String) throws -> String { try scratch.write(text.utf8, to: name) }

    private static let overloads = """
        #define NI __attribute__((noinline))
        volatile int sink;
        struct Base { Base(int n); virtual ~Base(); int a; };
        Base::Base(int n) : a(n) { sink = n; }
        Base::~Base() { sink = 0; }
        NI static int same(int n) { sink += n; return n; }
        NI static int same(long n) { sink -= (int)n; return sink++; }
        int main(int argc, char **) { Base base(argc); return same(argc) + same((long)argc); }
        """

    @Test func i386CodeRunsOnX86_64() throws {
        let source = try write(".globl work\n.type work, @function\nwork: ret\n.size work, .-work\n", "p.S")
        let path = scratch.path("p")
        _ = try run([
            "sh", "-c", "as --32 -o '\(path).o' '\(source)' && ld -m elf_i386 -e work -o '\(path)' '\(path).o'",
        ])
        let symbolizer = Symbolizer()
        try symbolizer.add(path, machine: .x86_64)
        #expect(symbolizer.modules.first.flatMap { symbolizer.symbolize($0.range.lowerBound) }?.symbol == "work")
        #expect(throws: SymbolError(file: path, kind: .wrongMachine(expected: .aarch64, found: .i386))) {
            try Symbolizer().add(path, machine: .aarch64)
        }
    }

    /// DWARF has one name for both functions, and one abstract constructor.
    @Test(arguments: ["-O0", "-O1", "-O2"])
    func functionsHaveTheirOwnLinkageNames(_ level: String) throws {
        let path = scratch.path("ov")
        _ = try run(["g++", "-g", level, "-o", path, try write(ForeignProgramTests.overloads, "ov.cc")])
        let symbolizer = Symbolizer()
        try symbolizer.add(path)
        for (name, label) in [
            ("_ZL4samei", "same(int)"), ("_ZL4samel", "same(long)"), ("_ZN4BaseC2Ei", "Base::Base(int)"),
        ] {
            let symbol = try run(["nm", path]).split(separator: "\n").first { $0.contains(name) }
            let word = try #require(symbol?.split(separator: " ").first)
            let address = try #require(UInt64(word, radix: 16))
            let found = try #require(symbolizer.symbolize(address))
            #expect(found.frames.last?.function == name, "\(found)")
            #expect(found.label == label)
            #expect(found.frames.last?.demangledFunction == label)
            #expect(symbolizer.resolve(name: label).first?.lowerBound == address)
        }
        #expect(Set(symbolizer.resolve(name: "same").map(\.lowerBound)).count == 2)
        let linkage = Symbolizer(demangles: false)
        try linkage.add(path)
        let range = try #require(linkage.resolve(name: "_ZL4samei").first)
        #expect(linkage.symbolize(range.lowerBound)?.label == "_ZL4samei")
    }

    /// gdb and eu-addr2line go on to the next place, too; here a warning names the stale file.
    @Test(arguments: ["none", "sha1"])
    func theRightDebugFileIsFoundBesideAStaleOne(_ identity: String) throws {
        let source = try write(Programs.second, "second.c")
        let path = scratch.path("p")
        let options = ["-shared", "-fPIC", "-Wl,--build-id=\(identity)"]
        _ = try run(["gcc", "-g", "-O1"] + options + ["-o", path, source])
        let expected = try reference(path)
        try FileManager.default.createDirectory(atPath: scratch.path(".debug"), withIntermediateDirectories: true)
        let (right, stale) = (scratch.path(".debug/p.debug"), scratch.path("p.debug"))
        _ = try run(["objcopy", "--only-keep-debug", path, right])
        _ = try run(["objcopy", "--strip-all", "--add-gnu-debuglink=\(right)", path])
        _ = try run(["gcc", "-g", "-O0", "-DOLD"] + options + ["-o", stale, source])
        let symbolizer = Symbolizer()
        let info = try symbolizer.add(path)
        #expect(info.warnings.map(\.file) == [stale], "\(info.warnings)")
        for (address, frames) in expected { #expect(symbolizer.symbolize(address)?.frames == frames) }
        // Without the right one, the stale one still gives no names.
        try FileManager.default.removeItem(atPath: right)
        let poor = Symbolizer()
        let found = (try? poor.add(path))?.warnings
        #expect(found?.contains { $0.file == stale } ?? false, "\(found ?? [])")
        for address in expected.keys { #expect(poor.symbolize(address)?.frames.allSatisfy { $0.file == nil } ?? true) }
    }

    /// What a file with DWARF of its own gives for the addresses of its functions.
    private func reference(_ path: String) throws -> [UInt64: [SourceFrame]] {
        let symbolizer = Symbolizer()
        try symbolizer.add(path)
        var result: [UInt64: [SourceFrame]] = [:]
        for name in ["same", "nobody", "second"] {
            for range in symbolizer.resolve(name: name) {
                for address in range { result[address] = symbolizer.symbolize(address)?.frames }
            }
        }
        #expect(result.count > 20)
        return result
    }

    /// MiniDebugInfo has the local functions, the dynamic symbol table the exported ones.
    @Test func miniDebugInfoNamesAStrippedProgram() throws {
        let program = try MiniDebugProgram(in: scratch)
        let (whole, stripped) = (Symbolizer(), Symbolizer())
        try whole.add(program.whole)
        try stripped.add(program.path)
        let functions = ["same", "nobody", "second"].flatMap { whole.resolve(name: $0) }
        #expect(functions.count == 3)
        let peer = try ReferenceTools.elfutilsSymbols(program.path, whole.resolve(name: "same").flatMap { Array($0) })
        #expect(peer.count > 5)
        for address in functions.flatMap({ Array($0) }) {
            let found = stripped.symbolize(address)
            #expect(found?.symbol == whole.symbolize(address)?.symbol && found?.symbol != nil)
            if let text = peer[address] { #expect(found?.label == text) }
        }
    }

    /// libelf 0.188 does not know zstd; the addr2line of binutils does.
    @Test(arguments: ["zstd", "zlib", "zlib-gnu"])
    func compressedSectionsGiveTheSameAnswers(_ kind: String) throws {
        let source = try write(Programs.main, "main.c")
        let (path, compressed) = (scratch.path("p"), scratch.path("compressed"))
        _ = try run(["gcc", "-g", "-O2", "-shared", "-fPIC", "-o", "\(path).so", source])
        _ = try run(["objcopy", "--compress-debug-sections=\(kind)", "\(path).so", compressed])
        let (whole, found) = (Symbolizer(), Symbolizer())
        let range = try whole.add("\(path).so").range
        let info = try found.add(compressed)
        #expect(info.warnings.isEmpty, "\(info.warnings)")
        for address in range { #expect(whole.symbolize(address)?.frames == found.symbolize(address)?.frames) }
        // The addr2line of binutils 2.40 does not know .zdebug_rnglists.
        if kind == "zlib-gnu" { return }
        let outer = try #require(found.resolve(name: "outer").first)
        let peer = try ReferenceTools.binutils(compressed, Array(outer))
        for address in outer {
            let ours = found.symbolize(address)?.frames.map {
                ReferenceFrame(function: $0.function, place: "\($0.file ?? "??"):\($0.line)")
            }
            #expect(ours == peer[address])
        }
    }

    /// An object file that somebody loaded at an address.
    @Test func anObjectFileIsNamedWhereItWasLoaded() throws {
        let object = scratch.path("o.o")
        _ = try run(["gcc", "-g", "-O1", "-c", "-o", object, try write(Programs.second, "second.c")])
        let symbolizer = Symbolizer()
        try symbolizer.add(SymbolFile(path: object, placement: .address(0x4000_0000)))
        let second = try #require(symbolizer.resolve(name: "second").first)
        #expect(second.lowerBound >= 0x4000_0000 && second.lowerBound < 0x4000_1000)
        #expect(symbolizer.symbolize(second.lowerBound)?.sourcePlace?.contains("second.c") == true)
    }
}

/// Build IDs, by which a file is found again.
@Suite struct BuildIDTests {
    private let scratch: ScratchDirectory

    init() throws { scratch = try ScratchDirectory() }

    @Test func aFileIsFoundByItsBuildID() throws {
        let source = try scratch.write(Programs.second.utf8, to: "second.c")
        for (name, identity) in [("old", "0102030405060708"), ("new", "1112131415161718")] {
            _ = try run(["gcc", "-shared", "-fPIC", "-Wl,--build-id=0x\(identity)", "-o", scratch.path(name), source])
        }
        let identity = try #require(try BuildID(path: scratch.path("old")))
        #expect(identity.description == "0102030405060708" && identity == BuildID("0102030405060708"))
        #expect(identity.file(besides: [scratch.path("new"), "/none", scratch.path("old")]) == scratch.path("old"))
        #expect(identity.file(besides: [scratch.path("new")]) == nil)
        #expect(BuildID("xy01") == nil && BuildID("") == nil && BuildID("012") == nil)
    }
}
