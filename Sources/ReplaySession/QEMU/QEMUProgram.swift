// SPDX-License-Identifier: GPL-2.0-or-later

@preconcurrency import Glibc
import RunDirectory

/// A QEMU program. Two versions do not replay each other's recordings: 10.0 accepts one of 7.2 and hangs.
public struct QEMUProgram: Hashable, Sendable {
    /// Absolute.
    public var path: String
    /// `7.2.22 (Debian 1:7.2+dfsg-7+deb12u18+b3)`: what QEMU prints after "version".
    public var version: String

    /// `7.2.22`.
    public var number: String { String(version.prefix { $0 != " " }) }

    /// Whether a faithful replay ends with the recording's exit status. Some replays of QEMU 10.0 end with another one
    /// (measured: 3 to 4 of 10, with isa-debug-exit).
    public var exitStatusIsReliable: Bool { !number.hasPrefix("10.") }

    /// Whether its plugin interface shows registers and memory: since QEMU 9.
    public var showsRegisters: Bool { (Int(number.prefix { $0 != "." }) ?? 0) >= 9 }

    /// Whether a guest that uses the HPET hangs after a checkpoint was loaded (measured with 10.0): since QEMU 9.1 its timers
    /// keep a value that is not in a checkpoint.
    public var losesHPET: Bool {
        let parts = number.split(separator: ".").map { Int($0) ?? 0 }
        return (parts.first ?? 0, parts.dropFirst().first ?? 0) >= (9, 1)
    }

    /// Whether loading a checkpoint frees memory that instrumented code still uses: mended in QEMU 8.0
    /// (hypervisor/qemu/window/window_log.h).
    var needsPriming: Bool { (Int(number.prefix { $0 != "." }) ?? 0) < 8 }

    /// A program whose version is known.
    public init(path: String, version: String) {
        self.path = path
        self.version = version
    }

    /// The program's name without a path.
    public static let programName = "qemu-system-x86_64"

    /// Finds QEMU and asks it for its version.
    ///
    /// - Parameter given: a path, or a name to look for in PATH; nil takes the first of ``installed()``.
    public static func find(_ given: String?) throws(RunError) -> QEMUProgram {
        if given == nil, variable == nil, let first = installed().first { return first }
        let name = given ?? variable ?? programName
        guard let path = locate(name) else {
            throw .missing(what: "QEMU", name: name, remedy: .installEngine(package: "qemu-system-x86"))
        }
        return QEMUProgram(path: path, version: try askVersion(path))
    }

    /// The environment variable QEMU, where it is set.
    private static var variable: String? {
        getenv("QEMU").map { String(cString: $0) }.flatMap { $0.isEmpty ? nil : $0 }
    }

    /// The QEMUs of this system, the preferred one first: what the environment variable QEMU names; then one that shows
    /// registers, in PATH or fetched into the user's cache by scripts/fetch-qemu10; then any in PATH.
    public static func installed() -> [QEMUProgram] {
        func program(_ name: String?) -> QEMUProgram? {
            guard let path = name.flatMap(locate), let version = try? askVersion(path) else { return nil }
            return QEMUProgram(path: path, version: version)
        }
        let chosen = program(variable)
        let others = [program(programName), program(cached)].compactMap { $0 }
        let ordered = others.filter(\.showsRegisters) + others.filter { !$0.showsRegisters }
        return (chosen.map { [$0] } ?? []) + ordered
    }

    /// Where scripts/fetch-qemu10 puts its program; nil without a home directory.
    private static var cached: String? {
        let cache = getenv("XDG_CACHE_HOME").map { String(cString: $0) }.flatMap { $0.isEmpty ? nil : $0 }
        let home = getenv("HOME").map { String(cString: $0) + "/.cache" }
        return (cache ?? home).map { "\($0)/tt-analyze/qemu10/\(programName)" }
    }

    private static func locate(_ name: String) -> String? { SystemProgram.locate(name) }

    private static func askVersion(_ path: String) throws(RunError) -> String {
        let text = try output(of: path, ["--version"])
        guard let line = text.split(separator: "\n").first, line.hasPrefix("QEMU emulator version ") else {
            throw .engine(
                problem: "\(path), asked for its version, does not answer as QEMU does",
                output: String(text.prefix(200)))
        }
        return String(line.dropFirst("QEMU emulator version ".count))
    }

    /// The first 64 KiB of a program's output, within 10 s.
    static func output(of path: String, _ arguments: [String]) throws(RunError) -> String {
        var ends: [Int32] = [-1, -1]
        guard pipe(&ends) == 0 else { throw .system(doing: "create", path: "a pipe", code: errno) }
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        defer { close(ends[0]) }
        let child: ChildProcess
        do {
            child = try ChildProcess(
                path: path, arguments: [path] + arguments, inheriting: [(ends[1], STDOUT_FILENO)], output: nil)
            close(ends[1])
        } catch {
            close(ends[1])
            throw error
        }
        var bytes: [UInt8] = []
        var block = [UInt8](repeating: 0, count: 4096)
        let deadline = Clock.now() + 10
        while Clock.now() < deadline, bytes.count < 1 << 16 {
            var poller = pollfd(fd: ends[0], events: Int16(POLLIN), revents: 0)
            guard poll(&poller, 1, 100) > 0 else { continue }
            let count = block.withUnsafeMutableBytes { read(ends[0], $0.baseAddress, $0.count) }
            guard count > 0 else { break }
            bytes.append(contentsOf: block[..<count])
        }
        child.endNow()
        return String(decoding: bytes, as: UTF8.self)
    }
}
