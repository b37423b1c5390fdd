// SPDX-License-Identifier: GPL-2.0-or-later

import LogFormat

/// The parts of events by which two logs can be compared: data of one recorder only is left out on both sides.
///
/// Derived from the features of both logs and the table of event kinds.
struct EventProjection: Sendable {
    /// Both logs have the same features: events and chunk digests are compared whole.
    let isWhole: Bool
    private let features: FileHeader.Features
    /// The rules of the known kinds, by the kind's number; made once, because scans ask for each record.
    private let rules: [Rule]

    /// The parts of a kind's records that are compared.
    private struct Rule {
        var isIncluded = true
        var comparesInfo = true
        var comparesAddress = true
        var comparesValues = true
    }

    init(_ a: FileHeader.Features, _ b: FileHeader.Features) {
        let other: FileHeader.Features = [.branches, .windows]
        isWhole = a.subtracting(other) == b.subtracting(other)
        let common = isWhole ? FileHeader.Features(rawValue: .max) : a.intersection(b)
        let agreesOnOperands = a.contains(.accessValues) == b.contains(.accessValues)
        let last = EventKind.all.map { Int($0.rawValue) }.max() ?? 0
        var rules = [Rule](repeating: Rule(), count: last + 1)
        for definition in EventDefinition.all {
            rules[Int(definition.kind.rawValue)] = EventProjection.rule(definition, common, agreesOnOperands)
        }
        features = common
        self.rules = rules
    }

    private static func rule(
        _ definition: EventDefinition, _ common: FileHeader.Features, _ agreesOnOperands: Bool
    ) -> Rule {
        var rule = Rule(isIncluded: common.isSuperset(of: definition.features))
        for field in definition.fields {
            let isCompared =
                switch field.comparison {
                case .always: true
                case .features(let needed): common.isSuperset(of: needed)
                case .operand: agreesOnOperands
                case .never: false
                }
            if isCompared { continue }
            switch field.source {
            case .info: rule.comparesInfo = false
            case .address: rule.comparesAddress = false
            case .value, .values, .flagged, .text, .key, .textAfterKey, .bytes: rule.comparesValues = false
            }
        }
        return rule
    }

    private func rule(_ kind: EventKind) -> Rule {
        let number = Int(kind.rawValue)
        return number < rules.count ? rules[number] : Rule()
    }

    /// Whether both recorders record events of the kind.
    func includes(_ kind: EventKind) -> Bool { rule(kind).isIncluded }

    /// The validity bits of a record that both logs can have; `other`: the bits of the record it is compared with.
    func validity(_ validity: EventValidity, against other: EventValidity, of kind: EventKind) -> EventValidity {
        let rule = rule(kind)
        var result = validity.subtracting(.tsc)
        if !features.contains(.icount) { result.remove(.icount) }
        if !features.contains(.rcx) { result.remove(.rcx) }
        if !rule.comparesValues { result.remove(.value) }
        if !rule.comparesAddress, !other.contains(.address) { result.remove(.address) }
        return result
    }

    /// Whether both logs carry the values that events of the kind read or wrote.
    func comparesValues(of kind: EventKind) -> Bool { rule(kind).comparesValues }

    /// Whether `info` of the kind can be compared.
    func comparesInfo(of kind: EventKind) -> Bool { rule(kind).comparesInfo }

    /// How many bytes of a payload are compared: all, or only the address word.
    func payloadSize(_ size: Int, of kind: EventKind, _ validity: EventValidity) -> Int {
        comparesValues(of: kind) ? size : (validity.contains(.address) ? min(size, 8) : 0)
    }
}
