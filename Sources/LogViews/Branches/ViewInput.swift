// SPDX-License-Identifier: GPL-2.0-or-later

import Formatting
import LogFormat

/// The description of an input that a view receives before the input's branches.
public struct ViewInput {
    /// The path of the file that was read.
    public var path: String
    /// ELF `e_machine`; `nil` if it is not known.
    public var machine: UInt16?
    /// The vCPUs of the input, whether they are selected or not.
    public var vcpus: [UInt16]
    /// Whether branches have instruction counts; otherwise these are 0.
    public var hasIcount: Bool
    /// Whether branches have classes; otherwise these are `unknown`.
    public var hasLabels: Bool
    /// How many digits the largest branch counter has.
    public var counterWidth: Int
    /// How many digits the largest instruction count has.
    public var icountWidth: Int
    /// `nil` for a foreign format.
    public var log: LogFile?
    /// The clocks of a foreign format's only vCPU.
    private var rawClocks: Range<UInt64> = 0..<0
    /// Whether it is one of several inputs, so that rows must name it.
    public var isOneOfSeveral: Bool

    /// A log.
    public init(_ log: LogFile, isOneOfSeveral: Bool = false) {
        path = log.path
        machine = log.header.machine
        vcpus = log.vcpus
        hasIcount = log.header.features.contains(.icount)
        hasLabels = log.header.features.contains(.labels)
        counterWidth = log.counterWidth
        let icount = log.vcpus.compactMap { log.chunks(.branch, vcpu: $0).last?.icountLast }.max()
        icountWidth = icount.map(decimalDigitCount) ?? 1
        self.log = log
        self.isOneOfSeveral = isOneOfSeveral
    }

    /// Raw branch records.
    public init(_ raw: RawBTSFile, isOneOfSeveral: Bool = false) {
        path = raw.path
        vcpus = [0]
        hasIcount = false
        hasLabels = false
        counterWidth = decimalDigitCount(raw.lastClock)
        icountWidth = 1
        rawClocks = raw.clocks
        self.isOneOfSeveral = isOneOfSeveral
    }

    /// The clocks of a vCPU's branches; empty if it has none.
    public func clocks(vcpu: UInt16) -> Range<UInt64> { log?.clocks(vcpu: vcpu, of: [.branch]) ?? rawClocks }

    /// The line of text before the rows of an input, if there are several inputs.
    public var heading: String? { isOneOfSeveral ? "==> \(path.onOneLine) <==" : nil }
}
