// SPDX-License-Identifier: GPL-2.0-or-later

import LogFormat
import Symbolize

/// A way to print the calls of a log: its branches are given to it in their order, vCPU after vCPU.
public protocol CallDump: ~Copyable {
    /// A log begins. Formats are text and jsonl.
    mutating func begin(_ log: LogFile, _ symbolizer: Symbolizer?, format: RowFormat)
    /// The branches of a vCPU begin.
    mutating func begin(vcpu: UInt16)
    mutating func add(_ batch: borrowing BranchBatch, _ range: Range<Int>)
    /// The branches of the vCPU are over.
    mutating func end(vcpu: UInt16)
    /// Hands what is left to standard output.
    mutating func finish()
}
