// SPDX-License-Identifier: GPL-2.0-or-later

import Formatting
import LogFormat

/// What the join of a log with its run's input log did not explain, for people.
public struct LeftoverText {
    private let join: ReplayJoin
    private let sink: any TextSink

    /// - Parameter sink: Receives the lines.
    public init(_ join: ReplayJoin, to sink: any TextSink) {
        self.join = join
        self.sink = sink
    }

    /// The number of leftovers.
    public var count: Int { join.transitionsWithoutEvent + join.eventsWithoutTransition }

    /// Writes a line with its reason for each leftover that the join kept, and a line with the numbers of all.
    public func write() {
        for leftover in join.leftovers {
            sink.line("\(LeftoverText.words(leftover.what)): \(leftover.reason.rawValue)")
        }
        if count > join.leftovers.count { sink.line("and \(count - join.leftovers.count) more") }
        sink.line(
            "left over: \(join.transitionsWithoutEvent) transitions, \(join.eventsWithoutTransition) events; "
                + "\(join.causes.count) causes found")
    }

    private static func words(_ what: JoinLeftover.What) -> String {
        switch what {
        case .transition(let branch):
            "transition at brctr \(branch.clock), icount \(branch.icount), \(RowText.hex(branch.from)) -> "
                + "\(RowText.hex(branch.to)), label \(branch.label)"
        case .entry(let event):
            "\(event.kind.rawValue) at icount \(event.icount), offset \(event.offset) of replay.bin"
        }
    }
}
