// SPDX-License-Identifier: GPL-2.0-or-later

import Alignment
import FoundationEssentials
import LogFormat

/// An error in a file of benign rules.
public struct BenignRuleError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The rule that is wrong; nil for the whole file.
    public var rule: String?
    /// The problem, as one clause.
    public var problem: String

    /// The rule and the problem.
    public var description: String { rule.map { "rule \($0): \(problem)" } ?? problem }
}

extension BenignRule {
    /// The largest number of rules in a file.
    private static let limit = 4096

    /// Reads rules from JSON text:
    ///
    ///     {"rules": [
    ///         {"name": "clock", "reason": "the host's clock is not recorded", "contents": ["rdtsc"]},
    ///         {"name": "rtc", "reason": "the RTC is not recorded", "contents": ["port-read"], "address": "0x71"},
    ///         {"name": "no-class", "reason": "another recorder", "label": "unknown"}
    ///     ]}
    ///
    /// Each rule has a name, a reason and one of `label` (a branch class), `contents` (kinds of events, optionally with
    /// an `address`) and `infoLabel` (kinds of events, with a `class`).
    ///
    /// - Throws: ``BenignRuleError`` if the text is no such document.
    public static func rules(json: String) throws(BenignRuleError) -> [BenignRule] {
        let file: RuleFile
        do {
            file = try JSONDecoder().decode(RuleFile.self, from: Data(json.utf8))
        } catch {
            throw BenignRuleError(rule: nil, problem: "no file of rules: \(error)")
        }
        guard file.rules.count <= limit else { throw BenignRuleError(rule: nil, problem: "more than \(limit) rules") }
        var names = Set(standard.map(\.name))
        var rules: [BenignRule] = []
        for entry in file.rules {
            guard names.insert(entry.name).inserted else {
                throw BenignRuleError(rule: entry.name, problem: "the name is taken")
            }
            rules.append(BenignRule(name: entry.name, reason: entry.reason, scope: try entry.scope()))
        }
        return rules
    }
}

private struct RuleFile: Decodable {
    var rules: [Entry]

    struct Entry: Decodable {
        var name: String
        var reason: String
        var label: String?
        var contents: [String]?
        var address: String?
        var infoLabel: [String]?
        var `class`: String?

        func scope() throws(BenignRuleError) -> BenignRule.Scope {
            switch (label, contents, infoLabel) {
            case (let label?, nil, nil): return .label(try branchClass(label))
            case (nil, let kinds?, nil): return .contents(try eventKinds(kinds), address: try number(address))
            case (nil, nil, let kinds?): return .infoLabel(try eventKinds(kinds), try branchClass(`class` ?? ""))
            default: throw error("exactly one of label, contents and infoLabel is needed")
            }
        }

        private func error(_ problem: String) -> BenignRuleError { BenignRuleError(rule: name, problem: problem) }

        private func branchClass(_ name: String) throws(BenignRuleError) -> BranchClass {
            guard let found = BranchClass.allCases.first(where: { $0.name == name }) else {
                throw error("no branch class \"\(name)\"")
            }
            return found
        }

        private func eventKinds(_ names: [String]) throws(BenignRuleError) -> Set<EventKind> {
            var kinds: Set<EventKind> = []
            for name in names {
                guard let kind = EventKind(name: name), kind != .state else {
                    throw error("no kind of event \"\(name)\"")
                }
                kinds.insert(kind)
            }
            if kinds.isEmpty { throw error("it names no kind of event") }
            return kinds
        }

        private func number(_ text: String?) throws(BenignRuleError) -> UInt64? {
            guard let text else { return nil }
            let value = text.hasPrefix("0x") ? UInt64(text.dropFirst(2), radix: 16) : UInt64(text)
            guard let value else { throw error("\"\(text)\" is no number") }
            return value
        }
    }
}
