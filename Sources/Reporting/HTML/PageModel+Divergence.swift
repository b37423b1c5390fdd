// SPDX-License-Identifier: GPL-2.0-or-later

import Alignment
import Formatting

extension PageModel {
    /// Rows of the streams that the page has without its script, on each side of the divergence.
    private static let nearRows = 12
    /// Records of a list that the page has without its script.
    private static let listed = 12

    func values(_ divergence: DivergenceDocument.DivergenceItem, _ rows: StreamRows?) -> Values {
        Values([
            "places": places(divergence), "running": divergence.running.map(running), "fields": fields(divergence),
            "hasFields": !divergence.fields.isEmpty,
            "endReason": Figure(divergence.endReason, "\(base)/endReason"),
            "causes": divergence.causes.enumerated().compactMap { Figure($1.text, "\(base)/causes/\($0)/text") },
            "hasCauses": !divergence.causes.isEmpty, "decision": divergence.decidedBy.map(decision),
            "rows": near(rows, divergence),
            "hasStack": !divergence.callStack.frames.isEmpty || !divergence.originalNext.calls.isEmpty
                || !divergence.replayNext.calls.isEmpty,
            "stack": stack(divergence), "calls": calls(divergence), "inputs": inputs(divergence),
            "hasInputs": !divergence.lastInputs.isEmpty, "afterwards": afterwards(divergence), "firsts": firsts,
            "source": divergence.sourceListing.map(source), "window": divergence.window.map(window),
        ])
    }

    // MARK: Where and what

    private func places(_ divergence: DivergenceDocument.DivergenceItem) -> [Values] {
        [("original", divergence.original), ("replay", divergence.replay)].map { name, place in
            let path = "\(base)/\(name)"
            let sources = place.source ?? []
            return Values([
                "name": name, "brctr": Figure(place.brctr, "\(path)/brctr"),
                "last": Figure(place.brctrLast, "\(path)/brctrLast"), "icount": Figure(place.icount, "\(path)/icount"),
                "ip": Figure(place.ip, "\(path)/ip"), "symbol": Figure(place.symbol, "\(path)/symbol"),
                "sources": sources.enumerated().compactMap { Figure($1, "\(path)/source/\($0)") },
            ])
        }
    }

    private func running(_ item: DivergenceDocument.RunningItem) -> Values {
        let path = "\(base)/running"
        return Values([
            "mode": Figure(item.mode?.rawValue, "\(path)/mode"),
            "space": Figure(item.addressSpace, "\(path)/address_space"),
            "since": Figure(item.since?.brctr, "\(path)/since/brctr"), "ip": Figure(item.user?.ip, "\(path)/user/ip"),
            "symbol": Figure(item.user?.symbol, "\(path)/user/symbol"),
            "entry": Figure(item.user?.brctr, "\(path)/user/brctr"),
            "program": Figure(item.program, "\(path)/program"),
        ])
    }

    private func fields(_ divergence: DivergenceDocument.DivergenceItem) -> [Values] {
        divergence.fields.enumerated().map { index, field in
            let path = "\(base)/fields/\(index)"
            return Values([
                "name": Figure(field.name, "\(path)/name"), "first": Figure(field.original, "\(path)/original"),
                "second": Figure(field.replay, "\(path)/replay"),
                "firstSymbol": Figure(field.originalSymbol, "\(path)/originalSymbol"),
                "secondSymbol": Figure(field.replaySymbol, "\(path)/replaySymbol"),
            ])
        }
    }

    private var firsts: [Values] {
        guard let index, let vcpu else { return [] }
        return FirstDifference.Class.allCases.compactMap { differenceClass in
            let name = differenceClass.rawValue
            guard let first = vcpu.firsts[name] else {
                guard differenceClass.isAlwaysReported else { return nil }
                return Values(["name": name, "isAbsent": true])
            }
            let path = "/vcpus/\(index)/firsts/\(name)"
            let isWide = !first.isExact && first.to.rawValue > first.from.rawValue &+ 1
            return Values([
                "name": name, "from": Figure(first.from, "\(path)/from"),
                "to": isWide ? Figure(first.to, "\(path)/to") : nil,
            ])
        }
    }

