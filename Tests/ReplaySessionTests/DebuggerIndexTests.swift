// SPDX-License-Identifier: GPL-2.0-or-later

import Glibc
import RunDirectory
import TestSupport
import Testing

@testable import TravelSupport

/// An index that gdb keeps is one of exactly these files, whatever build ID they claim.
@Suite struct DebuggerIndexTests {
    /// A program with a build ID.
    private func program(_ path: String) throws -> String {
        try Files.replace(path, with: Files.contents("/bin/true"))
        return path
    }

    private func directory(_ paths: [String], _ base: String) throws -> String {
        let commands = DebuggerIndexes.commands(for: paths, in: base)
        try #require(commands.count == 2 && commands[1] == "set index-cache enabled on", "\(commands)")
        return String(commands[0].dropFirst("set index-cache directory ".count))
    }

    @Test func filesWithOneBuildIDShareNoIndex() throws {
        let scratch = try temporaryDirectory()
        let base = scratch.file("base")
        let (one, other) = (try program(scratch.file("one")), try program(scratch.file("other")))
        let first = try directory([one], base)
        #expect(first.hasPrefix(base + "/"))
        #expect(try directory([one], base) == first)
        #expect(try directory([one, one], base) == first)
        #expect(try directory([other], base) != first)
        #expect(try directory([one, "/bin/sh"], base) != first)
        #expect(DebuggerIndexes.commands(for: [one, other], in: base).isEmpty)
        // The file is changed in place; its build ID is not.
        let file = open(one, O_WRONLY | O_APPEND)
        #expect(write(file, "\0", 1) == 1)
        close(file)
        #expect(try directory([one], base) != first)
        #expect(DebuggerIndexes.commands(for: [scratch.file("none")], in: base).isEmpty)
        #expect(DebuggerIndexes.commands(for: [one], in: nil).isEmpty)
        #expect(DebuggerIndexes.commands(for: [one], in: "/a\nshell reboot").isEmpty)
        #expect(DebuggerIndexes.commands(for: [], in: base).isEmpty)
    }

    @Test func theOldestSetsGo() throws {
        let scratch = try temporaryDirectory()
        let base = scratch.file("base")
        let one = try program(scratch.file("one"))
        let own = try directory([one], base)
        mkdir(base, 0o700)
        var made: [String] = []
        for number in 0..<12 {
            let path = number == 0 ? own : "\(base)/\(String(repeating: "\(number % 10)", count: 30))\(10 + number)"
            mkdir(path, 0o700)
            try Files.replace("\(path)/index", with: [1])
            var times = [timespec(tv_sec: 1000 + number, tv_nsec: 0), timespec(tv_sec: 1000 + number, tv_nsec: 0)]
            utimensat(AT_FDCWD, path, &times, 0)
            made.append(path)
        }
        mkdir("\(base)/another", 0o700)
        #expect(try directory([one], base) == own)
        let left = try Files.list(base).map { "\(base)/\($0)" }
        #expect(Set(left) == Set([own, "\(base)/another"] + made[5...]))
    }
}
