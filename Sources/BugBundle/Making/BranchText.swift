// SPDX-License-Identifier: GPL-2.0-or-later

import Formatting
import LogFormat
import Reporting
import Symbolize

/// The branches of a run as text for `vimdiff`: one branch a line, with symbols, without counters. Two such files that
/// begin at the same branch are equal up to the divergence, and agree line by line where the runs meet again.
struct BranchText {
    private let symbolizer: Symbolizer?
    private var texts: [UInt64: String] = [:]

    init(_ symbolizer: Symbolizer?) { self.symbolizer = symbolizer }

    /// The lines of the branches of a vCPU with clocks in a range.
    mutating func lines(_ log: LogFile, vcpu: UInt16, _ clocks: Range<UInt64>) -> [UInt8] {
        var text: [UInt8] = []
        var branches = log.branches(vcpu: vcpu, from: clocks.lowerBound, to: clocks.upperBound)
        while let branch = branches.next() {
            text += "\(place(branch.from))  \(branch.label.name)  \(place(branch.to))\n".utf8
        }
        return text
    }

    private mutating func place(_ address: UInt64) -> String {
        if let known = texts[address] { return known }
        var text = HexWord(address).description
        if let found = symbolizer?.symbolize(address) {
            text += " \(found.label)" + (found.sourcePlace.map { " (\($0))" } ?? "")
        }
        text = text.onOneLine
        texts[address] = text
        return text
    }
}
