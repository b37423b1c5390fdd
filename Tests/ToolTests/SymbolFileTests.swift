// SPDX-License-Identifier: GPL-2.0-or-later

import Foundation
import TestSupport
import Testing

/// Unusable symbol files, through the tools: one line with the reason and status 2, or one line of warning and the
/// symbols that the file still has.
@Suite struct SymbolFileTests {
    private let directory: TemporaryDirectory
    private let log: String
    /// A small program with DWARF, and the address of its `work`.
    private let program: String
    private let address: String

    init() throws {
        directory = try TemporaryDirectory()
        let source = directory.file("a.c")
        program = directory.file("program")
        try
            "__attribute__((noinline)) int work(int x) { return x * 3; }\nint main(int c, char **v) { return work(c); }\n"
            .write(toFile: source, atomically: true, encoding: .utf8)
        let build = "gcc -g -O1 -no-pie -fno-pie -o '\(program)' '\(source)' && nm '\(program)' | grep ' work$'"
        let shell = try Tool(path: "/bin/sh").run(["-c", build])
        address = "0x" + (try #require(shell.output.split(separator: " ").first.map(String.init)))
        log = directory.file("ttd.log")
        try assemble("branch \(address) -> 0x10 ret", to: log)
    }

    /// Both ways in: names for a log, and addresses alone.
    private func commands(_ file: String) -> [(tool: Tool, arguments: [String])] {
        [
            (.dump, ["--no-cache", "--symbols", file, log]),
            (.analyze, ["symbolize", "--no-cache", "--symbols", file, "-f", address]),
        ]
    }

    private func expectTrouble(
        _ file: String, _ words: String..., commands: [(tool: Tool, arguments: [String])]? = nil,
        sourceLocation: SourceLocation = #_sourceLocation
    ) throws {
        for (tool, arguments) in commands ?? self.commands(file) {
            let result = try tool.run(arguments)
            #expect(result.status == 2, "\(result.errors)", sourceLocation: sourceLocation)
            #expect(result.output.isEmpty, sourceLocation: sourceLocation)
            #expect(result.errors.split(separator: "\n").count == 1, "\(result.errors)", sourceLocation: sourceLocation)
            for word in [file] + words {
                #expect(result.errors.contains(word), "\(result.errors)", sourceLocation: sourceLocation)
            }
        }
    }

    /// A changed copy of the program.
    private func copy(_ name: String, _ change: (inout [UInt8]) -> Void) throws -> String {
        var bytes = [UInt8](try Data(contentsOf: URL(fileURLWithPath: program)))
        change(&bytes)
        let path = directory.file(name)
        try Data(bytes).write(to: URL(fileURLWithPath: path))
        return path
    }

    @Test func whatIsNoELFFileIsTrouble() throws {
        let text = directory.file("notes.txt")
        try "these are notes\n".write(toFile: text, atomically: true, encoding: .utf8)
        try expectTrouble(text, "is not an ELF file", "offset 0", "found 74 68 65 73")
        try expectTrouble(try copy("empty") { $0 = [] }, "is empty")
        try expectTrouble(directory.file("missing"), "No such file or directory")
        try expectTrouble(directory.path, "is a directory")
        try expectTrouble("/dev/null", "is not a regular file")
        try expectTrouble(try copy("cut") { $0.removeLast($0.count - 40) }, "damaged ELF file")
        // ET_REL, ET_CORE.
        try expectTrouble(try copy("object.o") { $0[16] = 1 }, "object file")
        try expectTrouble(try copy("core") { $0[16] = 4 }, "core dump")
        let image = directory.file("vmlinuz")
        var bytes = [UInt8](repeating: 0, count: 1024)
        bytes.replaceSubrange(0x202..<0x206, with: "HdrS".utf8)
        try Data(bytes).write(to: URL(fileURLWithPath: image))
        try expectTrouble(image, "boot image", "vmlinux")
    }

    /// `symbolize` has no log that shows the processor.
    @Test func aFileForAnotherProcessorIsTrouble() throws {
        let other = try copy("other") { $0[18] = 183 }
        try expectTrouble(
            other, "another processor", "x86-64 (62)", "aarch64 (183)", commands: [commands(other)[0]])
    }

    @Test func withoutAnyNamesAFileIsTrouble() throws {
        let bare = directory.file("bare")
        let made = try Tool(path: "/usr/bin/gcc").run(
            ["-O1", "-static", "-nostdlib", "-Wl,-e,main", "-s", "-o", bare, directory.file("a.c")])
        #expect(made.status == 0, "\(made.errors)")
        try expectTrouble(bare, "neither function symbols nor DWARF")
    }

    @Test func withoutDWARFThereAreFunctions() throws {
        let bare = directory.file("bare")
        let made = try Tool(path: "/usr/bin/strip").run(["-o", bare, "--strip-debug", program])
        #expect(made.status == 0)
        for (tool, arguments) in commands(bare) {
            let result = try tool.run(arguments)
            #expect(result.status == 0)
            #expect(result.output.contains("work"))
            #expect(result.errors.split(separator: "\n").count == 1, "\(result.errors)")
            #expect(result.errors.contains("warning: \(bare): has no DWARF"), "\(result.errors)")
        }
    }

    @Test func whatMayNotBeReadIsTrouble() throws {
        let secret = try copy("secret") { _ in }
        chmod(secret, 0)
        guard geteuid() == 0 else { return try expectTrouble(secret, "Permission denied") }
        // Root may read everything: as another user, who must be able to read the tools and the log.
        chmod(directory.path, 0o755)
        let asNobody = ["--reuid=65534", "--regid=65534", "--clear-groups"]
        let setpriv = Tool(path: "/usr/bin/setpriv")
        let canRun = try setpriv.run(asNobody + [Tool.dump.path, "--version"]).status == 0
        try #require(canRun, "the build's directory is closed to other users")
        try expectTrouble(
            secret, "Permission denied",
            commands: commands(secret).map { (setpriv, asNobody + [$0.tool.path] + $0.arguments) })
    }

    @Test(arguments: ["file/cache", "/proc/no-such-directory"])
    func aCacheThatCannotBeWrittenIsAWarning(_ place: String) throws {
        _ = try copy("file") { $0 = [1] }
        let cache = place.hasPrefix("/") ? place : directory.file(place)
        for (tool, arguments) in commands(program) {
            let whole = try tool.run(arguments)
            #expect(whole.status == 0 && whole.errors.isEmpty, "\(whole.errors)")
            let result = try Tool(path: "/usr/bin/env").run(
                ["XDG_CACHE_HOME=\(cache)", tool.path] + arguments.filter { $0 != "--no-cache" })
            #expect(result.status == 0)
            #expect(result.output == whole.output)
            #expect(result.output.contains("work"))
            #expect(result.errors.split(separator: "\n").count == 1, "\(result.errors)")
            #expect(result.errors.contains("warning: \(cache)/tt-analyze/symbols: cannot keep"), "\(result.errors)")
        }
    }
}
