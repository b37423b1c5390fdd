// SPDX-License-Identifier: GPL-2.0-or-later

/// The damaged parts of a file of text, in order, with a bound: after ``limit`` parts the rest is only counted.
struct DamageList {
    /// The number of parts that are listed.
    static let limit = 1000

    /// The parts so far.
    private(set) var parts: [Damage] = []
    /// The first part that is not listed, and the number of those.
    private var surplus: (first: Damage, count: UInt64)?

    /// The number of parts, with those that are not listed.
    private(set) var count: UInt64 = 0

    mutating func add(_ part: Damage) {
        count &+= 1
        if parts.count < DamageList.limit {
            parts.append(part)
        } else {
            surplus = (surplus?.first ?? part, (surplus?.count ?? 0) &+ 1)
        }
    }

    /// All parts; the last one counts those that are not listed.
    var all: [Damage] {
        guard let surplus else { return parts }
        var rest = surplus.first
        rest.length = 0
        rest.lostRecords = surplus.count
        if case .line(let number, _) = rest.what {
            rest.what = .line(number: number, problem: "\(surplus.count) unreadable lines from here on")
        }
        return parts + [rest]
    }
}
