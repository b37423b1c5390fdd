// SPDX-License-Identifier: GPL-2.0-or-later

import CallTree
import Formatting
import LogFormat
import Symbolize

/// Sums up what both runs did after a divergence, by open calls.
struct CallWindowMaker {
    let original: ReportedRun
    let replay: ReportedRun
    let vcpu: UInt16

    /// Branches of each side in the window.
    static let length: UInt64 = 1 << 15
    /// Branches before the window from which the open calls are rebuilt.
    private static let reach: UInt64 = 1 << 17
    /// Nodes that are kept, those with the largest cost first.
    private static let nodeLimit = 400

    private typealias Node = DivergenceDocument.CallWindow.Node

    /// A tree of functions by name.
    private final class Tree {
        let name: String
        var cost: (original: UInt64, replay: UInt64) = (0, 0)
        var children: [String: Tree] = [:]

        init(_ name: String) { self.name = name }

        var total: UInt64 { cost.original &+ cost.replay }
    }

    /// The window from these clocks on; nil if no branch follows.
    func window(_ clock: UInt64, _ replayClock: UInt64) -> DivergenceDocument.CallWindow? {
        let hasIcount = [original, replay].allSatisfy { $0.log.header.features.contains(.icount) }
        let tree = Tree("all")
        let first = add(original, clock, hasIcount, to: tree) { $0.cost.original &+= $1 }
        let second = add(replay, replayClock, hasIcount, to: tree) { $0.cost.replay &+= $1 }
        guard tree.total > 0 else { return nil }
        var ancestors: [String] = []
        var root = tree
        while root.children.count == 1, let only = root.children.first?.value, only.cost == root.cost {
            if root !== tree { ancestors.append(root.name) }
            root = only
        }
        // Unnamed functions outside a named one are those of the firmware.
        let path = ancestors + [root.name]
        if let named = path.firstIndex(where: { !$0.hasPrefix("0x") }) { ancestors.removeFirst(named) }
        let costs = Self.costs(of: root).sorted(by: >)
        let least = costs.count > Self.nodeLimit ? costs[Self.nodeLimit] &+ 1 : 1
        return DivergenceDocument.CallWindow(
            unit: hasIcount ? "instructions" : "branches", originalBranches: Counter(first),
            replayBranches: Counter(second), ancestors: ancestors, root: Self.node(root, least),
            isCut: least > 1)
    }

    private static func costs(of tree: Tree) -> [UInt64] {
        tree.children.values.reduce(into: [tree.total]) { $0 += costs(of: $1) }
    }

    private static func node(_ tree: Tree, _ least: UInt64) -> Node {
        let children = tree.children.values.filter { $0.total >= least }
            .sorted { $0.total != $1.total ? $0.total > $1.total : $0.name < $1.name }
        return Node(
            name: tree.name, original: Counter(tree.cost.original), replay: Counter(tree.cost.replay),
            children: children.map { node($0, least) })
    }

    /// Adds the cost of a side's window to each function and its callers. Returns the branches in the window.
    private func add(
        _ run: ReportedRun, _ clock: UInt64, _ hasIcount: Bool, to tree: Tree, _ count: (Tree, UInt64) -> Void
    ) -> UInt64 {
        let start = clock > Self.reach ? clock - Self.reach : 0
        let (end, overflows) = clock.addingReportingOverflow(Self.length)
        guard !overflows else { return 0 }
        var tracker = CallTracker(handlers: HandlerSet(run.log, vcpu: vcpu, clocks: start..<end))
        tracker.recordsSteps = true
        var folded = FoldedStacks()
        folded.begin(at: 0)
        let names = Names(symbolizer: run.symbolizer)
        var cursor = run.log.branches(vcpu: vcpu, from: start, to: end)
        var branches: UInt64 = 0
        while let branch = cursor.next() {
            let position = hasIcount ? branch.icount : branch.clock &+ 1
            if branch.clock < clock { folded.skip(to: position) } else { branches += 1 }
            tracker.append(branch)
            for step in tracker.steps { folded.take(step, function: step.frame.target, at: position) }
            folded.end(at: position)
        }
        var texts: [UInt64: String] = [:]
        folded.visit { functions, cost in
            var place = tree
            count(place, cost)
            for function in functions.suffix(FoldedStacks.depthLimit) {
                let name = texts[function] ?? names.function(function)
                texts[function] = name
                let child = place.children[name] ?? Tree(name)
                place.children[name] = child
                place = child
                count(place, cost)
            }
        }
        return branches
    }
}
