// SPDX-License-Identifier: GPL-2.0-or-later

import LogFormat

extension BenignRule {
    /// The rules for logs of our recorders. Each has a test (Tests/AlignmentTests/BenignRuleTests.swift).
    public static let standard: [BenignRule] = [
        BenignRule(
            name: "unseen-instruction",
            reason: "one recorder did not see the instruction's bytes",
            scope: .label(.unknown)),
        BenignRule(
            name: "unseen-instruction-of-event",
            reason: "one recorder did not see the instruction's bytes",
            scope: .infoLabel(kinds { $0.type == .label }, .unknown)),
        BenignRule(
            name: "unknown-number",
            reason: "one recorder could not determine the vector or the system call's number",
            scope: .info(kinds { $0.unknown?.value == UInt64(UInt32.max) }, is: .max)),
    ]

    /// The kinds of events that have such a field.
    private static func kinds(_ hasField: (EventField) -> Bool) -> Set<EventKind> {
        Set(EventDefinition.all.filter { $0.fields.contains(where: hasField) }.map(\.kind))
    }
}
