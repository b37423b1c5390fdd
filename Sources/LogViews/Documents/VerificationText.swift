// SPDX-License-Identifier: GPL-2.0-or-later

import Formatting
import LogFormat

/// The result of checking every byte of a log, for people.
public struct VerificationText {
    private let result: Verification
    private let log: LogFile
    private let sink: any TextSink

    /// - Parameter sink: Receives the lines.
    public init(_ result: Verification, _ log: LogFile, to sink: any TextSink) {
        self.result = result
        self.log = log
        self.sink = sink
    }

    /// Writes the result.
    public func write() {
        for damage in result.damage { line(damage.description) }
        let streams = [
            (LogStream.branch, "branches"), (.event, "events"), (.access, "accesses"), (.meta, "meta records"),
        ]
        let counts = streams.map { "\(result.recordsRead[$0.0] ?? 0) \($0.1)" }.joined(separator: ", ")
        line("\(log.path): \(result.chunks) chunks: \(counts) read")
        switch log.completeness {
        case .closed: break
        case .beingWritten: line("the log is being written: the records committed so far are checked")
        case .unclosed: line("the log was not closed: its recorder was killed")
        }
        if result.elidedChunks > 0 {
            line("\(result.elidedChunks) chunks were left out by the recorder: only their headers are checked")
        }
        for (kind, count) in result.unknownKinds.sorted(by: { $0.key.rawValue < $1.key.rawValue }) {
            line("\(count) records of \(kind), which this version does not know")
        }
        if result.isIntact {
            line("intact")
        } else {
            let parts = result.damage.count
            let least = result.mayHaveLostMore ? "at least " : ""
            line("damaged: \(parts) part\(parts == 1 ? "" : "s"), \(least)\(result.recordsLost) records lost")
        }
    }

    private func line(_ text: String) { sink.line(text.onOneLine) }
}
