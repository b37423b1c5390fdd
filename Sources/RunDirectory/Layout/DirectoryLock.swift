// SPDX-License-Identifier: GPL-2.0-or-later

@preconcurrency import Glibc

/// The lock of a run directory: a `flock` on its `.lock`.
///
/// The engine inherits it: if the tool is killed, the directory stays in use until the engine ends.
package final class DirectoryLock {
    package let descriptor: Int32
    private let isWritable: Bool
    private let isShared: Bool

    /// Takes the lock.
    ///
    /// - Parameter isShared: several readers may hold it at once; meanwhile the directory cannot be written.
    /// - Throws: ``RunError/stateDirectory(path:problem:remedy:)`` with the holder's name when the directory is in use.
    init(_ directory: OpenDirectory, isShared: Bool = false) throws(RunError) {
        let path = "\(directory.path)/\(RunFiles.lockName)"
        try directory.requireOwn(RunFiles.lockName)
        var descriptor = openat(
            directory.descriptor, RunFiles.lockName, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0o666)
        isWritable = descriptor >= 0
        self.isShared = isShared
        if descriptor < 0, errno == EROFS || errno == EACCES {
            // A read-only directory: a run cannot be recorded into it, but an existing lock may be held.
            descriptor = openat(
                directory.descriptor, RunFiles.lockName, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)
            if descriptor < 0, errno == ENOENT {
                descriptor = openat(directory.descriptor, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)
            }
        }
        guard descriptor >= 0 else { throw .system(doing: "open", path: path, code: errno) }
        self.descriptor = descriptor
        guard flock(descriptor, (isShared ? LOCK_SH : LOCK_EX) | LOCK_NB) == 0 else {
            let code = errno
            guard code == EWOULDBLOCK else { throw .system(doing: "lock", path: path, code: code) }
            let holder = Files.tail(path).split(separator: "\n").joined(separator: ", ")
            throw .stateDirectory(
                path: directory.path, problem: "in use by \(holder.isEmpty ? "another tool" : holder)",
                remedy: .waitForHolder)
        }
        guard isWritable, !isShared else { return }
        ftruncate(descriptor, 0)
        let tool = CommandLine.arguments.first?.split(separator: "/").last.map(String.init) ?? "a tool"
        noteHolder("\(tool) (process \(getpid()))")
    }

    deinit { close(descriptor) }

    /// Adds a holder to the lock's file, for the message of a tool that finds the directory in use.
    package func noteHolder(_ text: String) {
        if isWritable && !isShared { _ = Files.write(Array("\(text)\n".utf8), to: descriptor) }
    }
}
