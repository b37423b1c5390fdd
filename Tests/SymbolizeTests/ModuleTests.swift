// SPDX-License-Identifier: GPL-2.0-or-later

import Foundation
import MachineCode
import Testing

@testable import Symbolize

/// Kernel modules: object files that get their addresses when they are loaded.
@Suite struct ModuleTests {
    private let scratch: ScratchDirectory

    init() throws { scratch = try ScratchDirectory() }

    // MARK: - A module

    /// What makes an object file a module.
    private static let mark = """
        __attribute__((section(".gnu.linkonce.this_module"))) char this_module[896] = {1};
        """

    /// Two units with inline chains, split-off cold parts and code that is freed or kept: linked as the kernel's build does.
    private static func units(_ name: String) -> String {
        """
        #define UNLIKELY(x) __builtin_expect(!!(x), 0)
        extern void printk(const char *, int);
        extern int known[64];
        static inline __attribute__((always_inline)) int leaf_\(name)(int x) { return known[x & 63] * 3 + 1; }
        static inline __attribute__((always_inline)) int middle_\(name)(int x) {
            int sum = 0;
            for (int i = 0; i < x; i++)
                sum += leaf_\(name)(i);
            return sum;
        }
        __attribute__((cold, noinline)) static void fail(int x) { printk("\(name)", x); }
        __attribute__((noinline)) int work_\(name)(int x) {
            if (UNLIKELY(x > 100)) {
                printk("odd", x);
                fail(middle_\(name)(x));
                return leaf_\(name)(x);
            }
            return middle_\(name)(x) + middle_\(name)(x + 1);
        }
        __attribute__((section(".init.text"), noinline)) int begin_\(name)(int x) { return work_\(name)(x) + 1; }
        __attribute__((section(".exit.text"), noinline)) int end_\(name)(int x) { return work_\(name)(x) + 2; }
        """
    }

    private func build(_ name: String = "small-module", options: [String] = []) throws -> String {
        let flags = ["-O2", "-g", "-c", "-mcmodel=kernel", "-fno-pic", "-fno-pie", "-fno-asynchronous-unwind-tables"]
        var objects: [String] = []
        for (unit, text) in [("one", Self.units("one")), ("two", Self.units("two")), ("mark", Self.mark)] {
            let source = try scratch.write(text.utf8, to: "\(unit).c")
            let object = scratch.path("\(unit).o")
            _ = try run(["gcc"] + flags + options + ["-o", object, source])
            objects.append(object)
        }
        let path = scratch.path("\(name).ko")
        _ = try run(["ld", "-r", "--build-id=sha1", "-o", path] + objects)
        return path
    }

    /// Names, sizes and alignments of a file's sections, by readelf.
    private func sections(_ path: String) throws -> [String: (size: UInt64, alignment: UInt64)] {
        var found: [String: (size: UInt64, alignment: UInt64)] = [:]
        for line in try run(["readelf", "-SW", path]).split(separator: "\n") {
            guard let end = line.firstIndex(of: "]") else { continue }
            let words = line[line.index(after: end)...].split(separator: " ")
            guard words.count >= 9, let size = UInt64(words[4], radix: 16),
                let alignment = UInt64(words[words.count - 1])
            else { continue }
            found[String(words[0])] = (size, alignment)
        }
        return found
    }

    private static func frames(_ found: Symbolized?) -> [ReferenceFrame] {
        guard let found else { return [ReferenceFrame(function: "??", place: "??:0")] }
        return found.frames.map { frame in
            ReferenceFrame(function: frame.function, place: frame.file.map { "\($0):\(frame.line)" } ?? "??:0")
        }
    }

    // MARK: - Names

    /// Every address of the sections that the kernel keeps, against eu-addr2line, which relocates by itself.
    @Test(arguments: [0xffff_ffff_c057_b000, 0xffff_ffff_a000_0000] as [UInt64])
    func everyAddressAgreesWithElfutils(_ base: UInt64) throws {
        let path = try build()
        let symbolizer = Symbolizer()
        let info = try symbolizer.add(SymbolFile(argument: "\(path)@\(hexadecimal(base))"))
        #expect(info.warnings.isEmpty)
        #expect(info.isKernelModule)
        #expect(info.range.lowerBound == base)
        let sections = try sections(path)
        var next = base
        var compared = 0
        var differences: [String] = []
        for name in [".text", ".text.unlikely", ".exit.text"] {
            let (size, alignment) = try #require(sections[name])
            next = (next + alignment - 1) / alignment * alignment
            let reference = try ReferenceTools.elfutils(path, section: name, offsets: Array(0..<size))
            for offset in 0..<size {
                let ours = Self.frames(symbolizer.symbolize(next + offset))
                let theirs = try #require(reference[offset])
                compared += 1
                // In the padding between functions elfutils goes on with the function before.
                if ours != theirs, ours.last?.function != "??" {
                    differences.append("\(name)+\(offset): \(ours), elfutils \(theirs)")
                }
            }
            next += size
        }
        #expect(compared > 400)
        #expect(differences.isEmpty, "\(differences.count): \(differences.prefix(5))")
        // What is freed has no addresses.
        #expect(symbolizer.resolve(name: "begin_one").isEmpty)
        #expect(symbolizer.symbolize(next) == nil)
    }

