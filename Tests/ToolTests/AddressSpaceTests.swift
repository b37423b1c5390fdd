// SPDX-License-Identifier: GPL-2.0-or-later

import Foundation
import Reporting
import TestSupport
import Testing

/// Kernels that moved, modules, programs of unknown place: `--kaslr`, `--modules`, `--user`.
@Suite struct AddressSpaceTests {
    private static let linked: UInt64 = 0xffff_ffff_8100_0000
    private static let slide: UInt64 = 0x1c00_0000

    private let directory: TemporaryDirectory

    init() throws { directory = try TemporaryDirectory() }

    // MARK: - Files

    /// Forty functions of different lengths.
    private static let source: String = {
        let functions = (0..<40).map { index in
            "__attribute__((noinline)) int f\(index)(int x) { "
                + (0..<index % 7 + 1).map { "x = x * \($0 + index + 3) ^ (x >> \($0 % 5 + 1)); " }.joined()
                + "return x; }"
        }
        return functions.joined(separator: "\n") + "\nint main(void) { return f0(1); }\n"
    }()

    private func compile(_ name: String, _ options: String) throws -> String {
        let source = directory.file("\(name).c")
        try Self.source.write(toFile: source, atomically: true, encoding: .utf8)
        let path = directory.file(name)
        let result = try Tool(path: "/bin/sh").run(["-c", "gcc -g -O1 \(options) -o '\(path)' '\(source)'"])
        try #require(result.status == 0, "\(result.errors)")
        return path
    }

    private func kernel() throws -> String {
        try compile(
            "vmlinux", "-nostdlib -static -fno-pie -no-pie -mcmodel=kernel -Wl,-Ttext=\(hex(Self.linked)) -Wl,-e,main")
    }

    private func hex(_ value: UInt64) -> String { "0x" + String(value, radix: 16) }

    /// Addresses of the forty functions, by nm.
    private func functions(_ path: String) throws -> [(name: String, address: UInt64)] {
        let output = try Tool(path: "/bin/sh").run(["-c", "nm '\(path)'"]).output
        let all = output.split(separator: "\n").compactMap { line -> (name: String, address: UInt64)? in
            let words = line.split(separator: " ")
            guard words.count == 3, words[2].first == "f", Int(words[2].dropFirst()) != nil,
                let address = UInt64(words[0], radix: 16)
            else { return nil }
            return (String(words[2]), address)
        }
        try #require(all.count == 40)
        return all
    }

    /// A log in which each of these places is called once and returns.
    private func log(_ name: String, calling targets: [UInt64], from: UInt64 = 0xffff_ffff_9d00_0000) throws -> String {
        let path = directory.file(name)
        let lines = targets.map {
            "branch \(hex(from)) -> \(hex($0)) call\nbranch \(hex($0 + 2)) -> \(hex(from + 5)) ret"
        }
        try assemble(lines.joined(separator: "\n"), to: path)
        return path
    }

    private func dump(_ arguments: String..., expecting status: Int32 = 0) throws -> ToolResult {
        let result = try Tool.dump.run(["--no-cache"] + arguments)
        #expect(result.status == status, "\(arguments): \(result.errors)")
        return result
    }

    // MARK: - Kernels

