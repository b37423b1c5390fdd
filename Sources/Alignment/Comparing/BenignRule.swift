// SPDX-License-Identifier: GPL-2.0-or-later

import LogFormat

/// A kind of difference that is known to be benign, as data.
///
/// A rule can be about labels and about the contents of events. It is never about the target of a branch or the position
/// of an event: such a difference changes the run. The rules for our recorders are in StandardRules.swift; a project's
/// own rules come from a file (Reporting reads it).
public struct BenignRule: Sendable, Hashable {
    /// The differences that a rule applies to.
    public enum Scope: Sendable, Hashable {
        /// The label of a branch has this class in one of the logs.
        case label(BranchClass)
        /// `info` of events of these kinds has this value in one of the logs.
        case info(Set<EventKind>, is: UInt32)
        /// `info` of events of these kinds is a branch label that has this class in one of the logs.
        case infoLabel(Set<EventKind>, BranchClass)
        /// The contents of events of these kinds differ. If an address is given (a port, a physical address, a register's
        /// number), only of events with this address.
        case contents(Set<EventKind>, address: UInt64?)
    }

    /// The name of the rule in reports. Unique.
    public var name: String
    /// Why the difference is benign: one sentence without a final period.
    public var reason: String
    /// The differences that the rule applies to.
    public var scope: Scope

    /// Makes a rule.
    public init(name: String, reason: String, scope: Scope) {
        self.name = name
        self.reason = reason
        self.scope = scope
    }
}

/// Applies rules during a comparison, and counts each use.
struct BenignRules {
    private let rules: [BenignRule]
    private(set) var counts: [String: UInt64] = [:]

    init(_ rules: [BenignRule]) { self.rules = rules }

    /// Whether a rule allows the difference of two labels. Counts the use.
    mutating func allowLabels(_ a: UInt8, _ b: UInt8) -> Bool {
        let classes = [BranchLabel(rawValue: a).branchClass, BranchLabel(rawValue: b).branchClass]
        return allow { scope in
            switch scope {
            case .label(let named): classes.contains(named)
            case .info, .infoLabel, .contents: false
            }
        }
    }

    /// Whether a rule allows the difference of the `info` fields of two events of a kind. Counts the use.
    mutating func allowInfo(_ kind: EventKind, _ a: UInt32, _ b: UInt32) -> Bool {
        func label(_ info: UInt32) -> BranchClass { BranchLabel(rawValue: UInt8(truncatingIfNeeded: info)).branchClass }
        return allow { scope in
            switch scope {
            case .info(let kinds, let value): kinds.contains(kind) && (a == value || b == value)
            case .infoLabel(let kinds, let named):
                kinds.contains(kind) && (label(a) == named || label(b) == named)
            case .label, .contents: false
            }
        }
    }

    /// Whether a rule allows the difference of the contents of two events of a kind. Counts the use.
    ///
    /// - Parameter address: the address word of both events; nil if they have none, or different ones.
    mutating func allowContents(_ kind: EventKind, address: UInt64?) -> Bool {
        allow { scope in
            switch scope {
            case .contents(let kinds, let named): kinds.contains(kind) && (named == nil || named == address)
            case .label, .info, .infoLabel: false
            }
        }
    }

    private mutating func allow(_ holds: (BenignRule.Scope) -> Bool) -> Bool {
        guard let rule = rules.first(where: { holds($0.scope) }) else { return false }
        counts[rule.name, default: 0] += 1
        return true
    }
}