    @Test func gdbSaysTheSameSymbols() throws {
        let path = try build()
        let sections = try sections(path)
        let base: UInt64 = 0xffff_ffff_c010_0000
        let given = [".text": base, ".text.unlikely": base + 0x20_0000, ".exit.text": base + 0x10_0010]
        var file = SymbolFile(path: path, slide: Int64(bitPattern: base &- ModuleLinker.base))
        file.sections = given
        let symbolizer = Symbolizer()
        try symbolizer.add(file)
        var addresses: [UInt64] = []
        for (name, start) in given.sorted(by: { $0.value < $1.value }) {
            addresses += start..<start + (try #require(sections[name])).size
        }
        #expect(addresses.count > 200)
        let parts = given.filter { $0.key != ".text" }.map { "-s \($0.key) \(hexadecimal($0.value))" }
        let load = "add-symbol-file \(path) \(hexadecimal(base)) \(parts.joined(separator: " "))"
        let asked = addresses.flatMap { ["-ex", "info symbol \(hexadecimal($0))"] }
        let output = try run(["gdb", "-q", "-nx", "-batch", "-ex", load] + asked)
        let answers = output.split(separator: "\n").filter { $0.contains(" in section ") || $0.hasPrefix("No symbol") }
        try #require(answers.count == addresses.count)
        for (address, answer) in zip(addresses, answers) {
            let found = symbolizer.symbolize(address)
            guard let symbol = found?.symbol, let offset = found?.offset else {
                // Padding: gdb goes on with the symbol before.
                continue
            }
            let name = symbol.replacingOccurrences(of: ".cold", with: "[cold]")
            let expected = offset == 0 ? "\(name) in section" : "\(name) + \(offset) in section"
            #expect(answer.hasPrefix(expected), "\(hexadecimal(address)): \(symbol)+\(offset), gdb \(answer)")
        }
    }

    @Test func aModuleWithSeparateDebugInformationServes() throws {
        let path = try build("whole")
        let base: UInt64 = 0xffff_ffff_c000_4000
        func answers(_ path: String) throws -> [[ReferenceFrame]] {
            let symbolizer = Symbolizer()
            let info = try symbolizer.add(SymbolFile(argument: "\(path)@\(hexadecimal(base))"))
            #expect(info.warnings.isEmpty, "\(info.warnings)")
            return info.range.map { Self.frames(symbolizer.symbolize($0)) }
        }
        let whole = try answers(path)
        let debug = scratch.path("apart.ko.debug")
        _ = try run(["objcopy", "--only-keep-debug", path, debug])
        let stripped = scratch.path("apart.ko")
        _ = try run(["objcopy", "--strip-debug", "--add-gnu-debuglink=\(debug)", path, stripped])
        #expect(try answers(stripped) == whole)
        #expect(try answers(debug) == whole)
        // Debian compresses the DWARF of its modules' debug files.
        for kind in ["zlib", "zstd"] {
            let compressed = scratch.path("\(kind).ko")
            _ = try run(["objcopy", "--compress-debug-sections=\(kind)", path, compressed])
            #expect(try answers(compressed) == whole, "\(kind)")
        }
    }

    /// Where a module was loaded changes with each boot: one table serves all.
    @Test func oneTableInTheCacheServesEveryAddress() throws {
        let path = try build()
        let cache = SymbolCache(directory: scratch.path("cache"))
        for base in [0xffff_ffff_c000_0000, 0xffff_ffff_c123_4000] as [UInt64] {
            let symbolizer = Symbolizer(cache: cache)
            try symbolizer.add(SymbolFile(path: path, placement: .address(base)))
            let work = try #require(symbolizer.resolve(name: "work_one").first)
            #expect(work.lowerBound &- base < 0x1000)
        }
        #expect(try FileManager.default.contentsOfDirectory(atPath: scratch.path("cache")).count == 1)
    }

    @Test func modulesThatAreOfNoUseAreRefused() throws {
        let path = try build()
        func problem(_ file: SymbolFile) -> SymbolError? {
            do throws(SymbolError) {
                try Symbolizer().add(file)
                return nil
            } catch {
                return error
            }
        }
        #expect(problem(SymbolFile(path: path))?.kind == .notLinked(type: 1))
        #expect(problem(SymbolFile(path: path))?.description.contains("FILE@ADDRESS") == true)
        let symbolizer = Symbolizer()
        try symbolizer.add(SymbolFile(path: path, placement: .address(0xffff_ffff_c000_0000)))
        let (code, warnings) = CodeMap.of(symbolizer.modules)
        #expect(code.isEmpty)
        #expect(warnings.map(\.kind) == [.noModuleCode(others: 0)])
    }

    @Test func mutatedModulesNeverTrap() throws {
        let original = [UInt8](try Data(contentsOf: URL(fileURLWithPath: try build())))
        var generator = HostileTests.Seeded(state: 20_261_126)
        var (read, refused) = (0, 0)
        for _ in 0..<2500 {
            let mutated = HostileTests.mutate(original, using: &generator)
            let path = try scratch.write(mutated, to: "mutated.ko")
            let symbolizer = Symbolizer()
            do throws(SymbolError) {
                let info = try symbolizer.add(SymbolFile(path: path, placement: .address(0xffff_ffff_c000_0000)))
                read += 1
                for step in 0..<20 { _ = symbolizer.symbolize(info.range.lowerBound &+ UInt64(step) &* 37) }
            } catch {
                refused += 1
            }
        }
        #expect(read > 500)
        #expect(refused > 100)
    }

    // MARK: - Lists

    private static let list = """
        small_module 28672 0 - Live 0xffffffffc0593000 (E)
        other 20480 2 small_module,third, Live 0xffffffffc057b000
        /sys/module/third/sections/.text:0xffffffffc0100000
        /sys/module/third/sections/.exit.text:0xffffffffc0100b8c
        /sys/module/third/sections/.init.text:0xffffffffc0593000
        """

    @Test func listsNameModulesAndSections() throws {
        let list = ModuleList(Array(Self.list.utf8))
        #expect(list.badLines == 0)
        #expect(list.entries.map(\.name) == ["small_module", "other", "third"])
        #expect(list.entries.map(\.address) == [0xffff_ffff_c059_3000, 0xffff_ffff_c057_b000, nil])
        #expect(list.entries[2].sections[".exit.text"] == 0xffff_ffff_c010_0b8c)
        #expect(ModuleList(Array("one two\n\nthree 5 x - Live 12\n".utf8)).badLines == 2)
        func problem(_ text: String) throws -> SymbolError.Kind? {
            let path = try scratch.write(text.utf8, to: "list")
            do throws(SymbolError) {
                _ = try ModuleList(path: path)
                return nil
            } catch {
                return error.kind
            }
        }
        #expect(try problem("no such thing\n") == .noModules)
        #expect(try problem("") == .noModules)
        #expect(try problem("a 4096 0 - Live 0x0000000000000000\n") == .hiddenModules)
        #expect(try problem(Self.list) == nil)
    }

    @Test func directoriesAreSearchedForTheFilesOfAList() throws {
        _ = try build("small-module")
        let directory = scratch.path("tree")
        let below = "\(directory)/kernel/drivers"
        try FileManager.default.createDirectory(atPath: below, withIntermediateDirectories: true)
        try FileManager.default.createDirectory(atPath: "\(directory)/stripped", withIntermediateDirectories: true)
        _ = try run(["cp", scratch.path("small-module.ko"), "\(below)/small-module.ko"])
        _ = try run(["strip", "-g", "-o", "\(directory)/stripped/small_module.ko", scratch.path("small-module.ko")])
        _ = try run(["cp", scratch.path("small-module.ko"), "\(below)/third.ko.xz"])
        _ = try run(["ln", "-s", directory, "\(below)/again"])
        let list = try scratch.write(Self.list.utf8, to: "list")
        let modules = try KernelModules(directory: directory, list: list)
        // The one with DWARF, whatever its place in the tree.
        let path = "\(below)/small-module.ko"
        #expect(modules.files == [SymbolFile(path: path, placement: .address(0xffff_ffff_c059_3000))])
        #expect(modules.missing == ["other"])
        #expect(modules.compressed == ["\(below)/third.ko.xz"])
        #expect(modules.problems.count == 2)
        // Without a list beside it there is an error that names the one that is missing.
        do throws(SymbolError) {
            _ = try KernelModules(directory: directory)
            Issue.record("there is no list")
        } catch {
            #expect(error.file == "\(directory)/proc-modules")
        }
        #expect(throws: SymbolError.self) { try KernelModules(directory: "/no/such", list: list) }
    }

    @Test func tenThousandMutatedListsNeverTrap() throws {
        var generator = HostileTests.Seeded(state: 11)
        let original = Array((0..<20).map { _ in Self.list }.joined(separator: "\n").utf8)
        var (entries, bad) = (0, 0)
        for _ in 0..<10_000 {
            let list = ModuleList(HostileTests.mutate(original, using: &generator))
            // No more than the text has lines.
            #expect(list.entries.count + list.badLines <= 2000)
            entries += list.entries.count
            bad += list.badLines
        }
        #expect(entries > 10_000)
        #expect(bad > 10_000)
    }
}
