// SPDX-License-Identifier: GPL-2.0-or-later

import CTTLog

/// Checks the bodies of chunks. One for each thread of ``Verifier``.
final class BodyVerifier: @unchecked Sendable {
    /// What is wrong, by the chunks' places in the log.
    var damage: [Int: [Damage]] = [:]
    /// Records decoded, by stream.
    private(set) var recordsRead: [LogStream: UInt64] = [:]
    /// Records of kinds that this reader does not know, by kind.
    private(set) var unknownKinds: [EventKind: UInt64] = [:]

    private let log: LogFile
    private var branches = BranchBatch()
    private var events = EventBatch()
    /// The place of the current chunk.
    private var place = 0

    init(_ log: LogFile) {
        self.log = log
    }

    private func report(_ chunk: Chunk, _ what: DamageKind) {
        damage[place, default: []].append(log.damage(of: chunk, what))
    }

    /// Checks a chunk's body.
    ///
    /// - Parameter index: the chunk's place in the log.
    func check(_ chunk: Chunk, _ index: Int) {
        place = index
        do throws(LogError) {
            let digests: Digests
            if chunk.stream == .branch {
                let body = try log.decodeBody(chunk, into: &branches)
                digests = try log.digests(of: body, chunk)
                checkBranches(chunk)
            } else {
                let body = try log.decodeBody(chunk, into: &events)
                digests = try log.digests(of: body, chunk)
                checkEvents(chunk)
            }
            recordsRead[chunk.stream, default: 0] &+= UInt64(chunk.count)
            for digestClass in DigestClass.allCases where digests[digestClass] != chunk.digests[digestClass] {
                report(
                    chunk, .digest(digestClass, expected: chunk.digests[digestClass], found: digests[digestClass]))
            }
            if !chunk.isOpenSlot { try checkPadding(chunk) }
        } catch {
            damage[place, default: []].append(error.damage(of: chunk))
        }
    }

    private func checkBranches(_ chunk: Chunk) {
        let count = branches.count
        guard count > 0 else { return }
        let last = chunk.clockFirst &+ UInt64(count - 1)
        if last != chunk.clockLast { report(chunk, .clock(expected: last, found: chunk.clockLast)) }
        checkIcounts(chunk, first: branches.icount[0], last: branches.icount[count - 1])
    }

    private func checkEvents(_ chunk: Chunk) {
        let count = events.count
        guard count > 0 else { return }
        var clock = chunk.clockFirst
        var firstIcount: UInt64?
        var lastIcount: UInt64 = 0
        for index in 0..<count {
            let next = events.clock(index)
            if next < clock, chunk.stream.isCompared {
                report(chunk, .clock(expected: clock, found: next))
                break
            }
            clock = next
            if events.validity(index).contains(.icount) {
                lastIcount = events.icount(index)
                firstIcount = firstIcount ?? lastIcount
            }
            let kind = events.kind(index)
            if !kind.isKnown { unknownKinds[kind, default: 0] += 1 }
        }
        if events.clock(0) != chunk.clockFirst {
            report(chunk, .clock(expected: events.clock(0), found: chunk.clockFirst))
        }
        if events.clock(count - 1) != chunk.clockLast {
            report(chunk, .clock(expected: events.clock(count - 1), found: chunk.clockLast))
        }
        checkIcounts(chunk, first: firstIcount ?? 0, last: lastIcount)
    }

    private func checkIcounts(_ chunk: Chunk, first: UInt64, last: UInt64) {
        for (name, expected, found) in [
            ("icount_first", first, chunk.icountFirst), ("icount_last", last, chunk.icountLast),
        ]
        where expected != found {
            report(chunk, .field(structure: .chunkHeader, name: name, found: found))
        }
    }

    /// The bytes between a body and the next chunk are zero.
    private func checkPadding(_ chunk: Chunk) throws(LogError) {
        let used = UInt64(ChunkHeaderDecoder.headerSize + chunk.storedSize)
        var buffer = ReusedBuffer()
        let bytes = buffer.room(for: Int(chunk.extent - used))
        let present = try log.file.read(bytes, at: chunk.offset &+ used)
        if let place = bytes.prefix(present).firstIndex(where: { $0 != 0 }) {
            report(chunk, .field(structure: .body, name: "padding", found: UInt64(bytes[place])))
        }
    }
}
