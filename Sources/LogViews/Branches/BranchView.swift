// SPDX-License-Identifier: GPL-2.0-or-later

import LogFormat

/// One way of showing branches. A ``BranchWalk`` passes it those of each input, vCPU after vCPU, in their order.
///
/// Between `begin(vcpu:)` and `end(vcpu:)` each branch of the walk's range is passed once, to `add` or to `pass`. If a
/// clock does not follow the one before, branches are missing.
public protocol BranchView: ~Copyable {
    /// The branches of an input begin.
    mutating func begin(_ input: ViewInput) throws
    /// The branches of a vCPU begin.
    mutating func begin(vcpu: UInt16)
    /// Takes selected branches: an unbroken, non-empty run in the batch.
    mutating func add(_ batch: borrowing BranchBatch, _ range: Range<Int>)
    /// Takes branches that are not selected: for views that keep a state between branches.
    mutating func pass(_ batch: borrowing BranchBatch, _ range: Range<Int>)
    /// The branches of the vCPU are over.
    mutating func end(vcpu: UInt16)
    /// Whether the output would stay the same with further branches.
    var isOver: Bool { get }
    /// Writes what is left to the sink. Called once: after the last input, or when the view is over. Throws if the view
    /// is not complete.
    mutating func finish() throws
}

extension BranchView where Self: ~Copyable {
    /// Begins the branches of a vCPU.
    public mutating func begin(vcpu: UInt16) {}
    /// Takes branches that are not selected.
    public mutating func pass(_ batch: borrowing BranchBatch, _ range: Range<Int>) {}
    /// Ends the branches of a vCPU.
    public mutating func end(vcpu: UInt16) {}
    /// Whether the output would stay the same with further branches.
    public var isOver: Bool { false }
}
