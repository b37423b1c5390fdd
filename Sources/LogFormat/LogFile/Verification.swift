// SPDX-License-Identifier: GPL-2.0-or-later

import Formatting

/// What ``LogFile/verify(progress:)`` found.
public struct Verification: Sendable {
    /// Everything that is wrong, in the order of finding. Elided bodies are not among it.
    public internal(set) var damage: [Damage] = []
    /// Chunks examined, directories not counted.
    public internal(set) var chunks = 0
    /// Chunks whose bodies were left out by the recorder: their digests cannot be checked.
    public internal(set) var elidedChunks = 0
    /// Records decoded, by stream.
    public internal(set) var recordsRead: [LogStream: UInt64] = [:]
    /// Records known to be lost: those that the writer counted, and those in damaged or missing chunks.
    public internal(set) var recordsLost: UInt64 = 0
    /// Whether more records than ``recordsLost`` may be lost: the number of records in some damaged part is not known.
    public internal(set) var mayHaveLostMore = false
    /// Records of kinds that this reader does not know, by kind.
    public internal(set) var unknownKinds: [EventKind: UInt64] = [:]

    /// Nothing is wrong and nothing was lost.
    public var isIntact: Bool { damage.isEmpty && recordsLost == 0 }
}

extension LogFile {
    /// Checks everything that can be checked: the checksum of every header; the directories against the headers in the
    /// file; body hashes; class digests, recomputed; chains; ordinals and clocks from chunk to chunk and inside each;
    /// padding. `progress` receives the fraction done, from 0 to 1, after each chunk.
    public func verify(progress: (Double) -> Void = { _ in }) -> Verification {
        var verifier = Verifier(self)
        verifier.checkHeaders()
        verifier.checkChunks(progress: progress)
        return verifier.finish()
    }
}

/// The work of ``LogFile/verify(progress:)``.
struct Verifier: ~Copyable {
    private let log: LogFile
    private var result = Verification()

    init(_ log: LogFile) {
        self.log = log
        result.damage = log.structuralDamage
    }

    private mutating func report(_ chunk: Chunk, _ what: DamageKind) {
        result.damage.append(log.damage(of: chunk, what))
    }

    /// Sums up the losses.
    consuming func finish() -> Verification {
        result.recordsLost = result.damage.reduce(log.lostRecords) { $0 &+ ($1.lostRecords ?? 0) }
        result.mayHaveLostMore = log.hasUnknownStretches
        return result
    }
}

extension LogFile {
    /// Damage of a chunk that costs no record.
    func damage(of chunk: Chunk, _ what: DamageKind) -> Damage {
        Damage(file: path, offset: chunk.offset, length: chunk.isOpenSlot ? 0 : chunk.extent, what: what)
    }
}

// MARK: - Headers in the file against those in the directories
extension Verifier {
    mutating func checkHeaders() {
        var walk = ChunkWalk(log.file, size: log.fileSize, decoder: ChunkHeaderDecoder(nonce: log.header.nonce))
        do throws(LogError) {
            try walk.run()
        } catch {
            result.damage.append(
                Damage(file: log.path, offset: error.offset ?? 0, length: 0, what: error.damageKind))
        }
        let known = Set(result.damage)
        result.damage += walk.damage.filter { !known.contains($0) }
        let walked = Dictionary(walk.chunks.map { ($0.offset, $0) }) { first, _ in first }
        for listed in log.chunks where !listed.isOpenSlot {
            // A header that the search did not find is part of the damage that the search reports.
            guard let found = walked[listed.offset], found != listed else { continue }
            compare(found, with: listed)
        }
    }

