// SPDX-License-Identifier: GPL-2.0-or-later

import Alignment
import Formatting

/// What the page's template shows. The part about a divergence is in PageModel+Divergence.swift.
struct PageModel {
    let document: DivergenceDocument
    /// The vCPU that the page is about.
    let index: Int?

    init(_ document: DivergenceDocument) {
        self.document = document
        index = document.vcpus.firstIndex { $0.vcpu == document.vcpu }
    }

    var vcpu: DivergenceDocument.VCPU? { index.map { document.vcpus[$0] } }
    var divergence: DivergenceDocument.DivergenceItem? { vcpu?.divergence }
    /// The divergence's place in the document.
    var base: String { "/vcpus/\(index ?? 0)/divergence" }

    mutating func values() -> Values {
        let rows = divergence.map { StreamRows($0) }
        var data = StreamData(document, base: base, rows: rows)
        return Values([
            "title": Figure(document.title, "/title"), "summary": Figure(document.summary, "/summary"),
            "plainTitle": document.title.onOneLine, "verdict": document.verdict.rawValue,
            "isSame": document.verdict == .identical, "isTrouble": document.exitStatus > 1,
            "isDifferent": document.exitStatus == 1, "runs": runs, "original": document.original.path.onOneLine,
            "replay": document.replay.path.onOneLine,
            "divergence": divergence.map { values($0, rows) }, "strip": document.strip.map(values),
            "zoom": document.zoom.map(zoom), "hasZoom": document.zoom != nil, "hasStrip": document.strip != nil,
            "hasSource": divergence?.sourceListing != nil,
            "hasWindow": divergence?.window != nil, "console": document.console.map(values),
            "hasConsole": document.console != nil, "settings": document.settings.map { settings($0) },
            "hasSettings": document.settings != nil, "caveats": caveats, "hasCaveats": !document.caveats.isEmpty,
            "benign": benign, "vcpus": vcpus, "hasSteps": !document.commands.isEmpty, "steps": steps,
            "statistics": statistics, "schema": "\(document.schema), version \(document.version)", "data": data.json(),
        ])
    }

    // MARK: The runs

    private var runs: [Values] {
        [("original", document.original), ("replay", document.replay)].map { name, run in
            let place = "/\(name)"
            return Values([
                "name": name, "path": Figure(run.path, "\(place)/path"), "kind": Figure(run.run, "\(place)/run"),
                "recorder": Figure(run.recorder, "\(place)/recorder"),
                "uuid": Figure(run.recordingUUID, "\(place)/recordingUUID"), "isOpen": !run.isClosed,
                "symbols": run.symbolFiles.enumerated().map { index, file in
                    Figure(file, "\(place)/symbolFiles/\(index)")
                },
            ])
        }
    }

    private func settings(_ items: [DivergenceDocument.SettingItem]) -> [Values] {
        items.enumerated().map { index, item in
            let place = "/settings/\(index)"
            return Values([
                "name": Figure(item.name, "\(place)/name"), "first": Figure(item.original, "\(place)/original"),
                "second": Figure(item.replay, "\(place)/replay"), "isDifferent": item.isDifferent,
            ])
        }
    }

    // MARK: The comparison

    private var vcpus: [Values] {
        document.vcpus.enumerated().map { index, vcpu in
            let place = "/vcpus/\(index)"
            return Values([
                "number": "\(vcpu.vcpu)", "title": Figure(vcpu.title, "\(place)/title"),
                "branches": Figure(vcpu.branchesCompared, "\(place)/branchesCompared"),
                "events": Figure(vcpu.eventsCompared, "\(place)/eventsCompared"),
                "from": Figure(vcpu.comparedFrom, "\(place)/comparedFrom"),
                "to": Figure(vcpu.comparedTo, "\(place)/comparedTo"),
                "place": Figure(vcpu.divergence?.original.brctr, "\(place)/divergence/original/brctr"),
            ])
        }
    }

    private var caveats: [Values] {
        document.caveats.enumerated().map { index, caveat in
            Values([
                "kind": Figure(caveat.kind.rawValue, "/caveats/\(index)/kind"),
                "side": Figure(caveat.side?.rawValue, "/caveats/\(index)/side"),
                "text": Figure(caveat.text, "/caveats/\(index)/text"),
            ])
        }
    }

    private var benign: [Values] {
        document.benign.sorted { $0.key < $1.key }.map { name, count in
            let key = name.split(separator: "~", omittingEmptySubsequences: false).joined(separator: "~0")
                .split(separator: "/", omittingEmptySubsequences: false).joined(separator: "~1")
            return Values(["name": name.onOneLine, "count": Figure(count, "/benign/\(key)")])
        }
    }

    private var steps: [Values] {
        document.commands.enumerated().map { index, step in
            Values([
                "purpose": Figure(step.purpose, "/commands/\(index)/purpose"),
                "command": Figure(step.command, "/commands/\(index)/command").map {
                    Values(["number": "\(index + 1)", "line": $0])
                }, "path": step.path.onOneLine,
            ])
        }
    }

    private var statistics: Values {
        Values([
            "bytes": Figure(document.statistics.bytesRead, "/statistics/bytesRead"),
            "skipped": Figure(document.statistics.chunksByDigest, "/statistics/chunksByDigest"),
            "decoded": Figure(document.statistics.chunksDecoded, "/statistics/chunksDecoded"),
        ])
    }

    // MARK: The strip and the consoles

    private func values(_ strip: DivergenceDocument.StripItem) -> Values {
        return Values([
            "from": Figure(strip.from, "/strip/from"), "to": Figure(strip.to, "/strip/to"),
            "cell": Figure(strip.cell, "/strip/cell"),
            "stretches": strip.branches.prefix(40).enumerated().map { index, stretch in
                let place = "/strip/branches/\(index)"
                return Values([
                    "from": Figure(stretch.from, "\(place)/from"), "to": Figure(stretch.to, "\(place)/to"),
                    "state": Figure(stretch.state.rawValue, "\(place)/state"),
                    "original": Figure(stretch.original, "\(place)/original"),
                    "replay": Figure(stretch.replay, "\(place)/replay"),
                ])
            },
            "isCut": strip.branches.count > 40,
        ])
    }

    private func values(_ console: DivergenceDocument.ConsoleItem) -> Values {
        func lines(_ lines: [String], _ name: String) -> [Figure] {
            lines.enumerated().compactMap { Figure($1, "/console/\(name)/\($0)") }
        }
        return Values([
            "isPositioned": console.isPositioned, "bytes": Figure(console.bytesBefore, "/console/bytesBefore"),
            "before": lines(console.before, "before"), "first": lines(console.original, "original"),
            "second": lines(console.replay, "replay"), "hasBefore": !console.before.isEmpty,
            "hasFirst": !console.original.isEmpty, "hasSecond": !console.replay.isEmpty,
            "firstBytes": Figure(console.originalBytes, "/console/originalBytes"),
            "secondBytes": Figure(console.replayBytes, "/console/replayBytes"),
        ])
    }
}
