// SPDX-License-Identifier: GPL-2.0-or-later

import LogFormat

/// A sort of difference that means nothing, as data. Rules can be about labels and about what events carry, never
/// about where a branch goes or where an event stands.
public struct BenignRule: Sendable, Hashable {
    /// What a rule is about.
    public enum Scope: Sendable, Hashable {
        /// The label of a branch has this class in one of the logs.
        case label(BranchClass)
        /// `info` of events of these kinds has this value in one of the logs.
        case info(Set<EventKind>, is: UInt32)
        /// `info` of events of these kinds is a branch label that has this class in one of the logs.
        case infoLabel(Set<EventKind>, BranchClass)
    }

    /// Names the rule in reports.
    public var name: String
    /// Why the difference means nothing; one sentence without a full stop.
    public var reason: String
    public var scope: Scope

    public init(name: String, reason: String, scope: Scope) {
        self.name = name
        self.reason = reason
        self.scope = scope
    }

    /// The rules that hold for logs of our recorders.
    public static let standard: [BenignRule] = [
        BenignRule(
            name: "unseen-instruction",
            reason: "one recorder did not see the instruction's bytes and says nothing about it",
            scope: .label(.unknown)),
        BenignRule(
            name: "unseen-instruction-of-event",
            reason: "one recorder did not see the instruction's bytes and says nothing about it",
            scope: .infoLabel(kinds { $0.type == .label }, .unknown)),
        BenignRule(
            name: "unknown-number",
            reason: "one recorder could not tell the vector or the system call's number",
            scope: .info(kinds { $0.unknown?.value == UInt64(UInt32.max) }, is: .max)),
    ]

    /// The kinds that have such a field.
    private static func kinds(_ hasField: (EventField) -> Bool) -> Set<EventKind> {
        Set(EventDefinition.all.filter { $0.fields.contains(where: hasField) }.map(\.kind))
    }
}

/// The rules in the form in which the scans ask them, and how often each has been used.
struct BenignRules {
    private let rules: [BenignRule]
    private(set) var counts: [String: UInt64] = [:]

    init(_ rules: [BenignRule]) { self.rules = rules }

    /// Whether two labels that differ mean the same; counted if so.
    mutating func allowLabels(_ a: UInt8, _ b: UInt8) -> Bool {
        let classes = [BranchLabel(rawValue: a).branchClass, BranchLabel(rawValue: b).branchClass]
        return allow { scope in
            if case .label(let named) = scope { classes.contains(named) } else { false }
        }
    }

    /// Whether the `info` fields of two events of a kind, which differ, mean the same; counted if so.
    mutating func allowInfo(_ kind: EventKind, _ a: UInt32, _ b: UInt32) -> Bool {
        func label(_ info: UInt32) -> BranchClass { BranchLabel(rawValue: UInt8(truncatingIfNeeded: info)).branchClass }
        return allow { scope in
            switch scope {
            case .info(let kinds, let value): kinds.contains(kind) && (a == value || b == value)
            case .infoLabel(let kinds, let named):
                kinds.contains(kind) && (label(a) == named || label(b) == named)
            case .label: false
            }
        }
    }

    private mutating func allow(_ holds: (BenignRule.Scope) -> Bool) -> Bool {
        guard let rule = rules.first(where: { holds($0.scope) }) else { return false }
        counts[rule.name, default: 0] += 1
        return true
    }
}
