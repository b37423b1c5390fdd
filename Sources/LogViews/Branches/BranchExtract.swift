// SPDX-License-Identifier: GPL-2.0-or-later

import Formatting
import LogFormat

/// Writes branches to a file of raw records. The branches of all inputs and vCPUs follow one another.
public struct BranchExtract: BranchView, ~Copyable {
    private let writer: RawBTSWriter
    private let report: NoticeHandler
    /// The number of vCPUs that had branches.
    private var laneCount = 0
    private var isNewLane = true
    /// The first error of the writer; nothing is written after it.
    private var failure: LogError?

    /// - Parameter report: Receives a note with the number of branches written.
    public init(_ writer: RawBTSWriter, report: @escaping NoticeHandler) {
        self.writer = writer
        self.report = report
    }

    /// Whether the output would stay the same with further branches.
    public var isOver: Bool { failure != nil }

    /// Begins the branches of an input.
    public mutating func begin(_ input: ViewInput) {}

    /// Begins the branches of a vCPU.
    public mutating func begin(vcpu: UInt16) { isNewLane = true }

    /// Takes selected branches.
    public mutating func add(_ batch: borrowing BranchBatch, _ range: Range<Int>) {
        if isNewLane { laneCount += 1 }
        isNewLane = false
        do throws(LogError) { try writer.append(batch, range) } catch { failure = error }
    }

    /// Closes the file. Throws the first error in writing it.
    public mutating func finish() throws {
        if let failure { throw failure }
        try writer.close()
        let several =
            laneCount > 1 ? "; \(laneCount) vCPUs, one after the other: the records do not hold their numbers" : ""
        report(.note("\(writer.path): \(writer.count) branches, \(writer.form.rawValue)\(several)"))
    }
}
