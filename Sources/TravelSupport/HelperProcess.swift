// SPDX-License-Identifier: GPL-2.0-or-later

@preconcurrency import Glibc
import ReplaySession
import RunDirectory

/// A program that a tool runs beside it: gdb. It is ended with this object.
public final class HelperProcess {
    /// Thrown where a program's end ends a wait.
    public struct Ended: Error {
        /// Makes the error.
        public init() {}
    }

    private let pid: pid_t
    private var status: Int32?

    /// Starts a program on the tool's own terminal, in the tool's process group: the terminal sends Ctrl-C to both. It gets SIGTERM
    /// when the thread that starts it ends, where setpriv of util-linux is installed.
    public convenience init(interactive program: String, _ arguments: [String]) throws(RunError) {
        try self.init(bound: program, arguments, flags: 0, leavesTerminal: true) { _ in }
    }

    /// Starts a program with a file for its output, and no input, in the tool's process group. It is killed as the one below.
    public convenience init(_ program: String, _ arguments: [String], output: String) throws(RunError) {
        try self.init(bound: program, arguments, flags: 0) { actions in
            posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0)
            posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, output, O_WRONLY | O_CREAT | O_TRUNC, 0o600)
            posix_spawn_file_actions_adddup2(&actions, STDOUT_FILENO, STDERR_FILENO)
        }
    }

    /// Starts a program with descriptors as its input and output, in a process group of its own. The kernel kills it with the
    /// thread that starts it, where setpriv of util-linux is installed.
    public convenience init(
        _ program: String, _ arguments: [String], input: Int32, output: Int32
    ) throws(RunError) {
        try self.init(bound: program, arguments) { actions in
            posix_spawn_file_actions_adddup2(&actions, input, STDIN_FILENO)
            posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO)
        }
    }

    /// Starts a program that reads and prints nothing, in a process group of its own. It is killed as the one above.
    public convenience init(silent program: String, _ arguments: [String]) throws(RunError) {
        try self.init(bound: program, arguments) { actions in
            posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDWR, 0)
            for number in [STDOUT_FILENO, STDERR_FILENO] {
                posix_spawn_file_actions_adddup2(&actions, STDIN_FILENO, number)
            }
        }
    }

    private convenience init(
        bound program: String, _ arguments: [String], flags: Int32 = POSIX_SPAWN_SETPGROUP,
        leavesTerminal: Bool = false,
        prepare: (inout posix_spawn_file_actions_t) -> Void
    ) throws(RunError) {
        guard let path = SystemProgram.locate(program) else { throw HelperProcess.missing(program) }
        let words = BoundProgram.words(path, arguments, leavesTerminal: leavesTerminal)
        try self.init(words[0], Array(words.dropFirst()), flags: flags, prepare: prepare)
    }

    /// Asks it to end, and waits so many seconds.
    public func end(within seconds: Double) {
        guard !hasEnded else { return }
        kill(pid, SIGTERM)
        let deadline = Clock.now() + seconds
        while !hasEnded, Clock.now() < deadline { usleep(5000) }
        if !hasEnded { kill(pid, SIGKILL) }
        wait()
    }

    private static func missing(_ program: String) -> RunError {
        let package = program.split(separator: "/").last.map(String.init) ?? program
        return .missing(
            what: "program", name: program, remedy: .advice("install it (Debian: apt-get install \(package))"))
    }

    private init(
        _ program: String, _ arguments: [String], flags: Int32,
        prepare: (inout posix_spawn_file_actions_t) -> Void
    ) throws(RunError) {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        prepare(&actions)
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var none = sigset_t()
        sigemptyset(&none)
        var all = sigset_t()
        sigfillset(&all)
        posix_spawnattr_setsigmask(&attributes, &none)
        posix_spawnattr_setsigdefault(&attributes, &all)
        posix_spawnattr_setflags(&attributes, Int16(flags | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF))
        var words: [UnsafeMutablePointer<CChar>?] = ([program] + arguments).map { strdup($0) }
        words.append(nil)
        defer { for word in words { free(word) } }
        var child: pid_t = 0
        let code = posix_spawnp(&child, program, &actions, &attributes, words, environ)
        guard code != ENOENT else { throw HelperProcess.missing(program) }
        guard code == 0 else { throw .system(doing: "start", path: program, code: code) }
        pid = child
    }

    deinit {
        if !hasEnded { kill(pid, SIGKILL) }
        wait()
    }

    /// Whether it has ended.
    public var hasEnded: Bool {
        if status != nil { return true }
        var value: Int32 = 0
        guard waitpid(pid, &value, WNOHANG) == pid else { return false }
        status = value
        return true
    }

    /// The signal that ended it; nil if it runs or has exited.
    public var endSignal: Int32? { hasEnded ? status.map { $0 & 0x7f }.flatMap { $0 == 0 ? nil : $0 } : nil }

    /// Waits for its end. Returns its exit status; 128 and the signal's number after a signal.
    @discardableResult
    public func wait() -> Int32 {
        while !hasEnded { usleep(5000) }
        let value = status ?? 0
        return value & 0x7f == 0 ? (value >> 8) & 0xff : 128 + value & 0x7f
    }
}
