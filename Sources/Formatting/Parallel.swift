// SPDX-License-Identifier: GPL-2.0-or-later

import Glibc

/// Work spread over threads.
package enum Parallel {
    /// The number of threads for work that can be cut: one for each processor of the machine, at most 16.
    package static let threadCount = min(max(sysconf(Int32(_SC_NPROCESSORS_ONLN)), 1), 16)

    private final class Job: @unchecked Sendable {
        let index: Int
        let body: @Sendable (Int) -> Void

        init(index: Int, body: @escaping @Sendable (Int) -> Void) {
            self.index = index
            self.body = body
        }
    }

    /// Calls `body` with 0..<count, each on a thread of its own, and waits for all; the last one runs on this thread.
    /// Where a thread cannot be made, its part runs here too.
    package static func run(_ count: Int, _ body: @escaping @Sendable (Int) -> Void) {
        var threads: [pthread_t] = []
        for index in 0..<max(count - 1, 0) {
            if let thread = start(index, body) { threads.append(thread) } else { body(index) }
        }
        if count > 0 { body(count - 1) }
        for thread in threads { join(thread) }
    }

    /// Calls `body` with a number on a new thread, which must be joined; nil if the system gives none.
    package static func start(_ index: Int, _ body: @escaping @Sendable (Int) -> Void) -> pthread_t? {
        let job = Unmanaged.passRetained(Job(index: index, body: body))
        var thread = pthread_t()
        let result = pthread_create(
            &thread, nil,
            { argument in
                if let argument {
                    let job = Unmanaged<Job>.fromOpaque(argument).takeRetainedValue()
                    job.body(job.index)
                }
                return nil
            }, job.toOpaque())
        guard result == 0 else {
            job.release()
            return nil
        }
        return thread
    }

    /// Waits for a thread's end.
    package static func join(_ thread: pthread_t) { pthread_join(thread, nil) }

    /// A place for the result of each thread: each writes its own, and they are read when all are done.
    package final class Results<Value>: @unchecked Sendable {
        private let values: UnsafeMutablePointer<Value?>
        package let count: Int

        package init(_ count: Int) {
            self.count = count
            values = .allocate(capacity: count)
            values.initialize(repeating: nil, count: count)
        }

        deinit {
            values.deinitialize(count: count)
            values.deallocate()
        }

        package func put(_ value: consuming Value, at index: Int) { values[index] = value }

        /// Takes one result out; `nil` if there is none.
        package func take(at index: Int) -> Value? { values[index].take() }

        /// Takes the results out, in order.
        package func take() -> [Value] { (0..<count).compactMap { take(at: $0) } }
    }
}
