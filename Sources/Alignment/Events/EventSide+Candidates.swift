// SPDX-License-Identifier: GPL-2.0-or-later

import LogFormat

// The records after a difference, from which ``EventMatch`` finds its class.
extension EventSide {
    /// Takes the next records, at most `limit` and without state digests. Damaged chunks are skipped.
    mutating func takeCandidates(_ limit: Int) throws(LogError) -> [EventMatch.Candidate] {
        var taken: [EventMatch.Candidate] = []
        while taken.count < limit {
            if !isAtState {
                taken.append(EventMatch.Candidate(event: batch[place], clock: clock, icountSkew: recordSkew.icount))
            }
            advance()
            if findInChunk() { continue }
            guard try findNextChunk() else { break }
        }
        return taken
    }

    /// Moves to the next record in a later readable chunk.
    private mutating func findNextChunk() throws(LogError) -> Bool {
        skipChunk()
        while !isAtEnd {
            var isReadable = true
            do throws(LogError) {
                try decode()
            } catch {
                if error.isTrouble { throw error }
                isReadable = false
            }
            if isReadable, findInChunk() { return true }
            skipChunk()
        }
        return false
    }
}
