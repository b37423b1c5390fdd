// SPDX-License-Identifier: GPL-2.0-or-later

@preconcurrency import Glibc

/// Receives the signals that request a tool to end, and the end of a child, during a run.
///
/// While it exists, SIGINT, SIGTERM, SIGHUP and SIGCHLD are blocked in the thread that created it. A signal that
/// arrived and was not taken has its usual effect when the watch ends. Watches may be nested.
public final class SignalWatch {
    private var set = sigset_t()
    private var before = sigset_t()

    /// Blocks the signals in this thread.
    public init() {
        sigemptyset(&set)
        for number in [SIGINT, SIGTERM, SIGHUP, SIGCHLD] { sigaddset(&set, number) }
        pthread_sigmask(SIG_BLOCK, &set, &before)
    }

    deinit { pthread_sigmask(SIG_SETMASK, &before, nil) }

    /// Discards the signals that have arrived: the run that they should end has ended.
    public func drain() { while wait(seconds: 0) != nil {} }

    /// The next signal, or nil after this time.
    public func wait(seconds: Double) -> Int32? {
        var limit = timespec()
        limit.tv_sec = Int(seconds)
        limit.tv_nsec = Int((seconds - Double(Int(seconds))) * 1e9)
        let number = sigtimedwait(&set, nil, &limit)
        return number > 0 ? number : nil
    }
}
