// SPDX-License-Identifier: GPL-2.0-or-later

import Formatting

// MARK: - Source, call stacks, the calls after the divergence
extension PageModel {
    /// Frames of a stack that the page has.
    private static let shownFrames = 64

    func source(_ listing: DivergenceDocument.SourceListing) -> Values {
        let path = "\(base)/sourceListing"
        return Values([
            "file": Figure(listing.file, "\(path)/file"), "function": Figure(listing.function, "\(path)/function"),
            "lines": listing.lines.enumerated().map { index, line in
                Values([
                    "number": Figure("\(line.number)", "\(path)/lines/\(index)/number"),
                    "text": Figure(line.text, "\(path)/lines/\(index)/text"),
                    "isBoth": line.original && line.replay, "isFirst": line.original && !line.replay,
                    "isSecond": line.replay && !line.original, "isDivergence": line.isDivergence,
                    "isNeither": !line.original && !line.replay,
                ])
            },
        ])
    }

    // MARK: Stacks

    func stack(_ divergence: DivergenceDocument.DivergenceItem) -> Values {
        let (stack, path) = (divergence.callStack, "\(base)/callStack")
        return Values([
            "frames": frames(stack.frames, "\(path)/frames"),
            "seen": Figure(stack.branchesSeen, "\(path)/branchesSeen"),
            "isOpen": !stack.isComplete, "isCut": stack.frames.count > Self.shownFrames,
            "firmware": Figure(stack.firmwareFrames.map { String($0) }, "\(path)/firmwareFrames"),
            "isEmpty": stack.frames.isEmpty,
        ])
    }

    /// The calls that only one run makes, for each run.
    func calls(_ divergence: DivergenceDocument.DivergenceItem) -> [Values] {
        let sides = [("original", divergence.originalNext), ("replay", divergence.replayNext)]
        return sides.map { (name: String, next: DivergenceDocument.Next) in
            let path = "\(base)/\(name)Next/calls"
            return Values(["name": name, "frames": frames(next.calls, path), "isEmpty": next.calls.isEmpty])
        }
    }

    private func frames(_ frames: [DivergenceDocument.Stack.Frame], _ path: String) -> [Values] {
        frames.prefix(Self.shownFrames).enumerated().map { index, frame in
            let own = "\(path)/\(index)"
            return Values([
                "entry": frame.entry == .call ? nil : Figure(frame.entry.rawValue, "\(own)/entry"),
                "name": Figure(frame.targetSymbol, "\(own)/targetSymbol") ?? Figure(frame.target, "\(own)/target"),
                "site": Figure(frame.callSite, "\(own)/callSite"),
                "siteSymbol": Figure(frame.callSiteSymbol, "\(own)/callSiteSymbol"),
                "source": Figure(frame.source, "\(own)/source"), "brctr": Figure(frame.brctr, "\(own)/brctr"),
            ])
        }
    }

    // MARK: The window

    func window(_ window: DivergenceDocument.CallWindow) -> Values {
        let path = "\(base)/window"
        let totals = (window.root.original.rawValue, window.root.replay.rawValue)
        var graph = FlameGraph(total: totals.0 &+ totals.1)
        graph.add(window.root, depth: 0, from: 0)
        return Values([
            "unit": window.unit, "first": Figure(window.originalBranches, "\(path)/originalBranches"),
            "second": Figure(window.replayBranches, "\(path)/replayBranches"),
            "ancestors": window.ancestors.suffix(12).enumerated().compactMap { index, name in
                Figure(name, "\(path)/ancestors/\(window.ancestors.count - min(12, window.ancestors.count) + index)")
            },
            "hasAncestors": !window.ancestors.isEmpty, "isCut": window.isCut,
            "trees": [("original", true), ("replay", false)].map { name, isOriginal in
                Values([
                    "name": name,
                    "root": [node(window.root, "\(path)/root", isOriginal, least: (totals.0 &+ totals.1) / 50)]
                        .compactMap { $0 },
                ])
            },
            "flame": graph.boxes.map(\.values), "height": "\(graph.height)",
        ])
    }

    /// A node of one run's call tree; nil if that run was not there.
    ///
    /// - Parameter least: the cost in both runs from which on a node whose costs differ shows what it called.
    private func node(_ node: DivergenceDocument.CallWindow.Node, _ path: String, _ isOriginal: Bool, least: UInt64)
        -> Values?
    {
        let (own, other) = isOriginal ? (node.original, node.replay) : (node.replay, node.original)
        guard own.rawValue > 0 else { return nil }
        let children = node.children.enumerated().compactMap { index, child in
            self.node(child, "\(path)/children/\(index)", isOriginal, least: least)
        }
        return Values([
            "name": Figure(node.name, "\(path)/name"),
            "cost": Figure(own, "\(path)/\(isOriginal ? "original" : "replay")"), "isOnly": other.rawValue == 0,
            "side": isOriginal ? "original" : "replay", "children": children, "hasChildren": !children.isEmpty,
            "isOpen": own != other && own.rawValue &+ other.rawValue >= least,
        ])
    }
}

/// The boxes of a differential flame graph: as wide as the cost in both runs, coloured by the run that spends more there.
struct FlameGraph {
    /// A function with its callers.
    struct Box {
        var name: String
        var depth: Int
        /// In hundredths of a percent of the width.
        var left: UInt64
        var width: UInt64
        var cost: (original: UInt64, replay: UInt64)

        var values: Values {
            let kind =
                cost.replay == 0
                ? "only-original"
                : cost.original == 0 ? "only-replay" : cost.original == cost.replay ? "same" : "shifted"
            return Values([
                "x": Box.percent(left), "width": Box.percent(max(1, width)), "y": "\(depth * FlameGraph.rowHeight)",
                "name": name.onOneLine, "kind": kind, "hasText": width > 250,
                "mark": cost.replay == 0 ? "− " : cost.original == 0 ? "+ " : nil,
                "first": RowText.grouped(cost.original), "second": RowText.grouped(cost.replay),
            ])
        }

        private static func percent(_ value: UInt64) -> String {
            let rest = value % 100
            return "\(value / 100).\(rest < 10 ? "0" : "")\(rest)%"
        }
    }

    static let rowHeight = 22
    private static let depthLimit = 48
    /// Narrower boxes are left out, in hundredths of a percent.
    private static let leastWidth: UInt64 = 8

    let total: UInt64
    private(set) var boxes: [Box] = []
    private var depth = 0

    init(total: UInt64) { self.total = max(1, total) }

    /// The graph's height in pixels.
    var height: Int { (depth + 1) * FlameGraph.rowHeight }

    /// Adds a function and what it called.
    ///
    /// - Parameter from: the cost to the left of it.
    mutating func add(_ node: DivergenceDocument.CallWindow.Node, depth: Int, from: UInt64) {
        guard depth < FlameGraph.depthLimit else { return }
        let cost = (original: node.original.rawValue, replay: node.replay.rawValue)
        let left = part(from)
        let width = part(from &+ cost.original &+ cost.replay) &- left
        guard width >= FlameGraph.leastWidth || depth == 0 else { return }
        self.depth = max(self.depth, depth)
        boxes.append(
            Box(
                name: node.name, depth: depth, left: left, width: width, cost: cost))
        var place = from
        for child in node.children {
            add(child, depth: depth + 1, from: place)
            place = place &+ child.original.rawValue &+ child.replay.rawValue
        }
    }

    /// A cost in hundredths of a percent of the total.
    private func part(_ cost: UInt64) -> UInt64 { UInt64(Double(min(cost, total)) / Double(total) * 10_000) }
}
