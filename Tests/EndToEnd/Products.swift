// SPDX-License-Identifier: GPL-2.0-or-later

@preconcurrency import Glibc
import RunDirectory
import TestSupport
import Testing

@testable import ReplaySession

/// The built tools, the plugin, the small guest and its variants.
enum Products {
    /// The source tree.
    static let root: String = {
        // Tests/EndToEnd/Products.swift
        var path = Substring(#filePath)
        for _ in 0..<3 { path = path[..<(path.lastIndex(of: "/") ?? path.startIndex)] }
        return String(path)
    }()

    /// The directory that this test was built into: the one that holds the test bundle.
    private static let buildDirectory: String = {
        let words = CommandLine.arguments + [ExecutableFile.directory + "/"]
        for word in words {
            guard let bundle = word.firstRange(of: ".xctest") else { continue }
            let path = word[..<bundle.lowerBound]
            guard let slash = path.lastIndex(of: "/") else { continue }
            return String(path[..<slash])
        }
        return "\(root)/.build/debug"
    }()

    static func tool(_ name: String) -> String { "\(buildDirectory)/\(name)" }

    /// The plugin and the guests, built where they are not up to date.
    private static let made: Bool = {
        for directory in ["hypervisor/qemu", "hypervisor/guests/tiny"] {
            let result = try? run("/usr/bin/make", ["-s", "-C", "\(root)/\(directory)"], seconds: 120)
            guard result?.end == .exited(status: 0) else {
                Issue.record("make in \(directory): \(result?.err ?? "not started")")
                return false
            }
        }
        return true
    }()

    static var plugin: String { made ? "\(root)/hypervisor/qemu/build/libttd.so" : "" }

    /// The QEMU in PATH: 7.2 on Debian 12.
    static let qemu7 = "qemu-system-x86_64"

    /// QEMU 10.0, unpacked in the user's cache; fetched when it is not there yet.
    static let qemu10: String? = {
        let result = try? run("\(root)/scripts/fetch-qemu10", [], seconds: 300)
        guard let result, result.status == 0 else {
            Issue.record("scripts/fetch-qemu10: \(result?.err ?? "not started")")
            return nil
        }
        return String(result.out.prefix { $0 != "\n" })
    }()

    /// A variant of the small guest: `tiny`, `tiny-extra-turn`, `tiny-data`, `tiny-plain`, `tiny-truth`; or `aliases`, `accesses`,
    /// `clocks`, `halts`, `restarts-1` to `restarts-6`, `resets-1` to `resets-4`, `multiboot-50`, `multiboot-51`.
    static func guest(_ name: String) -> String { made ? "\(root)/hypervisor/guests/tiny/build/\(name).elf" : "" }

    /// The small guest or a variant of it, with the requested work.
    static func guest(
        _ name: String = "tiny", rounds: Int, in directory: TemporaryDirectory
    ) throws -> String {
        let result = try run(
            "/usr/bin/make",
            ["-s", "-C", "\(root)/hypervisor/guests/tiny", "ROUNDS=\(rounds)", "OUT=\(directory.file("guest"))"],
            seconds: 120)
        try #require(result.end == .exited(status: 0), "\(result.err)")
        return directory.file("guest/\(name).elf")
    }

    /// The device by which the small guest ends QEMU.
    static let exitDevice = "isa-debug-exit,iobase=0xf4,iosize=4"
}

/// The result of a program.
struct ToolResult {
    var end: ProcessEnd
    var out: String
    var err: String

    var status: Int32? {
        if case .exited(let status) = end { status } else { nil }
    }
}

/// A program that runs during the test.
final class RunningTool {
    private let child: ChildProcess
    private let files: TemporaryDirectory

    init(_ path: String, _ arguments: [String]) throws {
        files = try temporaryDirectory()
        let out = open(files.file("out"), O_WRONLY | O_CREAT | O_CLOEXEC, 0o600)
        let err = open(files.file("err"), O_WRONLY | O_CREAT | O_CLOEXEC, 0o600)
        defer {
            close(out)
            close(err)
        }
        child = try ChildProcess(
            path: path, arguments: [path] + arguments, inheriting: [(out, STDOUT_FILENO), (err, STDERR_FILENO)],
            output: nil)
    }

    deinit { child.endNow() }

    var pid: pid_t { child.pid }
    var isRunning: Bool { child.poll() == nil }

    /// Sends a signal to the program's process group, as a terminal does.
    func signalGroup(_ number: Int32) {
        if isRunning { kill(-child.pid, number) }
    }

    func signal(_ number: Int32) { child.signal(number) }

    /// Waits for its end; a program that takes longer than any test may is killed, which the result shows.
    func wait(seconds: Double = 120) throws -> ToolResult {
        let deadline = Clock.now() + seconds
        while child.poll() == nil, Clock.now() < deadline { usleep(2000) }
        child.endNow()
        func text(_ name: String) throws -> String {
            String(decoding: try Files.contents(files.file(name)), as: UTF8.self)
        }
        return ToolResult(end: child.end ?? .exited(status: -1), out: try text("out"), err: try text("err"))
    }
}

/// Runs a program to its end.
func run(_ path: String, _ arguments: [String], seconds: Double = 120) throws -> ToolResult {
    try RunningTool(path, arguments).wait(seconds: seconds)
}

/// Runs tt-record on the small guest or another kernel.
func record(
    _ kernel: String = Products.guest("tiny"), into directory: String, _ more: [String] = []
) throws -> ToolResult {
    try run(Products.tool("tt-record"), recordArguments(kernel, into: directory, more))
}

func recordArguments(_ kernel: String, into directory: String, _ more: [String] = []) -> [String] {
    let qemu = more.contains("--qemu") ? [] : ["--qemu", Products.qemu7]
    return qemu + ["--kernel", kernel, "--device", Products.exitDevice, "--plugin", Products.plugin, directory] + more
}

/// Runs tt-replay.
func replay(_ directory: String, _ more: [String] = []) throws -> ToolResult {
    try run(Products.tool("tt-replay"), [directory] + more)
}

/// Waits until something is so; a test that waits for ever fails here.
func wait(until condition: () throws -> Bool, _ what: String) throws {
    let deadline = Clock.now() + 60
    while !(try condition()) {
        try #require(Clock.now() < deadline, "waited in vain until \(what)")
        usleep(1000)
    }
}

/// The process number of the QEMU that holds a run directory, from its lock file.
func qemuProcess(of directory: String) -> pid_t? {
    let text = Files.tail("\(directory)/.lock")
    guard let range = text.firstRange(of: "QEMU (process ") else { return nil }
    return pid_t(text[range.upperBound...].prefix { $0.isNumber })
}

/// Whether a process lives (a zombie does not).
func isAlive(_ process: pid_t) -> Bool {
    guard let stat = try? Files.contents("/proc/\(process)/stat") else { return false }
    let text = String(decoding: stat, as: UTF8.self)
    guard let close = text.lastIndex(of: ")") else { return false }
    return !text[close...].hasPrefix(") Z")
}
