// SPDX-License-Identifier: GPL-2.0-or-later

import LogFormat

/// Finds events of one vCPU in a log, forwards and backwards from a position.
///
/// The log's directory has the clocks of each chunk: a search begins at the chunk of the position and decodes one chunk after the
/// other until one has the event. What kinds of events and which addresses a decoded chunk has is kept in 48 bytes: a later
/// search decodes only chunks that may have its events.
final class EventSearch {
    /// What is known of a chunk that was decoded once.
    private struct Summary {
        /// Bit N: it has events of the kind N. Kinds from 128 on set all bits.
        var kinds: (low: UInt64, high: UInt64) = (0, 0)
        /// Bits of the addresses and vectors in it, two for each; all bits if one is not known.
        var numbers: (low: UInt64, high: UInt64) = (0, 0)
        /// cr3 at its last context event; nil if it has none.
        var addressSpace: UInt64?
    }

    /// What a search has found.
    struct Found {
        /// The event; nil if there is none.
        var event: Event?
        /// Events on the way whose port or address the log does not have, where one was asked for.
        var unknown = 0
        /// Events that match, the found one included.
        var count: UInt64 = 0
    }

    private let log: LogFile
    private var batch = EventBatch()
    /// The chunk in `batch`.
    private var decoded: Chunk?
    private var summaries: [LogStream: [Summary?]] = [:]

    init(_ log: LogFile) { self.log = log }

    /// The last event whose instruction is before a position.
    ///
    /// - Throws: ``PlaceError`` if the log does not have such events, ``LogError`` if it is damaged there.
    func last(_ pattern: EventPattern, before position: LogPosition) throws -> Found {
        let chunks = try chunks(pattern)
        var found = Found()
        for index in chunks.indices.reversed() where chunks[index].clockFirst <= position.brctr ?? .max {
            for place in try matches(pattern, chunks, index).reversed() where isOrdered(self.position(place), position)
            {
                if take(place, pattern, &found) { return found }
            }
        }
        return found
    }

    /// The first event whose instruction is after the one at a position.
    ///
    /// - Throws: as ``last(_:before:)`` does.
    func first(_ pattern: EventPattern, after position: LogPosition, nth: UInt64 = 1) throws -> Found {
        let chunks = try chunks(pattern)
        var found = Found()
        for index in chunks.indices where chunks[index].clockLast >= position.brctr ?? 0 {
            for place in try matches(pattern, chunks, index) where isOrdered(position, self.position(place)) {
                if take(place, pattern, &found), found.count == nth { return found }
            }
        }
        found.event = nil
        return found
    }

    /// Takes an event that matches. Returns false if the log does not have the number that is asked for.
    private func take(_ place: Int, _ pattern: EventPattern, _ found: inout Found) -> Bool {
        if pattern.number != nil, pattern.subject != .addressSpace, batch.numbers(place) == nil {
            found.unknown += 1
            return false
        }
        found.count += 1
        found.event = batch[place]
        return true
    }

    /// The chunks of the stream; throws if the log cannot have such events.
    private func chunks(_ pattern: EventPattern) throws -> [Chunk] {
        let chunks = Array(log.chunks(pattern.stream, vcpu: 0))
        if let feature = pattern.feature, !log.header.features.contains(feature) {
            throw PlaceError(
                "\(log.path): \(pattern) cannot be found: the log was made without"
                    + " \(feature.names.joined(separator: " and "))")
        }
        if summaries[pattern.stream] == nil {
            summaries[pattern.stream] = Array(repeating: nil, count: chunks.count)
        }
        return chunks
    }

    private func position(_ place: Int) -> LogPosition {
        LogPosition(brctr: batch.clock(place), icount: batch.icount(place))
    }

    private func isOrdered(_ first: LogPosition, _ second: LogPosition) -> Bool {
        if let clock = first.brctr, let other = second.brctr, clock != other { return clock < other }
        return first.icount < second.icount
    }

    // MARK: - Chunks

    /// The events of a chunk that match, or whose number is not known, ascending. The chunk is in `batch` if there are any.
    private func matches(_ pattern: EventPattern, _ chunks: [Chunk], _ index: Int) throws -> [Int] {
        if let summary = summaries[pattern.stream]?[index], !EventSearch.mayHave(pattern, summary) { return [] }
        let isSwitch = pattern.subject == .addressSpace
        var space = isSwitch ? try addressSpace(before: index, chunks) : 0
        try decode(chunks[index], index)
        let kinds = pattern.kinds
        return (0..<batch.count).filter { place in
            guard kinds.contains(batch.kind(place)), batch.validity(place).contains(.icount) else { return false }
            guard isSwitch else { return pattern.number.map { touches($0, place) } ?? true }
            let before = space
            space = batch.addressSpace(place) ?? before
            return space != before && (pattern.number.map { $0 == space } ?? true)
        }
    }

