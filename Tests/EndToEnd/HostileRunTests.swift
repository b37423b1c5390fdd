// SPDX-License-Identifier: GPL-2.0-or-later

import FoundationEssentials
@preconcurrency import Glibc
import RunDirectory
import TestSupport
import Testing

@testable import ReplaySession

/// Recordings from a stranger: nothing that only their manifest names is run, loaded or written.
extension EndToEndTests {
    /// Changes the manifest of a recording as text.
    private func edit(_ directory: String, _ change: (inout JSONValue) -> Void) throws {
        let path = "\(directory)/manifest.json"
        var document = try JSONDecoder().decode(JSONValue.self, from: Data(try Files.contents(path)))
        change(&document)
        try Files.replace(path, with: Array(try JSONEncoder().encode(document)))
    }

    private func set(_ document: inout JSONValue, _ path: [String], _ value: JSONValue) {
        guard let key = path.first, case .object(var members) = document else { return }
        var inner = members[key] ?? .object([:])
        if path.count == 1 { inner = value } else { set(&inner, Array(path.dropFirst()), value) }
        members[key] = inner
        document = .object(members)
    }

    @Test func aManifestRunsAndLoadsNothing() throws {
        let scratch = try temporaryDirectory()
        let proof = scratch.file("proof")
        let program = try scratch.write(
            "qemu", "#!/bin/sh\ntouch \(proof)\nexec \(Products.qemu7) \"$@\"\n")
        let library = scratch.file("evil.so")
        let source = try scratch.write(
            "evil.c",
            """
            #include <fcntl.h>
            int qemu_plugin_version = 1;
            __attribute__((constructor)) static void run(void) { open("\(proof)", O_CREAT | O_WRONLY, 0600); }
            int qemu_plugin_install(void) { return 0; }
            """)
        try #require(try run("/usr/bin/gcc", ["-w", "-shared", "-fPIC", "-o", library, source]).status == 0)
        let details = ["engine", "details"]
        let evil: [(String, [String], JSONValue)] = [
            ("program", details + ["program"], .string(program)),
            ("plugin", details + ["plugin", "file", "path"], .string(library)),
            (
                "incoming", details + ["guest", "extraArguments"],
                .array([.string("-incoming"), .string("exec:touch \(proof)")])
            ),
            (
                "chardev", details + ["guest", "extraArguments"],
                .array([.string("-chardev"), .string("file,id=c,path=\(proof)")])
            ),
            ("plugin option", details + ["plugin", "options"], .array([.string("log=\(proof)")])),
            ("device", details + ["guest", "devices"], .array([.string("loader,file=/etc/passwd,addr=0")])),
            ("daemon", details + ["guest", "extraArguments"], .array([.string("-daemonize")])),
        ]
        for (name, path, value) in evil {
            let directory = scratch.file("run")
            #expect(try record(into: directory, ["--overwrite"]).status == 0)
            try edit(directory) { set(&$0, path, value) }
            let result = try replay(directory, ["--timeout", "20"])
            #expect(!Files.exists(proof), "\(name): \(result)")
            if name != "program" && name != "plugin" {
                #expect(result.status == 2 && result.err.contains("--trust"), "\(name): \(result)")
            } else {
                #expect(result.status == 0, "\(name): \(result)")
            }
        }
        // For one's own recording.
        let directory = scratch.file("run")
        #expect(try record(into: directory, ["--overwrite"]).status == 0)
        try edit(directory) { set(&$0, details + ["program"], .string(program)) }
        #expect(try replay(directory, ["--trust"]).status == 0)
        #expect(Files.exists(proof))
    }

    /// Files of the recording that are no files: an answer comes soon, and nothing outside changes.
    @Test func filesOfARecordingThatAreNone() throws {
        let scratch = try temporaryDirectory()
        let whole = scratch.file("whole")
        #expect(try record(into: whole).status == 0)
        let precious = try scratch.write("precious", "precious\n")
        for name in ["manifest.json", "replay.bin", "ttd.log", ".lock", "replays", "serial.log", "qemu.log"] {
            for kind in ["link", "zero", "fifo", "huge"] {
                let directory = scratch.file("run")
                _ = try run("/bin/rm", ["-rf", directory])
                _ = try run("/bin/cp", ["-a", whole, directory])
                let victim = "\(directory)/\(name)"
                unlink(victim)
                switch kind {
                case "link": try #require(symlink(precious, victim) == 0)
                case "zero": try #require(symlink("/dev/zero", victim) == 0)
                case "fifo": try #require(mkfifo(victim, 0o600) == 0)
                default: _ = try run("/usr/bin/truncate", ["-s", "1T", victim])
                }
                let result = try run(Products.tool("tt-replay"), [directory, "--timeout", "10"], seconds: 40)
                let isNeeded = !["ttd.log", "serial.log", "qemu.log"].contains(name)
                let isHarmless = name == ".lock" && kind == "huge"
                if isNeeded && !isHarmless { #expect(result.status == 2, "\(name) as \(kind): \(result)") }
                #expect(result.status != nil, "\(name) as \(kind): \(result)")
                #expect(Files.tail(precious) == "precious\n", "\(name) as \(kind)")
            }
        }
    }

    @Test func overwriteKeepsItsInputs() throws {
        let scratch = try temporaryDirectory()
        let directory = scratch.file("run")
        #expect(try record(into: directory).status == 0)
        let kernel = "\(directory)/k.elf"
        try Files.replace(kernel, with: try Files.contents(Products.guest("tiny")))
        let result = try record(kernel, into: directory, ["--overwrite"])
        #expect(result.status == 2 && result.err.contains("k.elf"), "\(result)")
        #expect(Files.exists(kernel) && Files.exists("\(directory)/ttd.log"))
    }

    @Test(arguments: ["nan", "-1", "inf", "0", "-inf"]) func timesThatAreNone(value: String) throws {
        let scratch = try temporaryDirectory()
        for option in ["--timeout", "--hang-timeout", "--halt-timeout"] {
            let result = try record(into: scratch.file("run"), ["\(option)=\(value)"])
            #expect(result.status == 2 && !Files.exists(scratch.file("run")), "\(result)")
        }
    }
}
