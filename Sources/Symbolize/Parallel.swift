// SPDX-License-Identifier: GPL-2.0-or-later

import Glibc

/// Work spread over threads.
package enum Parallel {
    /// How many threads there should be: one a processor that this process may use.
    package static var threadCount: Int { min(max(sysconf(Int32(_SC_NPROCESSORS_ONLN)), 1), 16) }

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
            if result == 0 {
                threads.append(thread)
            } else {
                job.release()
                body(index)
            }
        }
        if count > 0 { body(count - 1) }
        for thread in threads { pthread_join(thread, nil) }
    }

    /// A place for the result of each thread: each writes its own, and they are read when all are done.
    package final class Results<Value>: @unchecked Sendable {
        private let values: UnsafeMutablePointer<Value?>
        let count: Int

        init(_ count: Int) {
            self.count = count
            values = .allocate(capacity: count)
            values.initialize(repeating: nil, count: count)
        }

        deinit {
            values.deinitialize(count: count)
            values.deallocate()
        }

        func put(_ value: consuming Value, at index: Int) { values[index] = value }

        /// Takes one result out; `nil` if there is none.
        func take(at index: Int) -> Value? { values[index].take() }

        /// Takes the results out, in order.
        func take() -> [Value] { (0..<count).compactMap { take(at: $0) } }
    }
}
