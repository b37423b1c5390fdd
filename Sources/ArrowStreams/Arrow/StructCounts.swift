// SPDX-License-Identifier: GPL-2.0-or-later

import Synchronization

/// Counts the Arrow structures that were handed out and released in this process. Tests compare the two numbers.
enum StructCounts {
    private static let exportedCount = Atomic<Int>(0)
    private static let releasedCount = Atomic<Int>(0)

    static func countExported() { exportedCount.add(1, ordering: .relaxed) }
    static func countReleased() { releasedCount.add(1, ordering: .relaxed) }

    static var exported: Int { exportedCount.load(ordering: .relaxed) }
    static var released: Int { releasedCount.load(ordering: .relaxed) }
}
