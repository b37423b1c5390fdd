// SPDX-License-Identifier: GPL-2.0-or-later

@preconcurrency import Glibc
import TraceIndex

/// Waits for SIGINT and SIGTERM on a thread of its own: an interrupted build leaves no files, and Ctrl-C at the prompt
/// ends the running query.
enum SignalThread {
    private final class Context: Sendable {
        let interruption: Interruption?
        init(_ interruption: Interruption?) { self.interruption = interruption }
    }

    /// Starts the thread. Call it before other threads are made: they must not take the signals.
    ///
    /// - Parameter interruption: The action of SIGINT; nil ends the program.
    static func start(_ interruption: Interruption? = nil) {
        var signals = sigset_t()
        sigemptyset(&signals)
        sigaddset(&signals, SIGINT)
        sigaddset(&signals, SIGTERM)
        pthread_sigmask(SIG_BLOCK, &signals, nil)
        var thread = pthread_t()
        let context = Unmanaged.passRetained(Context(interruption))
        let body: @convention(c) (UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? = { argument in
            guard let argument else { return nil }
            SignalThread.wait(Unmanaged<Context>.fromOpaque(argument).takeRetainedValue())
            return nil
        }
        if pthread_create(&thread, nil, body, context.toOpaque()) == 0 { pthread_detach(thread) }
    }

    private static func wait(_ context: Context) {
        var signals = sigset_t()
        sigemptyset(&signals)
        sigaddset(&signals, SIGINT)
        sigaddset(&signals, SIGTERM)
        while true {
            var signal: Int32 = 0
            guard sigwait(&signals, &signal) == 0 else { return }
            if signal == SIGINT, let interruption = context.interruption {
                interruption.interrupt()
                continue
            }
            PendingFiles.shared.removeAll()
            // The program ends as the signal ends it, so that a shell sees why.
            Glibc.signal(signal, SIG_DFL)
            pthread_sigmask(SIG_UNBLOCK, &signals, nil)
            kill(getpid(), signal)
        }
    }
}
