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

    /// - Parameter report: Receives the note that says what was written.
    public init(_ writer: RawBTSWriter, report: @escaping NoticeHandler) {
        self.writer = writer
        self.report = report
    }

    public var isOver: Bool { failure != nil }

    public mutating func begin(_ input: ViewInput) {}

    public mutating func begin(vcpu: UInt16) { isNewLane = true }

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
            laneCount > 1 ? "; of \(laneCount) vCPUs, one after the other: records do not tell them apart" : ""
        report(.note("\(writer.path): \(writer.count) branches, \(writer.form.rawValue)\(several)"))
    }
}