    @Test func theSlideOfAKernelIsFoundAndSaid() throws {
        let kernel = try kernel()
        let functions = try functions(kernel)
        let moved = try log("moved.log", calling: functions.map { $0.address + Self.slide })
        let found = try dump("--symbols", kernel, moved)
        #expect(
            found.errors.hasPrefix(
                "bts-dump: \(kernel): ran 0x1c000000 higher than linked (KASLR): 40 of 40 call targets fit, next best ")
        )
        #expect(found.errors.split(separator: "\n").count == 1)
        for function in functions { #expect(found.output.contains(" <\(function.name)>  call")) }

        // A given place is not searched.
        let given = try dump("--symbols", kernel, "--kaslr", "0x1c000000", moved)
        #expect(!given.errors.contains("KASLR") && given.output == found.output)
        let asSlide = try dump("--symbols", "\(kernel)+0x1c000000", moved)
        #expect(!asSlide.errors.contains("KASLR") && asSlide.output == found.output)
        let off = try dump("--symbols", kernel, "--kaslr", "off", moved)
        #expect(!off.output.contains("<"))
        #expect(try dump("--kaslr", "far", moved, expecting: 2).errors.contains("--kaslr"))

        // The other commands.
        let calls = try dump("--calls", "--symbols", kernel, moved)
        #expect(calls.errors.contains("ran 0x1c000000 higher") && calls.output.contains("f7"))
        let events = try Tool.analyze.run("events", "--no-cache", "--symbols", kernel, moved)
        #expect(events.errors.contains("ran 0x1c000000 higher"))

        // Lower than linked, and as linked: no warning.
        let lower = try log("lower.log", calling: functions.map { $0.address - 0x80_0000 })
        #expect(try dump("--symbols", kernel, lower).errors.contains("ran 0x800000 lower than linked"))
        let still = try log("still.log", calling: functions.map(\.address))
        let plain = try dump("--symbols", kernel, still)
        #expect(plain.errors.isEmpty && plain.output.contains("<f39>  call"))
    }

    /// Of many pairs, each has the slide of its own original.
    @Test func eachPairHasItsOwnSlide() throws {
        let kernel = try kernel()
        let functions = try functions(kernel)
        var list = ""
        for (index, slide) in [Self.slide, 0, 0x20_0000, Self.slide].enumerated() {
            let targets = functions.map { $0.address + slide }
            let last = targets[index + 5]
            list += try log("\(index)-original.log", calling: targets + [last], from: last) + "\t"
            list += try log("\(index)-replay.log", calling: targets + [targets[0]], from: last) + "\n"
        }
        let (pairs, output) = (directory.file("pairs"), directory.file("out.jsonl"))
        try list.write(toFile: pairs, atomically: true, encoding: .utf8)
        try Tool.analyze.run(
            "diverge", "--no-cache", "--symbols", kernel, "--pairs", pairs, "-o", output, expecting: 1)
        let lines = try String(contentsOfFile: output, encoding: .utf8).split(separator: "\n").map {
            try FleetLine(json: String($0))
        }
        #expect(lines.map(\.symbol) == (0..<4).map { functions[$0 + 5].name })
    }

    @Test func theInstructionsOfAMovedKernelAreChecked() throws {
        let kernel = try kernel()
        let functions = try functions(kernel)
        let path = directory.file("code.log")
        // Each function is straight code that ends with its return.
        let listing = try Tool(path: "/bin/sh").run(["-c", "objdump -d '\(kernel)'"]).output
        let returns = listing.split(separator: "\n").filter { $0.hasSuffix("\tret") || $0.hasSuffix("\tret    ") }
            .compactMap { UInt64($0.prefix { $0 != ":" }.trimmingCharacters(in: .whitespaces), radix: 16) }
        var text = "options features=branches,labels\n"
        for function in functions {
            let end = try #require(returns.filter { $0 >= function.address }.min())
            text += "branch 0x1000 -> \(hex(function.address + Self.slide)) call\n"
            text += "branch \(hex(end + Self.slide)) -> 0x1005 ret\n"
        }
        try assemble(text, to: path)
        let result = try Tool.analyze.run("verify", "--symbols", kernel, path)
        #expect(result.errors.contains("ran 0x1c000000 higher"))
        #expect(result.output.contains("100.0 % of 40 branches' places fit"), "\(result.output)")
        let off = try Tool.analyze.run(["verify", "--symbols", kernel, "--kaslr", "off", path])
        #expect(off.output.contains("100.0 % of 0 branches' places fit"), "\(off.output)")
    }