    private mutating func compare(_ found: Chunk, with listed: Chunk) {
        let fields: [(String, UInt64, UInt64)] = [
            ("stream", UInt64(listed.stream.rawValue), UInt64(found.stream.rawValue)),
            ("vcpu", UInt64(listed.vcpu), UInt64(found.vcpu)),
            ("epoch", UInt64(listed.epoch), UInt64(found.epoch)),
            ("part", UInt64(listed.part), UInt64(found.part)), ("cell", listed.cell, found.cell),
            ("count", UInt64(listed.count), UInt64(found.count)),
            ("raw_size", UInt64(listed.rawSize), UInt64(found.rawSize)),
            ("stored_size", UInt64(listed.storedSize), UInt64(found.storedSize)),
            ("body_hash", listed.bodyHash, found.bodyHash), ("chain", listed.chain, found.chain),
            ("flags", UInt64(listed.flags.rawValue), UInt64(found.flags.rawValue)),
            ("codec", UInt64(listed.codec), UInt64(found.codec)),
            ("private_size", UInt64(listed.privateSize), UInt64(found.privateSize)),
            ("first_ordinal", listed.firstOrdinal, found.firstOrdinal),
            ("clock_first", listed.clockFirst, found.clockFirst), ("clock_last", listed.clockLast, found.clockLast),
            ("icount_first", listed.icountFirst, found.icountFirst),
            ("icount_last", listed.icountLast, found.icountLast), ("ticket", listed.ticket, found.ticket),
            ("path digest", listed.digests.path, found.digests.path),
            ("label digest", listed.digests.label, found.digests.label),
            ("position digest", listed.digests.position, found.digests.position),
            ("payload digest", listed.digests.payload, found.digests.payload),
        ]
        for (name, expected, value) in fields where expected != value {
            report(found, .directory(name: name, expected: expected, found: value))
        }
    }
}

// MARK: - Chunks
extension Verifier {
    /// Chunks that a thread takes at once.
    private static let share = 16

    /// Checks all chunks, their bodies on all processors. Damage is listed in the order of the chunks.
    mutating func checkChunks(progress: (Double) -> Void) {
        let (log, chunks) = (log, log.chunks)
        let threads = min(Parallel.threadCount, max(1, chunks.count / Verifier.share))
        let bodies = (0..<threads).map { _ in BodyVerifier(log) }
        let total = chunks.reduce(UInt64(1)) { $0 &+ UInt64($1.storedSize) }
        var done: UInt64 = 0
        var previous: Chunk?
        for start in stride(from: 0, to: chunks.count, by: threads * Verifier.share) {
            Parallel.run(threads) { thread in
                let first = min(start + thread * Verifier.share, chunks.count)
                for index in first..<min(first + Verifier.share, chunks.count) where !chunks[index].isElided {
                    bodies[thread].check(chunks[index], index)
                }
            }
            for index in start..<min(start + threads * Verifier.share, chunks.count) {
                let chunk = chunks[index]
                check(chunk, after: previous)
                for body in bodies { result.damage += body.damage.removeValue(forKey: index) ?? [] }
                previous = chunk
                done &+= UInt64(chunk.storedSize)
            }
            progress(Double(done) / Double(total))
        }
        for body in bodies {
            result.recordsRead.merge(body.recordsRead) { $0 &+ $1 }
            result.unknownKinds.merge(body.unknownKinds) { $0 &+ $1 }
        }
        progress(1)
    }

    /// Checks a chunk's header beside those of its neighbour.
    private mutating func check(_ chunk: Chunk, after previous: Chunk?) {
        result.chunks += 1
        if chunk.isElided { result.elidedChunks += 1 }
        let follows =
            previous?.vcpu == chunk.vcpu && previous?.stream == chunk.stream && previous?.epoch == chunk.epoch
        checkChain(chunk, after: follows ? previous : nil)
        checkGrid(chunk)
    }

    private mutating func checkChain(_ chunk: Chunk, after previous: Chunk?) {
        // After missing chunks there is no expected ordinal; the gap itself has been reported.
        if let previous, chunk.stream.isCompared, previous.endOrdinal != chunk.firstOrdinal { return }
        let expected = chunk.expectedChain(after: previous?.chain ?? 0)
        if previous == nil, chunk.part != 0 || (chunk.epoch == 0 && chunk.firstOrdinal != 0) { return }
        if chunk.chain != expected { report(chunk, .chain(expected: expected, found: chunk.chain)) }
    }

    /// Checks that the clocks in a chunk are in its cell.
    private mutating func checkGrid(_ chunk: Chunk) {
        guard chunk.stream.isCompared else { return }
        let shift = UInt64(chunk.stream == .branch ? log.header.branchCellShift : log.header.eventCellShift)
        for clock in [chunk.clockFirst, chunk.clockLast] where clock >> shift != chunk.cell {
            return report(chunk, .clock(expected: chunk.cell << shift, found: clock))
        }
    }
}
