// SPDX-License-Identifier: GPL-2.0-or-later

/// Counts the content of a log: sizes and ranges from the chunk headers, kinds from the events' bodies.
///
///     let summary = LogSummary(log)
///     print(summary.vcpus[0].streams[0].records, summary.kinds[.interrupt] ?? 0)
public struct LogSummary: Sendable {
    /// The counted streams of one vCPU.
    public struct VCPU: Sendable {
        /// The vCPU's number.
        public internal(set) var vcpu: UInt16
        /// Only streams that hold something, in the order of their numbers.
        public internal(set) var streams: [Stream] = []
        /// The first clock, and the clock after the last branch or of the last event; nil for a vCPU without records.
        public internal(set) var clocks: Range<UInt64>?
        /// The first and the last instruction count; nil in a log without them.
        public internal(set) var icounts: ClosedRange<UInt64>?
        /// The number of epochs: stretches without a gap.
        public internal(set) var epochs = 0
    }

    /// One stream of one vCPU, or the meta stream.
    public struct Stream: Sendable {
        /// The stream.
        public internal(set) var stream: LogStream
        /// The number of its chunks.
        public internal(set) var chunks = 0
        /// The number of records whose bodies were kept.
        public internal(set) var records: UInt64 = 0
        /// Records whose bodies were left out by the recorder.
        public internal(set) var elidedRecords: UInt64 = 0
        /// Bytes in the file, chunk headers and padding included.
        public internal(set) var storedBytes: UInt64 = 0
        /// Bytes of the bodies before compression.
        public internal(set) var rawBytes: UInt64 = 0

        /// Bytes in the file for each record, elided ones included; nil without any.
        public var bytesPerRecord: Double? {
            let all = records &+ elidedRecords
            return all == 0 ? nil : Double(storedBytes) / Double(all)
        }
    }

    /// One entry a vCPU, by number.
    public internal(set) var vcpus: [VCPU] = []
    /// The meta stream; nil if it is empty.
    public internal(set) var meta: Stream?
    /// The number of records of each kind, in the event, access and meta streams of all vCPUs.
    public internal(set) var kinds: [EventKind: UInt64] = [:]
    /// Chunks whose bodies could not be read for counting.
    public internal(set) var damage: [Damage] = []

    /// Records of a stream, elided ones included, all vCPUs together.
    public func records(_ stream: LogStream) -> UInt64 {
        vcpus.flatMap(\.streams).filter { $0.stream == stream }.reduce(0) { $0 &+ $1.records &+ $1.elidedRecords }
    }

    /// Instructions from the first to the last count, all vCPUs together; 0 in a log without counts.
    public var instructions: UInt64 {
        vcpus.compactMap(\.icounts).reduce(0) { $0 &+ ($1.upperBound - $1.lowerBound) }
    }

    /// Reads the chunk headers, and the bodies of events and accesses to count kinds.
    public init(_ log: LogFile) {
        for vcpu in log.vcpus { vcpus.append(LogSummary.count(log, vcpu: vcpu)) }
        meta = LogSummary.count(log.chunks(.meta, vcpu: noVCPU))
        var batch = EventBatch()
        for chunk in log.chunks where chunk.stream != .branch {
            do throws(LogError) {
                try log.decode(chunk, into: &batch)
                for index in 0..<batch.count { kinds[batch.kind(index), default: 0] += 1 }
            } catch {
                damage.append(error.damage(of: chunk))
            }
        }
    }

    private static func count(_ log: LogFile, vcpu: UInt16) -> VCPU {
        var result = VCPU(vcpu: vcpu)
        var epochs: Set<UInt32> = []
        for stream in [LogStream.branch, .event, .access] {
            let chunks = log.chunks(stream, vcpu: vcpu)
            if let counted = count(chunks) { result.streams.append(counted) }
            for chunk in chunks {
                epochs.insert(chunk.epoch)
                result.extend(by: chunk)
            }
        }
        result.epochs = epochs.count
        return result
    }

    private static func count(_ chunks: ArraySlice<Chunk>) -> Stream? {
        guard let first = chunks.first else { return nil }
        var result = Stream(stream: first.stream)
        for chunk in chunks {
            result.chunks += 1
            if chunk.isElided {
                result.elidedRecords &+= UInt64(chunk.count)
            } else {
                result.records &+= UInt64(chunk.count)
            }
            result.storedBytes &+= chunk.extent
            result.rawBytes &+= UInt64(chunk.rawSize)
        }
        return result
    }
}

extension LogSummary.VCPU {
    /// Widens the ranges by a chunk's.
    fileprivate mutating func extend(by chunk: Chunk) {
        guard chunk.count > 0 else { return }
        let low = min(chunk.clockFirst, chunk.clockLast)
        let last = max(chunk.clockFirst, chunk.clockLast)
        // An event comes before the branch with its clock: it advances no clock itself.
        let end = chunk.stream == .branch && last != .max ? last + 1 : last
        clocks = clocks.map { min($0.lowerBound, low)..<max($0.upperBound, end) } ?? low..<end
        // 0 means no count.
        for icount in [chunk.icountFirst, chunk.icountLast] where icount != 0 {
            icounts = icounts.map { min($0.lowerBound, icount)...max($0.upperBound, icount) } ?? icount...icount
        }
    }
}
