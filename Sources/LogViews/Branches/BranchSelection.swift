// SPDX-License-Identifier: GPL-2.0-or-later

import LogFormat

/// Selects branches: those of a vCPU from the first that visits ``from`` up to and with the next that visits ``to``;
/// and of these, the ones of the selected kinds in the selected functions.
public struct BranchSelection {
    /// Addresses of a place, and the counter from which on a visit counts.
    public struct Place: Sendable {
        /// The place as the user wrote it.
        public var text: String
        /// The addresses; a visit of any of them counts.
        public var addresses: [UInt64]
        /// The first branch counter at which a visit counts.
        public var brctr: UInt64

        /// Makes a place.
        public init(text: String, addresses: [UInt64], brctr: UInt64) {
            self.text = text
            self.addresses = addresses
            self.brctr = brctr
        }
    }

    /// Where the selection begins; `nil`: at the first branch.
    public var from: Place?
    /// Where it ends; `nil`: at the last branch.
    public var to: Place?
    /// The number of branches before the first visit of ``from`` at which the selection begins. Without ``from``, the
    /// selection ends at the first visit of ``to``; without either, at the end of the bounds.
    public var before: UInt64?
    /// For each label, whether it is selected; `nil` selects all.
    public var labels: [Bool]?
    /// A branch is selected if it leaves from or goes to one of these addresses; `nil` selects all.
    public var functions: AddressRanges?

    /// Selects everything.
    public init() {}

    var isEverything: Bool { from == nil && to == nil && before == nil && !isFiltered }
    var isFiltered: Bool { labels != nil || functions != nil }

    /// Restricts the selection to labels that fulfil one of several conditions.
    public mutating func addLabels(where isWanted: (BranchLabel) -> Bool) {
        let before = labels ?? Array(repeating: false, count: 256)
        labels = (0...255).map { before[$0] || isWanted(BranchLabel(rawValue: UInt8($0))) }
    }
}

/// Divides a vCPU's branches into selected ones and others.
struct BranchSelector: ~Copyable {
    private enum Phase {
        case before, inside, after
    }

    private let selection: BranchSelection
    private let labels: UnsafeMutablePointer<Bool>
    private var phase: Phase
    private var finder = PlaceFinder()
    /// The selected branches so far.
    private(set) var selected: UInt64 = 0

    init(_ selection: BranchSelection) {
        self.selection = selection
        labels = .allocate(capacity: 256)
        labels.initialize(from: selection.labels ?? Array(repeating: true, count: 256), count: 256)
        phase = selection.from == nil ? .inside : .before
    }

    deinit { labels.deallocate() }

    /// Whether the vCPU has reached the place where the selection begins.
    var hasBegun: Bool { phase != .before }
    /// Whether the vCPU has reached the place where the selection ends.
    var hasEnded: Bool { phase == .after }

    /// Passes some branches to a view. Returns false if no later branch is selected.
    mutating func feed<View: BranchView & ~Copyable>(
        _ batch: borrowing BranchBatch, _ range: Range<Int>, to view: inout View
    ) -> Bool {
        var rest = range
        if phase == .before, let place = selection.from {
            guard let index = finder.visit(of: place, batch, rest) else {
                view.pass(batch, rest)
                return true
            }
            phase = .inside
            if index > rest.lowerBound { view.pass(batch, rest.lowerBound..<index) }
            // The branch that begins the selection does not end it.
            filter(batch, index..<index + 1, to: &view)
            rest = index + 1..<rest.upperBound
        }
        guard phase == .inside, !rest.isEmpty else { return phase != .after }
        guard let place = selection.to, let index = finder.visit(of: place, batch, rest) else {
            filter(batch, rest, to: &view)
            return true
        }
        filter(batch, rest.lowerBound..<index + 1, to: &view)
        phase = .after
        return false
    }

    @inline(__always)
    private mutating func filter<View: BranchView & ~Copyable>(
        _ batch: borrowing BranchBatch, _ range: Range<Int>, to view: inout View
    ) {
        guard selection.isFiltered else {
            selected &+= UInt64(range.count)
            return view.add(batch, range)
        }
        let labels = labels
        if let functions = selection.functions {
            let (from, to, label) = (batch.from, batch.to, batch.label)
            split(batch, range, to: &view) { index in
                labels[Int(label[index])] && (functions.contains(from[index]) || functions.contains(to[index]))
            }
        } else {
            let label = batch.label
            split(batch, range, to: &view) { labels[Int(label[$0])] }
        }
    }

    /// Hands over a range in unbroken runs.
    @inline(__always)
    private mutating func split<View: BranchView & ~Copyable>(
        _ batch: borrowing BranchBatch, _ range: Range<Int>, to view: inout View, _ isWanted: (Int) -> Bool
    ) {
        var index = range.lowerBound
        while index < range.upperBound {
            let first = index
            while index < range.upperBound, !isWanted(index) { index &+= 1 }
            if index > first { view.pass(batch, first..<index) }
            let begin = index
            while index < range.upperBound, isWanted(index) { index &+= 1 }
            if index > begin {
                selected &+= UInt64(index &- begin)
                view.add(batch, begin..<index)
            }
        }
    }
}
