// SPDX-License-Identifier: GPL-2.0-or-later

import Glibc
import Synchronization

/// The temporary files of this process, for a program that a signal ends.
///
/// A library installs no signal handlers. A program that does calls ``removeAll()`` from its handler's thread, so that an
/// interrupted build leaves nothing behind at once, and not only when the next one cleans up.
public final class PendingFiles: Sendable {
    public static let shared = PendingFiles()

    private let paths = Mutex<Set<String>>([])

    func add(_ path: String) { paths.withLock { _ = $0.insert(path) } }

    func remove(_ path: String) { paths.withLock { _ = $0.remove(path) } }

    /// Removes every temporary file of this process. Not for signal handlers themselves: it takes a lock.
    public func removeAll() {
        paths.withLock { paths in
            for path in paths { unlink(path) }
            paths = []
        }
    }
}
