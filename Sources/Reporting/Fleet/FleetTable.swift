// SPDX-License-Identifier: GPL-2.0-or-later

import Alignment
import Formatting

/// The first divergences of many pairs, counted by class and place.
public struct FleetTable: Sendable {
    private struct Key: Hashable {
        var verdict: String
        var place: String
    }

    private struct Group {
        var count: Int
        var first: Int
        var replay: String
    }

    private var groups: [Key: Group] = [:]
    /// Pairs in groups beyond the limit.
    private var others = 0
    /// The number of pairs.
    public private(set) var count = 0
    /// The worst status of all pairs: 2 trouble, else 1 different, else 0.
    public private(set) var status: Int32 = 0

    /// The number of groups that are kept, so that memory is bounded.
    private static let limit = 4096

    /// A table without pairs.
    public init() {}

    /// Counts a pair.
    public mutating func add(_ line: FleetLine) {
        count += 1
        status = max(status, line.status)
        // The symbol without its offset is the place, else the address.
        let function = line.symbol.map { String($0.prefix { $0 != "+" && $0 != "@" }) }
        let place = function ?? line.ip?.description ?? line.brctr.map { "brctr \($0)" } ?? ""
        let key = Key(verdict: line.verdict?.rawValue ?? "error", place: place)
        if groups[key] == nil, groups.count >= FleetTable.limit {
            others += 1
            return
        }
        groups[key, default: Group(count: 0, first: line.index, replay: line.replay)].count += 1
    }

    /// The table as text, the largest group first.
    public var text: String {
        let rows = groups.sorted { ($1.value.count, $0.value.first) < ($0.value.count, $1.value.first) }
        var lines = ["pairs  verdict               place                           first"]
        for (key, group) in rows {
            let count = "\(group.count)".leftPadded(to: 5)
            let place = key.place.onOneLine.padded(to: 30)
            lines.append("\(count)  \(key.verdict.padded(to: 20))  \(place)  \(group.first): \(group.replay.onOneLine)")
        }
        if others > 0 { lines.append("\("\(others)".leftPadded(to: 5))  in further groups") }
        return lines.joined(separator: "\n") + "\n"
    }
}
