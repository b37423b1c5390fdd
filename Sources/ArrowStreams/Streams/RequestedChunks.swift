// SPDX-License-Identifier: GPL-2.0-or-later

import LogFormat

/// The chunks that a stream's request asks for, one after the other. They are looked for at the first call.
struct RequestedChunks {
    private let log: OpenLog
    private let request: StreamRequest
    private let stream: LogStream
    private var end: EndReport
    private var left: ArraySlice<Chunk>?

    init(_ stream: LogStream, of log: OpenLog, _ request: StreamRequest) {
        self.log = log
        self.request = request
        self.stream = stream
        end = EndReport(log, skipsDamage: request.skipsDamage)
    }

    /// The next chunk that can be decoded; nil at the end.
    ///
    /// Throws at damage, unless the request passes over it; the next call goes on after it.
    mutating func next(_ decode: (Chunk) throws(LogError) -> Void) throws(LogError) -> Chunk? {
        if left == nil { left = request.chunks(stream, of: log.file)[...] }
        while let chunk = left?.popFirst() {
            do throws(LogError) {
                try decode(chunk)
                return chunk
            } catch {
                guard request.skipsDamage else { throw error }
                log.skip(chunk, error)
            }
        }
        return nil
    }

    /// To be called after the last row: reports once that the log is incomplete.
    mutating func checkEnd() throws(LogError) { try end.check() }
}
