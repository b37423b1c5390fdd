// SPDX-License-Identifier: GPL-2.0-or-later

import Formatting
import LogFormat

/// Writes branches as raw records instead of printing them. All inputs and vCPUs come one after the other.
public struct BranchExtract: BranchView, ~Copyable {
    private let writer: RawBTSWriter
    /// vCPUs that branches came from.
    private var laneCount = 0
    private var isNewLane = true
    /// What went wrong: then it is over.
    private var failure: LogError?

    public init(_ writer: RawBTSWriter) {
        self.writer = writer
    }

    public var isOver: Bool { failure != nil }

    public mutating func begin(_ input: ViewInput) {}

    public mutating func begin(vcpu: UInt16) { isNewLane = true }

    public mutating func add(_ batch: borrowing BranchBatch, _ range: Range<Int>) {
        if isNewLane { laneCount += 1 }
        isNewLane = false
        do throws(LogError) { try writer.append(batch, range) } catch { failure = error }
    }

    public mutating func finish() throws {
        if let failure { throw failure }
        try writer.close()
        let several =
            laneCount > 1 ? "; of \(laneCount) vCPUs, one after the other: records do not tell them apart" : ""
        Diagnostics.note("\(writer.path): \(writer.count) branches, \(writer.form.rawValue)\(several)")
    }
}
