// SPDX-License-Identifier: GPL-2.0-or-later

import Alignment
import LogFormat

/// The result of a comparison and the two logs, as a JSON document.
///
/// It is the document of `tt-analyze diverge --format json` (docs/divergence.md, version 1) without what needs symbol files,
/// manifests or sentences: each field has the name, the place and the value that it has there. Only `class` and `stream` of a
/// divergence are additions. docs/fleets.md lists what is left out.
struct DivergenceJSON {
    let result: AlignmentResult
    let original: LogFile
    let replay: LogFile

    /// The name of the schema, and its version.
    static let schema = (name: "ttlog diverge", version: 1)

    var document: JSONValue { .present(answer + logs + evidence) }

    private var answer: [JSONField] {
        [
            ("schema", .text(DivergenceJSON.schema.name)), ("version", .number(DivergenceJSON.schema.version)),
            ("verdict", .text(result.verdict.name)), ("detail", detail), ("moved", moved),
            ("exitStatus", .number(Int(result.verdict.exitStatus))), ("reasons", reasons),
        ]
    }

    private var logs: [JSONField] {
        let features = result.comparability.features.names
        return [
            ("original", run(original)), ("replay", run(replay)), ("features", .list(features.map { .text($0) })),
            ("clockUnit", clockUnit), ("vcpu", .optionalNumber(result.vcpu)),
        ]
    }

    private var evidence: [JSONField] {
        let statistics = result.statistics
        let benign: [JSONField] = statistics.benign.sorted { $0.key < $1.key }.map { ($0.key, .counter($0.value)) }
        let cost: [JSONField] = [
            ("bytesRead", .counter(statistics.bytesRead)), ("chunksByDigest", .counter(statistics.chunksByDigest)),
            ("chunksDecoded", .counter(statistics.chunksDecoded)),
        ]
        return [
            ("vcpus", .list(result.vcpus.map(vcpu))), ("caveats", .list(result.caveats.map(caveat))),
            ("benign", .object(benign)), ("statistics", .object(cost)),
        ]
    }

    private var detail: JSONValue {
        if case .controlFlow(let difference) = result.verdict { .text(difference.rawValue) } else { .null }
    }

    private var moved: JSONValue {
        guard case .movedEvent(let transitions, let instructions) = result.verdict else { return .null }
        return .present([("transitions", .difference(transitions)), ("instructions", .difference(instructions))])
    }

    private var reasons: JSONValue {
        if case .notComparable(let reasons) = result.verdict { .list(reasons.map { .text($0) }) } else { .null }
    }

    private var clockUnit: JSONValue {
        switch original.header.clock {
        case .transitions: .null
        case .synchronousEntries: .text("exits")
        case .instructions: .text("instructions")
        case .retiredBranches, .unknown: .text("other")
        }
    }

    private func run(_ log: LogFile) -> JSONValue {
        .present([
            ("path", .text(log.path)),
            ("recordingUUID", log.header.uuid.isKnown ? .text(log.header.uuid.description) : .null),
            ("run", .text("\(log.header.runKind)")), ("recorder", .text(log.header.recorderName)),
            ("isClosed", .flag(log.completeness == .closed)),
        ])
    }

    private func vcpu(_ vcpu: VCPUAlignment) -> JSONValue {
        let firsts = vcpu.firsts.sorted { $0.differenceClass.rawValue < $1.differenceClass.rawValue }
        let byClass: [JSONField] = firsts.map { ($0.differenceClass.rawValue, first($0)) }
        return .present([
            ("vcpu", .number(Int(vcpu.vcpu))), ("verdict", .text(vcpu.verdict.name)),
            ("comparedFrom", .counter(vcpu.compared.lowerBound)), ("comparedTo", .counter(vcpu.compared.upperBound)),
            ("branchesCompared", .counter(vcpu.branchesCompared)), ("eventsCompared", .counter(vcpu.eventsCompared)),
            ("firsts", .object(byClass)), ("divergence", vcpu.divergence.map(json) ?? .null),
        ])
    }

    private func first(_ first: FirstDifference) -> JSONValue {
        .object([
            ("from", .counter(first.clocks.lowerBound)), ("to", .counter(first.clocks.upperBound)),
            ("isExact", .flag(first.isExact)),
        ])
    }

    private func caveat(_ caveat: Caveat) -> JSONValue {
        .present([
            ("kind", .text(caveat.kind.rawValue)), ("side", .optional(caveat.side?.rawValue)),
            ("vcpu", .optionalNumber(caveat.vcpu)), ("from", .counter(caveat.clocks?.lowerBound)),
            ("to", .counter(caveat.clocks?.upperBound)), ("text", .text(caveat.text)),
        ])
    }
}
