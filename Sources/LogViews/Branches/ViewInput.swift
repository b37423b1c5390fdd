// SPDX-License-Identifier: GPL-2.0-or-later

import Formatting
import LogFormat

/// The description of an input that a view receives before the input's branches.
public struct ViewInput {
    /// The path of the file that was read.
    public var path: String
    /// The guest's machine; `nil` if it is not known.
    public var machine: Machine?
    /// The vCPUs of the input, whether they are selected or not.
    public var vcpus: [UInt16]
    /// Whether branches have instruction counts; otherwise these are 0.
    public var hasIcount: Bool
    /// Whether branches have classes; otherwise these are `unknown`.
    public var hasLabels: Bool
    /// The number of digits of the largest branch counter.
    public var counterWidth: Int
    /// The number of digits of the largest instruction count.
    public var icountWidth: Int
    /// `nil` for a foreign format.
    public var log: LogFile?
    /// The clocks of a foreign format's only vCPU.
    private var rawClocks: Range<UInt64> = 0..<0
    /// Whether it is one of several inputs, so that rows must name it.
    public var isOneOfSeveral: Bool

    /// The description of an input.
    public init(_ source: LogSource, isOneOfSeveral: Bool = false) {
        path = source.path
        machine = source.machine
        vcpus = source.vcpus
        hasIcount = source.hasIcount
        hasLabels = source.hasLabels
        counterWidth = source.log?.counterWidth ?? decimalDigitCount(source.rawBTS?.lastClock ?? 0)
        let icount = source.log.flatMap { log in
            log.vcpus.compactMap { log.chunks(.branch, vcpu: $0).last?.icountLast }.max()
        }
        icountWidth = icount.map(decimalDigitCount) ?? 1
        log = source.log
        rawClocks = source.rawBTS?.clocks ?? 0..<0
        self.isOneOfSeveral = isOneOfSeveral
    }

    /// The clocks of a vCPU's branches; empty if it has none.
    public func clocks(vcpu: UInt16) -> Range<UInt64> { log?.clocks(vcpu: vcpu, of: [.branch]) ?? rawClocks }

    /// The line of text before the rows of an input, if there are several inputs.
    public var heading: String? { isOneOfSeveral ? "==> \(path.onOneLine) <==" : nil }
}
