// SPDX-License-Identifier: GPL-2.0-or-later

import Glibc

/// A lock, and a signal to those that wait for what it guards.
package final class Lock: @unchecked Sendable {
    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let condition = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)

    package init() {
        pthread_mutex_init(mutex, nil)
        pthread_cond_init(condition, nil)
    }

    deinit {
        pthread_cond_destroy(condition)
        pthread_mutex_destroy(mutex)
        condition.deallocate()
        mutex.deallocate()
    }

    package func lock() { pthread_mutex_lock(mutex) }
    package func unlock() { pthread_mutex_unlock(mutex) }
    package func locked<R>(_ body: () -> R) -> R {
        lock()
        defer { unlock() }
        return body()
    }

    /// Waits for a signal. The lock must be held; it is released meanwhile.
    package func wait() { pthread_cond_wait(condition, mutex) }
    /// Wakes all that wait.
    package func signal() { pthread_cond_broadcast(condition) }
}
