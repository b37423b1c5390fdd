// SPDX-License-Identifier: GPL-2.0-or-later

import RunDirectory
import TestSupport
import Testing

@testable import ReplaySession

/// Debian's kernel and a busybox, made by hypervisor/guests/linux/build.sh. Its init runs a static PIE ten times.
enum LinuxGuest {
    /// Its directory; it is made if it is not up to date.
    private static let directory: String? = {
        let result = try? run("\(Products.root)/hypervisor/guests/linux/build.sh", [], seconds: 300)
        guard let result, result.status == 0 else {
            Issue.record("hypervisor/guests/linux/build.sh: \(result?.err ?? "not started")")
            return nil
        }
        return String(result.out.prefix { $0 != "\n" })
    }()

    static func file(_ name: String) throws -> String { "\(try #require(directory))/\(name)" }

    /// Whether the vmlinux of its kernel has been fetched.
    static let hasVmlinux = (try? vmlinux()) != nil

    /// The vmlinux of its kernel, if it has been fetched (630 MB).
    static func vmlinux() throws -> String? {
        let package = String(decoding: try Files.contents(file("kernel")), as: UTF8.self)
        let kernel = String(package.prefix { $0 != "\n" })
        let result = try run("\(Products.root)/scripts/fetch-vmlinux", ["--kept", kernel])
        return result.status == 0 ? String(result.out.prefix { $0 != "\n" }) : nil
    }

    /// Records a boot under QEMU 10.0.
    static func record(into directory: String, randomizingTheKernel: Bool = false, _ more: [String]) throws {
        let qemu = try #require(Products.qemu10)
        var commandLine = String(decoding: try Files.contents(file("cmdline")), as: UTF8.self)
        commandLine = String(commandLine.prefix { $0 != "\n" })
        if randomizingTheKernel {
            commandLine = commandLine.split(separator: " ").filter { $0 != "nokaslr" }.joined(separator: " ")
        }
        let result = try run(
            Products.tool("tt-record"),
            [
                "--qemu", qemu, "--plugin", Products.plugin, "--kernel", file("vmlinuz"), "--initrd",
                file("initramfs.cpio"), "--append", commandLine, "--memory", "256M", directory,
            ] + more)
        try #require(result.status == 0, "\(result)")
    }

    /// The addresses of the program in each of its runs, from its output on the serial line of a run.
    static func programAddresses(_ directory: String) throws -> [UInt64] {
        let serial = Files.tail("\(directory)/serial.log", limit: 1 << 16)
        return serial.split(whereSeparator: \.isNewline).compactMap { line in
            line.firstRange(of: "roam: work at 0x").flatMap { UInt64(line[$0.upperBound...], radix: 16) }
        }
    }

    /// The kernel's first instruction, as the guest printed it.
    static func kernelAddress(_ directory: String) throws -> UInt64 {
        let serial = Files.tail("\(directory)/serial.log", limit: 1 << 16)
        let text = try #require(serial.firstRange(of: "text at "))
        return try #require(UInt64(serial[text.upperBound...].prefix { $0.isHexDigit }, radix: 16))
    }
}

/// Gives a suite one recording of a Linux boot with everything on, in ``current``; it is made when the suite begins and
/// removed when it has ended.
struct LinuxRecording: SuiteTrait, TestScoping {
    /// The run directory.
    @TaskLocal static var current = ""

    func provideScope(
        for test: Test, testCase: Test.Case?, performing function: @Sendable () async throws -> Void
    ) async throws {
        let scratch = try temporaryDirectory()
        let directory = scratch.file("run")
        try LinuxGuest.record(into: directory, EndToEndTests.QEMU10.everything)
        try await Self.$current.withValue(directory) { try await function() }
        withExtendedLifetime(scratch) {}
    }
}
