// SPDX-License-Identifier: GPL-2.0-or-later

import Testing

@testable import Symbolize

/// Finding out where a kernel or a program was loaded.
@Suite struct SlideTests {
    private let scratch: ScratchDirectory

    init() throws { scratch = try ScratchDirectory() }

    private func load(_ variant: Programs.Variant) throws -> (Symbolizer, starts: Set<UInt64>) {
        let symbolizer = Symbolizer()
        try symbolizer.add(try Programs.build(variant, in: scratch.url))
        let table = try #require(symbolizer.table(0))
        return (symbolizer, Set((0..<table.view.symbols.count).map { table.view.symbols[$0].address }))
    }

    @Test(arguments: [0, 0x1c00_0000, -0x20_0000] as [Int64])
    func callTargetsTellTheSlide(_ slide: Int64) throws {
        let (symbolizer, starts) = try load(.fixed)
        let shift = UInt64(bitPattern: slide)
        let first = try #require(symbolizer.resolve(name: "outer").first).lowerBound
        var targets = Set(starts.map { $0 &+ shift })
        // Calls within another program, and one into the middle of a function.
        for index in 0..<200 { targets.insert(0x7fff_0000_0000 + UInt64(index) * 4096) }
        targets.insert(first &+ shift &+ 1)
        let sorted = targets.sorted()
        let found = try #require(symbolizer.estimateSlide(module: 0, targets: sorted))
        #expect(found.slide == slide)
        #expect(found.isReliable)
        #expect(!found.isWrong)
        #expect(found.entries == starts.count)
        #expect(found.targets == starts.count + 1)
        let same = try #require(symbolizer.fit(module: 0, targets: sorted, slide: slide))
        #expect((same.entries, same.targets) == (found.entries, found.targets))
        let beside = try #require(symbolizer.fit(module: 0, targets: sorted, slide: slide + 0x11))
        #expect(!beside.isReliable)
        #expect(beside.isWrong)

        symbolizer.move(module: 0, slide: found.slide)
        let outer = try #require(symbolizer.resolve(name: "outer").first)
        #expect(outer.lowerBound == first &+ shift)
        #expect(symbolizer.symbolize(outer.lowerBound)?.frames.last?.function == "outer")
        #expect(symbolizer.modules[0].slide == slide)
    }

    @Test func targetsOfAnotherProgramAreNotReliable() throws {
        let (symbolizer, _) = try load(.fixed)
        var generator = HostileTests.Seeded(state: 7)
        let targets = (0..<2000).map { _ in UInt64.random(in: 0..<1 << 30, using: &generator) }.sorted()
        if let found = symbolizer.estimateSlide(module: 0, targets: targets) { #expect(!found.isReliable) }
        #expect(symbolizer.estimateSlides(module: 0, targets: targets).reliable.isEmpty)
        #expect(symbolizer.estimateSlide(module: 0, targets: []) == nil)
        #expect(symbolizer.estimateSlide(module: 1, targets: targets) == nil)
        #expect(symbolizer.fit(module: 1, targets: targets, slide: 0) == nil)
    }

    /// A program that ran several times, each time elsewhere, with other programs around it.
    @Test func aProgramIsFoundAtEachOfItsPlaces() throws {
        let (symbolizer, starts) = try load(.pie)
        #expect(symbolizer.isPositionIndependent(module: 0))
        var generator = HostileTests.Seeded(state: 12)
        let places = (0..<8).map { _ in UInt64.random(in: 0x7f00_0000_0..<0x7fff_0000_0, using: &generator) << 12 }
        var targets: Set<UInt64> = []
        for (index, place) in places.enumerated() {
            // Not every run calls everything.
            for start in starts where (start / 16 + UInt64(index)) % 5 != 0 { targets.insert(place + start) }
        }
        for _ in 0..<500 { targets.insert(0x40_0000 + UInt64.random(in: 0..<0x10000, using: &generator) * 16) }
        let found = symbolizer.estimateSlides(module: 0, targets: targets.sorted())
        #expect(Set(found.reliable.map(\.slide)) == Set(places.map(Int64.init)))
        #expect(found.reliable.allSatisfy { $0.share == 1 })

        symbolizer.move(module: 0, slide: found.reliable[0].slide)
        for other in found.reliable.dropFirst() { symbolizer.repeatModule(0, slide: other.slide) }
        #expect(symbolizer.modules.count == places.count)
        #expect(symbolizer.overlaps.isEmpty)
        let outer = symbolizer.resolve(name: "outer")
        #expect(outer.count == places.count)
        for range in outer { #expect(symbolizer.symbolize(range.lowerBound)?.symbol == "outer") }
    }

    /// A library has a place in each process.
    @Test func aLibraryIsFoundInEachOfHundredsOfProcesses() throws {
        let (symbolizer, starts) = try load(.pie)
        let places = (0..<300 as Range<UInt64>).map { 0x7f00_0000_0000 &+ $0 &* 0x1234_5000 }
        var targets: Set<UInt64> = []
        for (index, place) in places.enumerated() {
            // The first process calls every function, the others a few.
            for start in starts where index == 0 || (start / 16 &+ UInt64(index)) % 4 == 0 {
                targets.insert(place + start)
            }
        }
        let found = symbolizer.estimateSlides(module: 0, targets: targets.sorted())
        #expect(Set(found.reliable.map(\.slide)) == Set(places.map(Int64.init)))
    }

    /// Most calls of a small dynamic program go to the stubs of its procedure linkage table.
    @Test(arguments: ["-fcf-protection=none", "-fcf-protection=full", "-fcf-protection=full -Wl,-z,ibtplt"])
    func callsToStubsShowThePlace(_ options: String) throws {
        let calls = ["abs", "atoi", "getpid", "getppid", "getuid", "geteuid", "rand", "random", "clock", "time"]
        let text =
            "#include <stdlib.h>\n#include <time.h>\n#include <unistd.h>\nint main(void) {\n"
            + "return abs(getpid()) + atoi(\"1\") + getppid() + getuid() + geteuid() + rand() + random() + clock() + time(0);}"
        let source = try scratch.write(text.utf8, to: "calls.c")
        let path = scratch.path("calls")
        let compiler = ["gcc", "-g", "-O1", "-fno-builtin", "-pie", "-fPIE"]
        _ = try run(compiler + options.split(separator: " ").map(String.init) + ["-o", path, source])
        let stubs = try run(["objdump", "-d", "--no-show-raw-insn", path]).split(separator: "\n").compactMap { line in
            line.hasSuffix("@plt>:") ? line.split(separator: " ").first.flatMap { UInt64($0, radix: 16) } : nil
        }
        #expect(stubs.count >= calls.count - 1)
        let symbolizer = Symbolizer()
        try symbolizer.add(path)
        let main = try #require(symbolizer.resolve(name: "main").first).lowerBound
        let targets = Set(stubs + [main]).map { $0 + 0x5555_5555_4000 }.sorted()
        let image = try ELFImage(path: path, machine: .x86_64)
        #expect(Set(stubs).isSubset(of: image.stubs), "\(stubs)")
        let fit = try #require(symbolizer.fit(module: 0, targets: targets, slide: 0x5555_5555_4000))
        #expect(fit.entries == targets.count && fit.targets == targets.count)
    }
}
