// SPDX-License-Identifier: GPL-2.0-or-later

import CTTLog
import Glibc

/// A child process whose standard output goes to a file (a pipe would be inherited by other tests' children).
final class Program {
    let process: pid_t
    private let directory: String

    init(_ path: String, _ arguments: [String]) throws {
        directory = try temporaryDirectory()
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 1, directory + "/output", O_WRONLY | O_CREAT, 0o600)
        // This may run on a thread that blocks all signals; the child must not inherit that.
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var signals = sigset_t()
        sigemptyset(&signals)
        posix_spawnattr_setsigmask(&attributes, &signals)
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK))
        var words: [UnsafeMutablePointer<CChar>?] = ([path] + arguments).map { strdup($0) } + [nil]
        defer { for word in words { free(word) } }
        var process: pid_t = 0
        let code = posix_spawn(&process, path, &actions, &attributes, &words, environ)
        guard code == 0 else { throw FileProblem(path: path, code: code) }
        self.process = process
    }

    /// Waits for the end. `signal` is 0 if the process exited.
    @discardableResult
    func wait() throws -> (output: String, status: Int32, signal: Int32) {
        var status: Int32 = 0
        while waitpid(process, &status, 0) == -1 && errno == EINTR {}
        defer {
            unlink(directory + "/output")
            rmdir(directory)
        }
        let output = String(decoding: try readFile(directory + "/output"), as: UTF8.self)
        return (output, status >> 8 & 0xff, status & 0x7f)
    }
}

/// The program of Tests/Torture, and the records that it writes.
enum Torture {
    /// The built program is beside the test bundle.
    static func executable() throws -> String {
        var buffer = [CChar](repeating: 0, count: 4096)
        let length = readlink("/proc/self/exe", &buffer, buffer.count)
        let own = String(decoding: buffer[..<max(0, length)].map { UInt8(bitPattern: $0) }, as: UTF8.self)
        let candidates = ([own] + CommandLine.arguments).map { path in
            "/" + path.split(separator: "/").dropLast().joined(separator: "/") + "/ttlog-torture"
        }
        guard let found = candidates.first(where: fileExists) else { throw FileProblem(path: own, code: ENOENT) }
        return found
    }

    /// A page of zeros for the program to count in.
    static func makeOracle(in directory: String) throws -> String {
        let path = directory + "/oracle"
        try writeFile(path, [UInt8](repeating: 0, count: 4096))
        return path
    }

    /// Branches and events that were committed.
    static func committed(_ oracle: String) throws -> (branches: Int, events: Int) {
        let page = try readFile(oracle)
        let branches: UInt64 = load(page, 0)
        let events: UInt64 = load(page, 8)
        return (Int(branches), Int(events))
    }

    static func branch(_ index: Int, random: Bool = false) -> BranchRecord {
        let number = UInt64(index)
        let mix = splitmix64(number)
        let base: UInt64 = 0xffff_ffff_8100_0000
        return BranchRecord(
            from: random ? mix : base &+ (mix & 0xffff),
            to: random ? splitmix64(~number) : base &+ (mix >> 16 & 0xfffff),
            icount: 3 * number + (mix >> 40 & 1), label: UInt8(mix >> 60))
    }

    static func event(_ index: Int) -> EventRecord {
        let number = UInt64(index)
        return EventRecord(
            validity: 3, info: UInt32(index), clock: 61 * number, icount: 183 * number, ip: 61 * number,
            payload: (0..<(splitmix64(number) % 200)).map { UInt8(truncatingIfNeeded: number + $0) })
    }

    /// The index of the first record that differs from the sequence, or nil.
    static func firstDifference(_ records: [BranchRecord], random: Bool = false) -> Int? {
        records.indices.first { records[$0] != branch($0, random: random) }
    }

    /// The same; the ticket, which is not part of the sequence, must be the event's number.
    static func firstDifference(_ records: [EventRecord]) -> Int? {
        records.indices.first { index in
            var expected = event(index)
            expected.ticket = UInt64(index)
            return records[index] != expected
        }
    }
}
