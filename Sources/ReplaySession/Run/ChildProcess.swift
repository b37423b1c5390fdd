// SPDX-License-Identifier: GPL-2.0-or-later

@preconcurrency import Glibc
import RunDirectory

/// A child process in a process group of its own: a Ctrl-C at the terminal reaches the tool and not the child.
///
/// It receives signals only while it has not been waited for, so that no other process with its number gets them.
final class ChildProcess {
    let pid: pid_t
    private(set) var end: ProcessEnd?

    /// Starts a program with stdin from /dev/null.
    ///
    /// - Parameters:
    ///   - arguments: the program's name first.
    ///   - inheriting: descriptors and the numbers that they get in the child. All others are closed, also those that the
    ///     tool itself inherited: a lock or a log of the user's shell is no file of the run.
    ///   - output: a file that receives stdout and stderr, unless `inheriting` names them; nil for /dev/null.
    ///   - temporaryDirectory: the directory for the program's temporary files (TMPDIR); nil for the tool's own.
    ///   - diesWithTool: whether it ends with the thread that starts it (``BoundProgram``).
    init(
        path: String, arguments: [String], inheriting: [(descriptor: Int32, number: Int32)], output: String?,
        temporaryDirectory: String? = nil, diesWithTool: Bool = false
    ) throws(RunError) {
        let words = diesWithTool ? BoundProgram.words(path, arguments.dropFirst()) : arguments
        // A descriptor may have the number that another one must get: move all of them to high numbers first.
        var moved: [(descriptor: Int32, number: Int32)] = []
        defer { for pair in moved { close(pair.descriptor) } }
        for pair in inheriting {
            let copy = fcntl(pair.descriptor, F_DUPFD_CLOEXEC, 64)
            guard copy >= 0 else { throw .system(doing: "duplicate", path: "a descriptor", code: errno) }
            moved.append((copy, pair.number))
        }

        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_addopen(
            &actions, STDOUT_FILENO, output ?? "/dev/null", O_WRONLY | O_CREAT | O_APPEND, 0o666)
        posix_spawn_file_actions_adddup2(&actions, STDOUT_FILENO, STDERR_FILENO)
        for pair in moved { posix_spawn_file_actions_adddup2(&actions, pair.descriptor, pair.number) }
        let kept = [STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO] + inheriting.map(\.number)
        for descriptor in try Files.list("/proc/self/fd").compactMap({ Int32($0) }) where !kept.contains(descriptor) {
            posix_spawn_file_actions_addclose(&actions, descriptor)
        }

        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var noSignals = sigset_t()
        sigemptyset(&noSignals)
        var allSignals = sigset_t()
        sigfillset(&allSignals)
        posix_spawnattr_setpgroup(&attributes, 0)
        posix_spawnattr_setsigmask(&attributes, &noSignals)
        posix_spawnattr_setsigdefault(&attributes, &allSignals)
        let flags = POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF
        posix_spawnattr_setflags(&attributes, Int16(flags))

        var pointers: [UnsafeMutablePointer<CChar>?] = words.map { strdup($0) }
        pointers.append(nil)
        defer { for pointer in pointers { free(pointer) } }
        var variables = ChildProcess.environment(temporaryDirectory)
        variables.append(nil)
        defer { for variable in variables { free(variable) } }
        var child: pid_t = 0
        let code = posix_spawn(
            &child, diesWithTool ? words[0] : path, &actions, &attributes, pointers, variables)
        guard code == 0 else { throw .system(doing: "start", path: path, code: code) }
        pid = child
    }

    /// The tool's environment, with another TMPDIR if one is given.
    private static func environment(_ temporaryDirectory: String?) -> [UnsafeMutablePointer<CChar>?] {
        var list: [UnsafeMutablePointer<CChar>?] = []
        var next = environ
        while let variable = next.pointee {
            if temporaryDirectory == nil || strncmp(variable, "TMPDIR=", 7) != 0 { list.append(strdup(variable)) }
            next += 1
        }
        if let temporaryDirectory { list.append(strdup("TMPDIR=\(temporaryDirectory)")) }
        return list
    }

    /// How it ended; nil while it runs.
    func poll() -> ProcessEnd? {
        if end == nil { wait(options: WNOHANG) }
        return end
    }

    /// Sends a signal, unless it has ended.
    func signal(_ number: Int32) {
        if poll() == nil { kill(pid, number) }
    }

    /// Kills it if it still runs, and waits for its end.
    func endNow() {
        signal(SIGKILL)
        while end == nil { wait(options: 0) }
    }

    private func wait(options: Int32) {
        var status: Int32 = 0
        let waited = waitpid(pid, &status, options)
        if waited == pid {
            let signal = status & 0x7f
            end = signal == 0 ? .exited(status: (status >> 8) & 0xff) : .signaled(signal: signal)
        } else if waited < 0 && errno == ECHILD {
            // Another part of this process took the status.
            end = .exited(status: -1)
        }
    }
}
