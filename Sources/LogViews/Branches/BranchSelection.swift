// SPDX-License-Identifier: GPL-2.0-or-later

import LogFormat

/// Which branches are wanted. Those of a vCPU from the first that visits ``from`` up to and with the next that visits
/// ``to``; of these, the ones of the wanted kinds that are in the wanted functions.
public struct BranchSelection {
    /// Addresses of a place, and the counter from which on a visit counts.
    public struct Place: Sendable {
        /// The place as the user wrote it.
        public var text: String
        public var addresses: [UInt64]
        public var brctr: UInt64

        public init(text: String, addresses: [UInt64], brctr: UInt64) {
            self.text = text
            self.addresses = addresses
            self.brctr = brctr
        }
    }

    public var from: Place?
    public var to: Place?
    /// For each label, whether it is wanted; `nil`: all are.
    public var labels: [Bool]?
    /// A branch is wanted when it leaves from or goes to one of these addresses. `nil`: all are.
    public var functions: AddressRanges?

    public init() {}

    var isEverything: Bool { from == nil && to == nil && !isFiltered }
    var isFiltered: Bool { labels != nil || functions != nil }

    /// Restricts to labels that one of some conditions holds for.
    public mutating func addLabels(where isWanted: (BranchLabel) -> Bool) {
        let before = labels ?? Array(repeating: false, count: 256)
        labels = (0...255).map { before[$0] || isWanted(BranchLabel(rawValue: UInt8($0))) }
    }
}

/// Takes a vCPU's branches apart into those that are wanted and those that are not.
struct BranchSelector: ~Copyable {
    private enum Phase {
        case before, inside, behind
    }

    private let selection: BranchSelection
    private let labels: UnsafeMutablePointer<Bool>
    private var phase: Phase
    private var finder = PlaceFinder()

    init(_ selection: BranchSelection) {
        self.selection = selection
        labels = .allocate(capacity: 256)
        labels.initialize(from: selection.labels ?? Array(repeating: true, count: 256), count: 256)
        phase = selection.from == nil ? .inside : .before
    }

    deinit { labels.deallocate() }

    /// A vCPU's branches begin.
    mutating func begin() {
        phase = selection.from == nil ? .inside : .before
        finder.forget()
    }

    /// Whether the vCPU came to the place where the selection begins.
    var hasBegun: Bool { phase != .before }
    /// Whether it came to the place where the selection ends.
    var hasEnded: Bool { phase == .behind }

    /// Hands some branches to a view. Returns false when no branch behind them is wanted.
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
        guard phase == .inside, !rest.isEmpty else { return phase != .behind }
        guard let place = selection.to, let index = finder.visit(of: place, batch, rest) else {
            filter(batch, rest, to: &view)
            return true
        }
        filter(batch, rest.lowerBound..<index + 1, to: &view)
        phase = .behind
        return false
    }

    @inline(__always)
    private func filter<View: BranchView & ~Copyable>(
        _ batch: borrowing BranchBatch, _ range: Range<Int>, to view: inout View
    ) {
        guard selection.isFiltered else { return view.add(batch, range) }
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
    private func split<View: BranchView & ~Copyable>(
        _ batch: borrowing BranchBatch, _ range: Range<Int>, to view: inout View, _ isWanted: (Int) -> Bool
    ) {
        var index = range.lowerBound
        while index < range.upperBound {
            let first = index
            while index < range.upperBound, !isWanted(index) { index &+= 1 }
            if index > first { view.pass(batch, first..<index) }
            let begin = index
            while index < range.upperBound, isWanted(index) { index &+= 1 }
            if index > begin { view.add(batch, begin..<index) }
        }
    }
}
