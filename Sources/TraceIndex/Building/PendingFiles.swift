// SPDX-License-Identifier: GPL-2.0-or-later

import Glibc
import Synchronization

/// The temporary files of this process, for a program that a signal ends.
///
/// A library installs no signal handlers. A program with a handler calls ``removeAll()`` from the handler's thread. Without
/// the call the next build removes the files of an interrupted one.
public final class PendingFiles: Sendable {
    /// The files of this process.
    public static let shared = PendingFiles()

    private let paths = Mutex<Set<String>>([])

    func add(_ path: String) { paths.withLock { _ = $0.insert(path) } }

    func remove(_ path: String) { paths.withLock { _ = $0.remove(path) } }

    /// Removes every temporary file of this process. A signal handler itself may not call it: it takes a lock.
    public func removeAll() {
        paths.withLock { paths in
            for path in paths { unlink(path) }
            paths = []
        }
    }
}