    private func afterwards(_ divergence: DivergenceDocument.DivergenceItem) -> Values? {
        guard let path = divergence.path else { return nil }
        let place = "\(base)/path"
        let regions = path.regions + [path.openRegion].compactMap { $0 }
        return Values([
            "sentence": Convergence(divergence).text, "agreed": Figure(path.agreedBranches, "\(place)/agreedBranches"),
            "first": Figure(path.originalDiffering, "\(place)/originalDiffering"),
            "second": Figure(path.replayDiffering, "\(place)/replayDiffering"), "isCut": path.isCut,
            "regions": regions.prefix(Self.listed).enumerated().map { index, region in
                let own = index < path.regions.count ? "\(place)/regions/\(index)" : "\(place)/openRegion"
                return Values([
                    "firstFrom": Figure(region.originalFrom, "\(own)/originalFrom"),
                    "firstTo": Figure(region.originalTo, "\(own)/originalTo"),
                    "secondFrom": Figure(region.replayFrom, "\(own)/replayFrom"),
                    "secondTo": Figure(region.replayTo, "\(own)/replayTo"),
                    "agreed": Figure(region.agreedBranches, "\(own)/agreedBranches"),
                ])
            },
        ])
    }

    // MARK: Streams

    private func near(_ rows: StreamRows?, _ divergence: DivergenceDocument.DivergenceItem) -> [Values] {
        guard let rows else { return [] }
        let first = max(0, rows.divergenceRow - Self.nearRows)
        let last = min(rows.rows.count, rows.divergenceRow + Self.nearRows)
        return (first..<last).map { index in
            let row = rows.rows[index]
            let isBoth = row.state == .both
            return Values([
                "isBoth": isBoth, "isDifferent": row.state == .different, "isFirst": index == rows.divergenceRow,
                "first": row.original.map { item($0, divergence) },
                // A common record stands in the replay's column too.
                "second": (row.replay ?? (isBoth ? row.original : nil)).map { item($0, divergence) },
            ])
        }
    }

    private func item(_ item: StreamRows.Item, _ divergence: DivergenceDocument.DivergenceItem) -> Values {
        let path = "\(base)/\(item.list.path)/\(item.index)"
        switch item.list {
        case .commonBranches: return branch(divergence.lastCommonBranches[item.index], path)
        case .originalBranches: return branch(divergence.originalNext.branches[item.index], path)
        case .replayBranches: return branch(divergence.replayNext.branches[item.index], path)
        case .commonEvents: return event(divergence.lastCommonEvents[item.index], path)
        case .originalEvents: return event(divergence.originalNext.events[item.index], path)
        case .replayEvents: return event(divergence.replayNext.events[item.index], path)
        }
    }

    private func branch(_ branch: DivergenceDocument.BranchItem, _ path: String) -> Values {
        Values([
            "branch": Values([
                "brctr": Figure(branch.brctr, "\(path)/brctr"), "from": Figure(branch.from, "\(path)/from"),
                "to": Figure(branch.to, "\(path)/to"), "label": Figure(branch.label, "\(path)/label"),
                "fromSymbol": Figure(branch.fromSymbol, "\(path)/fromSymbol"),
                "toSymbol": Figure(branch.toSymbol, "\(path)/toSymbol"),
                "source": Figure(branch.source, "\(path)/source"),
                "toSource": branch.toSource == branch.source ? nil : Figure(branch.toSource, "\(path)/toSource"),
            ])
        ])
    }

    private func event(_ event: DivergenceDocument.EventItem, _ path: String) -> Values {
        Values([
            "event": Values([
                "brctr": Figure(event.brctr, "\(path)/brctr"), "icount": Figure(event.icount, "\(path)/icount"),
                "kind": Figure(event.kind, "\(path)/kind"), "ip": Figure(event.ip, "\(path)/ip"),
                "symbol": Figure(event.symbol, "\(path)/symbol"),
                "details": event.details.isEmpty ? nil : Figure(event.details, "\(path)/details"),
            ])
        ])
    }

    private func inputs(_ divergence: DivergenceDocument.DivergenceItem) -> [Values] {
        divergence.lastInputs.enumerated().map { index, input in
            let path = "\(base)/lastInputs/\(index)"
            return Values([
                "item": event(input.original, "\(path)/original"),
                "other": input.isDifferent ? input.replay.map { event($0, "\(path)/replay") } : nil,
                "transitions": Figure(input.transitions, "\(path)/transitions"),
                "instructions": Figure(input.instructions, "\(path)/instructions"), "isDifferent": input.isDifferent,
            ])
        }
    }
}
