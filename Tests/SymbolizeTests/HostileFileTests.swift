// SPDX-License-Identifier: GPL-2.0-or-later

import Foundation
import Testing

@testable import Symbolize

/// Symbol files of strangers that would take memory, time or the process.
@Suite struct HostileFileTests {
    private let scratch: ScratchDirectory

    init() throws { scratch = try ScratchDirectory() }

    private func program(_ options: [String] = [], _ name: String = "p") throws -> String {
        let path = scratch.path(name)
        let source = try scratch.write(Programs.second.utf8, to: "second.c")
        _ = try run(["gcc", "-g", "-O1", "-shared", "-fPIC"] + options + ["-o", path, source])
        return path
    }

    @Test func aTruncatedFileIsAnErrorAndNoSignal() throws {
        let path = try program()
        let symbolizer = Symbolizer(reading: .onDemand(smallest: 0, largestPart: 1))
        let info = try symbolizer.add(path)
        truncate(path, 4096)
        #expect(throws: SymbolError(file: path, kind: .changed)) {
            _ = try symbolizer.lookup(for: Array(info.range))
        }
    }

    @Test func bytesBeyondANewEndAreZeros() throws {
        let path = try scratch.write([UInt8](repeating: 7, count: 100_000), to: "file")
        let file = try MappedFile(path: path)
        #expect(file.change == nil && file.bytes.load(99_999) == 7 as UInt8)
        truncate(path, 5000)
        #expect(file.bytes.load(99_999) == 0 as UInt8 && file.bytes.load(100) == 7 as UInt8)
        #expect(file.change == SymbolError(file: path, kind: .changed))
    }

    /// 400 GB in a few blocks.
    @Test func aSparseFileIsRefused() throws {
        let path = try program()
        truncate(path, 400 << 30)
        do throws(SymbolError) {
            try Symbolizer(cache: SymbolCache(directory: scratch.path("cache"))).add(path)
            Issue.record("taken")
        } catch {
            #expect(error.kind == .tooLarge(bytes: 400 << 30))
        }
    }

    @Test(arguments: ["zlib", "zlib-gnu"])
    func sectionsThatInflateTooMuchAreNotRead(_ kind: String) throws {
        let path = try program()
        let zeros = scratch.path("zeros")
        try Data(count: 40 << 20).write(to: URL(fileURLWithPath: zeros))
        let bomb = scratch.path("bomb")
        _ = try run([
            "sh", "-c",
            """
            objcopy --update-section .debug_line='\(zeros)' '\(path)' '\(bomb).big' &&
            objcopy --compress-debug-sections=\(kind) '\(bomb).big' '\(bomb)'
            """,
        ])
        let symbolizer = Symbolizer()
        let info = try symbolizer.add(bomb)
        #expect(info.warnings.contains { if case .inflates = $0.kind { true } else { false } }, "\(info.warnings)")
        #expect(!symbolizer.resolve(name: "nobody").isEmpty)
    }

    /// Within the limit on inflated sizes, because the file is large: a program with a section of zeros, compressed, and
    /// noise. It says that it has 64 MiB of code.
    private func padded(_ section: String, zeros: Int) throws -> String {
        let huge = ".section .huge,\"ax\",@nobits\n.skip 64<<20\n.section .note.GNU-stack,\"\",@progbits\n"
        let path = try program([try scratch.write(huge.utf8, to: "huge.S")])
        let (content, noise) = (scratch.path("content"), scratch.path("noise"))
        let padded = scratch.path("padded")
        _ = try run([
            "sh", "-c",
            """
            head -c \(zeros) /dev/zero > '\(content)' && head -c 3000000 /dev/urandom > '\(noise)' &&
            objcopy --update-section \(section)='\(content)' --add-section .noise='\(noise)' '\(path)' '\(padded).big' &&
            objcopy --compress-debug-sections=zlib '\(padded).big' '\(padded)'
            """,
        ])
        return padded
    }

    /// libdw would need 100 bytes for each of 24 MB.
    @Test func lineProgramsThatAreLargerThanTheirFileAreNotRead() throws {
        let symbolizer = Symbolizer()
        let info = try symbolizer.add(padded(".debug_line", zeros: 24 << 20))
        #expect(
            info.warnings.contains { if case .excessiveLines = $0.kind { true } else { false } }, "\(info.warnings)")
        #expect(!symbolizer.resolve(name: "nobody").isEmpty)
    }

    /// Each four bytes are a unit.
    @Test func unitsWithoutEntriesAreNotKept() throws {
        let symbolizer = Symbolizer()
        let info = try symbolizer.add(padded(".debug_info", zeros: 24 << 20))
        #expect(
            info.warnings.contains { if case .damagedDWARF(let units, _) = $0.kind { units == 1 } else { false } },
            "\(info.warnings)")
        #expect(!symbolizer.resolve(name: "nobody").isEmpty)
    }

    /// Two programs whose build IDs and headers are the same, but not their names.
    @Test func eachFileKeepsItsOwnNamesInTheCache() throws {
        let path = try program(["-Wl,--build-id=0x0102030405060708"])
        var bytes = [UInt8](try Data(contentsOf: URL(fileURLWithPath: path)))
        for at in bytes.indices.dropLast(6) where bytes[at..<at + 6].elementsEqual("nobody".utf8) {
            bytes.replaceSubrange(at..<at + 6, with: "yebody".utf8)
        }
        let other = try scratch.write(bytes, to: "other")
        let cache = SymbolCache(directory: scratch.path("cache"))
        let (one, two) = (Symbolizer(cache: cache), Symbolizer(cache: cache))
        try one.add(path)
        try two.add(other)
        #expect(!one.resolve(name: "nobody").isEmpty && one.resolve(name: "yebody").isEmpty)
        #expect(!two.resolve(name: "yebody").isEmpty && two.resolve(name: "nobody").isEmpty)
    }

    @Test func aLongNameIsCut() throws {
        let name = String(repeating: "n", count: 1 << 20)
        let text = ".globl \(name)\n.type \(name), @function\n\(name): ret\n.size \(name), .-\(name)\n"
        let source = try scratch.write(text.utf8, to: "n.S")
        let path = scratch.path("n")
        _ = try run(["gcc", "-nostdlib", "-static", "-Wl,-e,0", "-o", path, source])
        let symbolizer = Symbolizer()
        let range = try symbolizer.add(path).range
        #expect(symbolizer.symbolize(range.lowerBound)?.symbol?.utf8.count == StringPool.nameLimit)
    }

    /// libdw opens the file of a split unit itself, and would wait for a FIFO for ever.
    @Test func aFIFOInThePlaceOfASplitUnitIsMissing() throws {
        let source = try scratch.write(Programs.second.utf8, to: "second.c")
        let path = scratch.path("split")
        let command = """
            cd '\(scratch.url.path)' && gcc -g -gsplit-dwarf -O1 -shared -fPIC -o split '\(source)' &&
            for f in *.dwo; do rm "$f" && mkfifo "$f"; done
            """
        _ = try run(["sh", "-c", command])
        let info = try Symbolizer().add(path)
        #expect(info.warnings.contains { if case .missingSplitUnits = $0.kind { true } else { false } })
    }
}
