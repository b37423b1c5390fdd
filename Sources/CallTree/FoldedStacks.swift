// SPDX-License-Identifier: GPL-2.0-or-later

/// Sums up a cost by open calls: the input of flame graphs, made from a tracker's steps.
///
///     var folded = FoldedStacks()
///     folded.begin(at: 0)
///     folded.take(step, function: entry, at: step.icount)
///     folded.end(at: last)
///     folded.visit { functions, count in … }
///
/// Memory is bounded: beyond ``depthLimit`` frames and ``nodeLimit`` different stacks, the cost goes to the caller.
public struct FoldedStacks {
    /// The number of frames of a stack that are kept apart.
    public static let depthLimit = 512
    /// The number of different stacks that are kept apart.
    public static let nodeLimit = 1 << 20
    /// The number of guest stacks whose open frames are known. The least recently used one is dropped first.
    private static let stackLimit = 1024

    /// A function with its callers.
    private struct Node {
        var parent: UInt32
        var depth: UInt32
        var function: UInt64
        var count: UInt64
    }

    private struct Edge: Hashable {
        var parent: UInt32
        var function: UInt64
    }

    private struct OpenStack {
        var nodes: [UInt32] = []
        var lastUsed: UInt64 = 0
    }

    /// Node 0 is the code outside all calls that were seen.
    private var nodes = [Node(parent: 0, depth: 0, function: 0, count: 0)]
    private var children: [Edge: UInt32] = [:]
    private var suspended: [UInt32: OpenStack] = [:]
    private var open: [UInt32] = []
    private var stack: UInt32 = 0
    private var uses: UInt64 = 0
    private var position: UInt64 = 0

    /// No cost and no open calls.
    public init() {}

    /// Begins a vCPU or a log: no call is open.
    public mutating func begin(at position: UInt64) {
        suspended = [:]
        open = []
        stack = 0
        self.position = position
    }

    /// Adds the cost up to a position to the calls that are open now.
    public mutating func end(at position: UInt64) {
        let spent = position > self.position ? position - self.position : 0
        nodes[Int(open.last ?? 0)].count &+= spent
        self.position = position
    }

    /// Skips to a position without counting the cost up to there, because it is unknown.
    public mutating func skip(to position: UInt64) { self.position = position }

    /// Takes a step.
    ///
    /// - Parameters:
    ///   - function: the entry address of the function to which the step's frame belongs.
    ///   - position: the position in the run, in the unit of the cost.
    public mutating func take(_ step: CallStep, function: UInt64, at position: UInt64) {
        end(at: position)
        switch step.action {
        case .enter, .reopen:
            align(to: Int(step.depth) - 1)
            open.append(child(of: open.last ?? 0, function))
        case .leave: align(to: Int(step.depth))
        case .tailCall:
            guard let last = open.popLast() else { return }
            open.append(child(of: nodes[Int(last)].parent, function))
        case .switchStack:
            change(to: step.stack)
            align(to: Int(step.depth))
        case .forget: open.removeFirst(max(0, open.count - Int(step.depth)))
        }
    }

    /// Calls `body` with the functions of each stack, the outermost first, and the cost there, in arbitrary order. An
    /// empty list is the code outside all calls that were seen.
    public func visit(_ body: (_ functions: [UInt64], _ count: UInt64) throws -> Void) rethrows {
        for node in nodes where node.count > 0 {
            var functions: [UInt64] = []
            var place = node
            while place.depth > 0 {
                functions.append(place.function)
                place = nodes[Int(place.parent)]
            }
            functions.reverse()
            try body(functions, node.count)
        }
    }

    private mutating func child(of parent: UInt32, _ function: UInt64) -> UInt32 {
        let edge = Edge(parent: parent, function: function)
        if let known = children[edge] { return known }
        let depth = nodes[Int(parent)].depth
        guard depth < FoldedStacks.depthLimit, nodes.count < FoldedStacks.nodeLimit else { return parent }
        let index = UInt32(nodes.count)
        nodes.append(Node(parent: parent, depth: depth + 1, function: function, count: 0))
        children[edge] = index
        return index
    }

    /// Adjusts the number of open frames. Frames of a stack that was dropped are unknown.
    private mutating func align(to depth: Int) {
        if open.count > depth { open.removeLast(open.count - max(0, depth)) }
        while open.count < depth { open.append(0) }
    }

    private mutating func change(to stack: UInt32) {
        uses &+= 1
        if !open.isEmpty { suspended[self.stack] = OpenStack(nodes: open, lastUsed: uses) }
        open = suspended.removeValue(forKey: stack)?.nodes ?? []
        self.stack = stack
        guard suspended.count > FoldedStacks.stackLimit else { return }
        if let oldest = suspended.min(by: { $0.value.lastUsed < $1.value.lastUsed }) {
            suspended[oldest.key] = nil
        }
    }
}
