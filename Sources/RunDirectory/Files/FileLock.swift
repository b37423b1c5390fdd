// SPDX-License-Identifier: GPL-2.0-or-later

@preconcurrency import Glibc

/// A lock on a file of this user (flock). It ends with this object, and with the process.
package final class FileLock: Sendable {
    private let descriptor: Int32

    /// Takes the lock, and waits for nobody.
    ///
    /// - Parameters:
    ///   - path: A link is not followed.
    ///   - isShared: Several processes may hold it at once.
    ///   - creates: Whether the file is made where there is none.
    /// - Returns: nil if the file cannot be opened, or if another process holds the lock.
    package init?(_ path: String, isShared: Bool = false, creates: Bool = true) {
        descriptor = open(path, O_RDWR | (creates ? O_CREAT : 0) | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard descriptor >= 0, flock(descriptor, (isShared ? LOCK_SH : LOCK_EX) | LOCK_NB) == 0 else { return nil }
    }

    deinit { if descriptor >= 0 { close(descriptor) } }

    /// Makes the file the one that was used last.
    package func touch() { futimens(descriptor, nil) }
}
