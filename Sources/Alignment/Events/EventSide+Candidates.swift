// SPDX-License-Identifier: GPL-2.0-or-later

import LogFormat

// The records after a difference, from which ``EventMatch`` finds its class.
extension EventSide {
    /// Takes the next records, at most `limit` and without state digests, up to a chunk that cannot be read.
    ///
    /// - Returns: The records, and why the current chunk cannot be read; `nil` if none stopped the search.
    mutating func takeCandidates(
        _ limit: Int
    ) throws(LogError) -> (candidates: [EventMatch.Candidate], problem: LogError?) {
        var taken: [EventMatch.Candidate] = []
        while taken.count < limit {
            if !isAtState {
                taken.append(EventMatch.Candidate(event: batch[place], clock: clock, icountSkew: recordSkew.icount))
            }
            advance()
            while !findInChunk() {
                skipChunk()
                guard !isAtEnd else { return (taken, nil) }
                do throws(LogError) {
                    try decode()
                } catch {
                    if error.isTrouble { throw error }
                    return (taken, error)
                }
            }
        }
        return (taken, nil)
    }
}

extension EventMatch.Candidate {
    /// The records without discontinuities whose cause is a record too: the cause identifies what happened.
    static func withoutExplained(_ records: [EventMatch.Candidate]) -> [EventMatch.Candidate] {
        records.indices.filter { index in
            guard records[index].event.kind == .discontinuity else { return true }
            let later = records[(index + 1)...].prefix { $0.clock == records[index].clock }
            return !later.contains { $0.event.kind.isCause }
        }.map { records[$0] }
    }
}

extension EventKind {
    /// Whether an event says why control was transferred where a discontinuity says only that it was.
    var isCause: Bool { [.interrupt, .exception, .softwareInterrupt, .syscall].contains(self) }
}