    @Test func aListOfSymbolsIsMovedToo() throws {
        let kernel = try kernel()
        let functions = try functions(kernel)
        let map = directory.file("System.map")
        _ = try Tool(path: "/bin/sh").run(["-c", "nm -n '\(kernel)' >'\(map)'"])
        let moved = try log("moved.log", calling: functions.map { $0.address + Self.slide })
        let found = try dump("--symbols", map, moved)
        #expect(found.errors.contains("\(map): ran 0x1c000000 higher than linked (KASLR): 40 of 40 call targets fit"))
        #expect(found.output.contains(" <f21>  call"))
        // Another kernel: calls go into the middle of its functions.
        let other = try log("other.log", calling: functions.flatMap { [$0.address + 1, $0.address + 3] })
        let wrong = try dump("--symbols", map, other)
        #expect(
            wrong.errors.contains("\(map) does not belong to it: only 0 of 80 call targets in it fit"),
            "\(wrong.errors)")
    }

    /// Original and replay, each with its own slide.
    @Test func divergeKnowsTheSlideOfEachSide() throws {
        let kernel = try kernel()
        let functions = try functions(kernel)
        let one = try log("one.log", calling: functions.map { $0.address + Self.slide })
        let two = try log("two.log", calling: functions.map { $0.address + 2 * Self.slide })
        let result = try Tool.analyze.run(
            ["diverge", "--no-cache", "--symbols", kernel, "--kaslr", "auto", one, two])
        #expect(result.status == 1, "\(result.errors)")
        #expect(result.errors.contains("ran 0x1c000000 higher") && result.errors.contains("ran 0x38000000 higher"))
        let difference = "\(hex(functions[0].address + Self.slide)) <f0>"
        #expect(result.output.contains(difference), "\(result.output)")
        #expect(result.output.contains("\(hex(functions[0].address + 2 * Self.slide)) <f0>"), "\(result.output)")
        #expect(result.output.contains("--symbols \(kernel)"))
    }

    // MARK: - Programs

    @Test func aProgramIsNamedAtEachOfItsPlaces() throws {
        let program = try compile("roam", "-fPIE -pie")
        let functions = try functions(program)
        let places: [UInt64] = [0x7f8e_e702_1000, 0x5555_5555_4000]
        let log = try log(
            "roam.log", calling: places.flatMap { place in functions.map { $0.address + place } }, from: 0x40_0000)
        let found = try dump("--user", program, log)
        #expect(found.errors.contains("\(program): was loaded at 2 addresses, one a run: "))
        #expect(found.errors.contains("0x7f8ee7021000") && found.errors.contains("0x555555554000"))
        for place in places {
            for function in functions {
                let address = String(function.address + place, radix: 16)
                #expect(found.output.contains("\(address) <\(function.name)>  call"))
            }
        }
        // In the part that is printed it ran once.
        let part = try dump("--user", program, "--range", "80:", log)
        #expect(part.errors.contains("was loaded at 0x555555554000: 40 of 40 call targets fit, next best "))
        // If a part has too few calls, the whole log is searched.
        let little = try dump("--user", program, "--range", "80:90", log)
        #expect(little.errors.contains("was loaded at 2 addresses") && little.output.contains(" <f"))
        let given = try dump("--user", "\(program)@0x555555554000", log)
        #expect(
            !given.errors.contains("was loaded at") && given.output.contains("<f3>")
                && !given.output.contains("7f8ee7021000 <"))
        let events = try Tool.analyze.run("events", "--no-cache", "--user", program, log)
        #expect(events.errors.contains("was loaded at 2 addresses"))
    }

    @Test func aProgramThatCannotBePlacedNamesNothing() throws {
        let program = try compile("roam", "-fPIE -pie")
        let kernel = try kernel()
        let log = try log("none.log", calling: [0x1000, 0x2000, 0x3000], from: 0x40_0000)
        let unknown = try dump("--user", program, log)
        #expect(unknown.errors.contains("warning: \(program): \(log) does not show where it was loaded"))
        #expect(unknown.errors.contains("; give --user \(program)@ADDRESS"))
        #expect(unknown.output.contains("1000") && !unknown.output.contains("<"))
        // A program never answers for the kernel's addresses.
        let high = try dump("--user", "\(program)@0xffffffff81000000", log, expecting: 2)
        #expect(high.errors.contains("is no user program"))
        #expect(try dump("--user", kernel, log, expecting: 2).errors.contains("give --symbols \(kernel)"))
        // Without a log nothing shows the place.
        let alone = try Tool.analyze.run(["symbolize", "--user", program, "0x1000"])
        #expect(alone.status == 2 && alone.errors.contains("there is no log to show where it was loaded"))
        let fixed = try compile("fixed", "-fno-pie -no-pie")
        let address = try #require(try functions(fixed).first { $0.name == "f7" }).address
        let named = try Tool.analyze.run(["symbolize", "-f", "--user", fixed, hex(address)])
        #expect(named.status == 0 && named.output.hasPrefix("f7\n"))
    }

    // MARK: - Modules

    @Test func modulesAreNamedWhereTheListSaysTheyStood() throws {
        let source = directory.file("m.c")
        let text = Self.source + "\n__attribute__((section(\".gnu.linkonce.this_module\"))) char this_module[896];\n"
        try text.write(toFile: source, atomically: true, encoding: .utf8)
        let modules = directory.file("modules")
        try FileManager.default.createDirectory(atPath: modules, withIntermediateDirectories: true)
        let module = "\(modules)/my-module.ko"
        let compiler = "gcc -g -O1 -c -mcmodel=kernel -fno-pie -o '\(module)' '\(source)'"
        try #require(try Tool(path: "/bin/sh").run(["-c", compiler]).status == 0)
        try "my_module 16384 0 - Live 0xffffffffc0593000 (E)\nother 8192 0 - Live 0xffffffffc0100000\n".write(
            toFile: "\(modules)/proc-modules", atomically: true, encoding: .utf8)
        let functions = try functions(module)
        let log = try log("modules.log", calling: functions.map { $0.address + 0xffff_ffff_c059_3000 })
        let found = try dump("--modules", modules, log)
        #expect(found.errors == "bts-dump: warning: \(modules): has no file for 1 of the modules: other\n")
        for function in functions { #expect(found.output.contains(" <\(function.name)>  call")) }
        let alone = try dump("--symbols", "\(module)@0xffffffffc0593000", log)
        #expect(alone.errors.isEmpty && alone.output == found.output)

        // A list from another boot.
        let list = directory.file("list")
        try "my_module 16384 0 - Live 0xffffffffc0592ff0 (E)\n".write(toFile: list, atomically: true, encoding: .utf8)
        let wrong = try dump("--modules", "\(modules),\(list)", log)
        #expect(wrong.errors.contains("my-module.ko does not belong to it, or was loaded elsewhere"), "\(wrong.errors)")
        #expect(try dump("--modules", "\(modules),/no/list", log, expecting: 2).errors.contains("/no/list"))
        #expect(try dump("--modules", "/no/directory", log, expecting: 2).errors.contains("/no/directory"))
        let object = try dump("--symbols", module, log, expecting: 2)
        #expect(object.errors.contains("for a kernel module where it was loaded: FILE@ADDRESS"))
    }

    /// Of a directory, what ran is named: a program at its link address, one that moved, and no other.
    @Test func theProgramsOfADirectoryThatRan() throws {
        let roam = try compile("roam", "-fPIE -pie")
        let fixed = try compile("fixed", "-O2 -static -nostdlib -no-pie -fno-pie -Wl,-e,main")
        let other = try compile("other", "-O0 -static -nostdlib -no-pie -fno-pie -Wl,-e,main")
        let root = directory.file("root")
        try FileManager.default.createDirectory(atPath: root + "/usr/bin", withIntermediateDirectories: true)
        for (path, place) in [(roam, "usr/bin/roam"), (fixed, "fixed"), (other, "other")] {
            try FileManager.default.moveItem(atPath: path, toPath: "\(root)/\(place)")
        }
        try FileManager.default.createSymbolicLink(atPath: root + "/link", withDestinationPath: root + "/fixed")
        try "\u{7f}ELF".write(toFile: root + "/short", atomically: true, encoding: .utf8)
        let place: UInt64 = 0x5555_5555_4000
        let moved = try functions(root + "/usr/bin/roam").map { $0.address + place }
        let linked = try functions(root + "/fixed").map(\.address)
        let log = try log("both.log", calling: moved + linked, from: 0x40_0000)
        let found = try dump("--user", root, log)
        #expect(found.errors.contains("\(root): 2 of 3 programs and libraries ran"), "\(found.errors)")
        #expect(found.errors.contains("\(root)/usr/bin/roam: was loaded at 0x555555554000"))
        for address in moved + linked {
            #expect(found.output.contains("\(String(address, radix: 16)) <f"), "\(hex(address))")
        }
    }
}
