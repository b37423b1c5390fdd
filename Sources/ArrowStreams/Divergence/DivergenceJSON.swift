// SPDX-License-Identifier: GPL-2.0-or-later

import Alignment
import CallTree
import LogFormat

// The result of a comparison as JSON: the verdict, the places, the fields that differ, the calls around, the caveats.
// Names are those of the document of `tt-analyze diverge` where both have a value.
extension AlignmentResult {
    var json: JSONValue {
        .object([
            ("verdict", .text(verdict.name)), ("exit_status", .number(Int(verdict.exitStatus))),
            ("vcpu", vcpu.map { .number(Int($0)) } ?? .null), ("reasons", .list(reasons)),
            ("divergence", divergence?.json ?? .null), ("vcpus", .list(vcpus.map(\.json))),
            ("caveats", .list(caveats.map(\.json))),
            ("branches_compared", .counter(vcpus.reduce(0) { $0 &+ $1.branchesCompared })),
            ("events_compared", .counter(vcpus.reduce(0) { $0 &+ $1.eventsCompared })),
            ("bytes_read", .counter(statistics.bytesRead)),
        ])
    }

    private var reasons: [JSONValue] {
        if case .notComparable(let reasons) = verdict { return reasons.map { .text($0) } }
        return []
    }
}

extension VCPUAlignment {
    fileprivate var json: JSONValue {
        .object([
            ("vcpu", .number(Int(vcpu))), ("verdict", .text(verdict.name)),
            ("compared_from", .counter(compared.lowerBound)), ("compared_to", .counter(compared.upperBound)),
            (
                "firsts",
                .list(
                    FirstDifference.Class.allCases.compactMap { differenceClass in
                        self[differenceClass].map { first in
                            .object([
                                ("class", .text(differenceClass.rawValue)), ("brctr", .counter(first.clock)),
                                ("is_exact", .flag(first.isExact)), ("fields", .list(first.fields.map(\.json))),
                            ])
                        }
                    })
            ),
        ])
    }
}

extension Divergence {
    fileprivate var json: JSONValue {
        .object([
            ("vcpu", .number(Int(vcpu))), ("class", .optional(difference?.differenceClass.rawValue)),
            ("stream", .optional(difference?.stream.name)),
            ("detail", detail), ("original", original.json), ("replay", replay.json),
            ("clock_skew", .difference(Int64(bitPattern: clockSkew))),
            ("fields", .list(difference?.fields.map(\.json) ?? [])), ("end_reason", .optional(endReason)),
            ("original_stack", .list(context.original.stack.frames.map { .address($0.target) })),
            ("replay_stack", .list(context.replay.stack.frames.map { .address($0.target) })),
            ("address_space", .address(context.running?.addressSpace)),
            ("last_inputs", .list(context.lastInputs.map(\.json))), ("path", context.path?.json ?? .null),
        ])
    }

    /// What the verdict says beyond its name.
    private var detail: JSONValue {
        switch verdict {
        case .controlFlow(let difference): .text(difference.rawValue)
        case .movedEvent(let transitions, let instructions):
            .object([("transitions", .difference(transitions)), ("instructions", .difference(instructions))])
        case .identical, .missingEvent, .extraEvent, .payload, .state, .replayEndedEarly, .originalEndedEarly,
            .notComparable:
            .null
        }
    }
}

extension RunPosition {
    fileprivate var json: JSONValue {
        .object([("brctr", .counter(clock)), ("icount", .counter(icount)), ("ip", .address(ip))])
    }
}

extension FieldDifference {
    fileprivate var json: JSONValue {
        .object([
            ("name", .text(name)), ("original", .text(original.shown)), ("replay", .text(replay.shown)),
        ])
    }
}

extension ConsumedInput {
    fileprivate var json: JSONValue {
        .object([
            ("kind", .text(original.kind.name)), ("brctr", .counter(original.clock)),
            ("details", .text(original.details { _ in "" })), ("transitions", .counter(transitions)),
            ("is_different", .flag(isDifferent)),
        ])
    }
}

extension PathComparison {
    fileprivate var json: JSONValue {
        .object([
            ("regions", .number(regions.count)), ("original_differing", .counter(originalDiffering)),
            ("replay_differing", .counter(replayDiffering)), ("agreed", .counter(agreed)),
            ("agrees_at_end", .flag(openRegion == nil)), ("is_cut", .flag(isCut)),
        ])
    }
}

extension Caveat {
    fileprivate var json: JSONValue {
        .object([("kind", .text(kind.rawValue)), ("side", .optional(side?.rawValue)), ("text", .text(text))])
    }
}