    private func decode(_ chunk: Chunk, _ index: Int) throws {
        guard decoded != chunk else { return }
        guard !chunk.isElided else {
            throw PlaceError(
                "\(log.path): the log keeps no \(chunk.stream.name) records of brctr \(chunk.clockFirst) to"
                    + " \(chunk.clockLast)")
        }
        decoded = nil
        try log.decode(chunk, into: &batch)
        decoded = chunk
        if summaries[chunk.stream]?[index] == nil { summaries[chunk.stream]?[index] = summary() }
    }

    /// The address space before a chunk: that of the last context event before it, 0 after the processor's reset.
    private func addressSpace(before index: Int, _ chunks: [Chunk]) throws -> UInt64 {
        for earlier in chunks[..<index].indices.reversed() {
            if summaries[.event]?[earlier] == nil { try decode(chunks[earlier], earlier) }
            if let space = summaries[.event]?[earlier]?.addressSpace { return space }
        }
        return 0
    }

    // MARK: - Summaries

    private func summary() -> Summary {
        var summary = Summary()
        for place in 0..<batch.count {
            let kind = batch.kind(place)
            let bits = EventSearch.bits(kind)
            summary.kinds.low |= bits.low
            summary.kinds.high |= bits.high
            if kind.known == .context { summary.addressSpace = batch.addressSpace(place) ?? summary.addressSpace }
            guard let (first, size) = batch.numbers(place) else {
                if EventPattern.hasNumber(kind) { summary.numbers = (.max, .max) }
                continue
            }
            for offset in 0..<size {
                let bits = EventSearch.bits(number: first &+ offset)
                summary.numbers.low |= bits.low
                summary.numbers.high |= bits.high
            }
        }
        return summary
    }

    private static func bits(_ kind: EventKind) -> (low: UInt64, high: UInt64) {
        if kind.rawValue >= 128 { return (.max, .max) }
        return kind.rawValue < 64 ? (1 << UInt64(kind.rawValue), 0) : (0, 1 << UInt64(kind.rawValue - 64))
    }

    private static func bits(number: UInt64) -> (low: UInt64, high: UInt64) {
        // Fibonacci hashing: Knuth, The Art of Computer Programming 3, 6.4.
        let hash = number &* 0x9e37_79b9_7f4a_7c15
        return (1 << (hash >> 58), 1 << (hash >> 52 & 63))
    }

    private static func mayHave(_ pattern: EventPattern, _ summary: Summary) -> Bool {
        let hasKind = pattern.kinds.contains { kind in
            let bits = EventSearch.bits(kind)
            return summary.kinds.low & bits.low != 0 || summary.kinds.high & bits.high != 0
        }
        guard hasKind, pattern.subject != .addressSpace, let number = pattern.number else { return hasKind }
        let bits = EventSearch.bits(number: number)
        return summary.numbers.low & bits.low != 0 && summary.numbers.high & bits.high != 0
    }

    private func touches(_ number: UInt64, _ place: Int) -> Bool {
        batch.numbers(place).map { number &- $0.first < $0.size } ?? true
    }
}

extension EventBatch {
    /// The vector, or the addresses that an access touches; nil if the record has none.
    fileprivate func numbers(_ place: Int) -> (first: UInt64, size: UInt64)? {
        switch kind(place).known {
        case .interrupt, .exception, .softwareInterrupt, .upcall, .syscall, .hypercall:
            return (UInt64(info(place)), 1)
        case .portRead, .portWrite, .mmioRead, .mmioWrite, .ramRead, .ramWrite:
            // The size is not known where it is 0.
            return word(place, 0, if: .address).map { ($0, UInt64(max(1, info(place) & 0xff))) }
        case .cpuid:
            return word(place, 0, if: .address).map { ($0 & 0xffff_ffff, 1) }
        case .rdmsr, .wrmsr, .foreignRead, .foreignWrite:
            return word(place, 0, if: .address).map { ($0, 1) }
        default: return nil
        }
    }

    /// The address of the page tables at a context event.
    fileprivate func addressSpace(_ place: Int) -> UInt64? { word(place, 0, if: .value).map(AddressSpaces.name) }

    private func word(_ place: Int, _ offset: Int, if bit: EventValidity) -> UInt64? {
        let payload = payload(place)
        guard validity(place).contains(bit), payload.count >= offset + 8 else { return nil }
        return UInt64(littleEndian: payload.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
    }
}
