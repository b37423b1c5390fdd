// SPDX-License-Identifier: GPL-2.0-or-later

import Foundation
import Testing

@testable import Symbolize

/// The output of nm in each of its forms, against the symbols of the program itself.
@Suite struct SymbolTextTests {
    private let scratch: ScratchDirectory

    init() throws { scratch = try ScratchDirectory() }

    private static let cpp = """
        #include <cstdio>
        namespace outer {
        __attribute__((noinline)) int over(int v) { return std::printf("%d", v); }
        __attribute__((noinline)) int over(const char *s) { return std::puts(s); }
        }
        struct Base { Base(int n); int a; };
        Base::Base(int n) : a(n) { std::printf("base\\n"); }
        extern "C" __attribute__((noinline)) int plain(int v) { return outer::over(v) + outer::over("x"); }
        int main(int argc, char **) { Base base(argc); return plain(base.a); }
        """

    private func program() throws -> String {
        let source = try scratch.write(SymbolTextTests.cpp.utf8, to: "p.cc")
        let path = scratch.path("p")
        _ = try run(["g++", "-O1", "-rdynamic", "-o", path, source])
        return path
    }

    @Test(arguments: [
        "", "-n", "-D", "-S", "-C", "-SC", "-nS", "-DC", "-l", "-A", "-P", "-AP", "-AC", "-r", "-g", "-a", "-fsysv",
        "-Cfsysv", "CRLF",
    ])
    func eachFormOfNmNamesFunctions(_ options: String) throws {
        let path = try program()
        let isCRLF = options == "CRLF"
        var text = try run(["nm"] + (options.isEmpty || isCRLF ? [] : [options]) + [path])
        if isCRLF { text = text.replacing("\n", with: "\r\n") }
        let list = try scratch.write(text.utf8, to: "list")
        let (whole, symbols) = (Symbolizer(), Symbolizer())
        try whole.add(path)
        let info = try symbols.add(list)
        #expect(info.warnings.map(\.kind) == [.noDWARF], "\(options): \(info.warnings)")
        for name in ["plain", "_ZN5outer4overEi", "_ZN5outer4overEPKc", "main", "_ZN4BaseC2Ei"] {
            let address = try #require(whole.resolve(name: name).first?.lowerBound)
            let found = try #require(symbols.symbolize(address + 1), "\(options): \(name)")
            let expected = Demangler.demangle(name) ?? name
            #expect(found.displayedSymbol == expected || found.symbol == "_ZN4BaseC1Ei", "\(options): \(found)")
            #expect(found.offset == 1)
        }
    }

    @Test func sizesOfNmEndSymbols() throws {
        let list = try scratch.write("0000000000001000 0000000000000010 T f\n0000000000001020 T g\n".utf8, to: "list")
        let symbolizer = Symbolizer()
        try symbolizer.add(list)
        #expect(symbolizer.symbolize(0x100f)?.symbol == "f")
        #expect(symbolizer.symbolize(0x1018)?.symbol == nil)
        #expect(symbolizer.symbolize(0x1020)?.symbol == "g")
    }

    @Test(arguments: ["hello world\n", "U\n", "T main\n", "\n\n", "1000\n", "prog:\n", "zz T g\n"])
    func otherTextIsRefused(_ text: String) throws {
        let path = try scratch.write(text.utf8, to: "other")
        #expect(throws: SymbolError.self) { try Symbolizer().add(path) }
    }

    @Test func mutatedTextsDoNoHarm() throws {
        var generator = SplitMix(state: 7)
        let seed = Array(
            "                 U puts@GLIBC_2.2.5\n0000000000001000 0000000000000010 T f(int)\nffffffffc0123000 t h\t[m]\n"
                .utf8)
        for _ in 0..<3000 {
            var bytes = seed
            for _ in 0..<Int.random(in: 1...6, using: &generator) {
                let at = Int.random(in: 0..<bytes.count, using: &generator)
                if Bool.random(using: &generator) {
                    bytes[at] = UInt8.random(in: 0...255, using: &generator)
                } else {
                    bytes.remove(at: at)
                }
            }
            for line in bytes.split(separator: 0x0a) { _ = SymbolText.Line(line)?.name.count }
        }
    }
}
