// SPDX-License-Identifier: GPL-2.0-or-later

import CTTLog

/// The records of the meta stream, decoded.
struct MetaRecords {
    var events: [Event] = []
    /// The damage that was skipped.
    var damage: [Damage] = []
}

// MARK: - Attributes, comparable end, run end
extension LogFile {
    /// Meta records that are decoded at most: a log of ours has dozens.
    private static let metaRecordLimit = 1 << 18
    /// Raw bytes of meta bodies that are decoded at most.
    private static let metaByteLimit = 64 << 20

    /// Every readable record of the meta stream, in the order of writing. Decoded once.
    public var metaEvents: [Event] { metaRecords.events }

    /// Meta chunks that could not be read.
    public var metaDamage: [Damage] { metaRecords.damage }

    /// The attributes of the run: the last value of each key.
    public var attributes: [String: String] {
        var result: [String: String] = [:]
        for event in metaEvents {
            if let (key, value) = event.attribute { result[key] = value }
        }
        return result
    }

    /// The first position of a vCPU that is not compared, because the engine promises nothing after it; nil if no
    /// record states it. The last such record is valid. `icount` is nil if the record has none.
    public func comparableEnd(vcpu: UInt16) -> (clock: UInt64, icount: UInt64?, reason: String)? {
        guard let event = metaEvents.last(where: { $0.kind == .comparableEnd && $0.info == UInt32(vcpu) }) else {
            return nil
        }
        return (event.clock, event.validity.contains(.icount) ? event.icount : nil, event.text)
    }

    /// Why the run ended; nil if no record states it. The last such record is valid.
    public var runEnd: (reason: RunEnd, text: String)? {
        metaEvents.last { $0.kind == .runEnd }.map { (RunEnd(rawValue: $0.info), $0.text) }
    }

    private var metaRecords: MetaRecords {
        metaCache.withLock { cache in
            if let cache { return cache }
            let records = readMeta()
            cache = records
            return records
        }
    }

    private func readMeta() -> MetaRecords {
        var records = MetaRecords()
        var batch = EventBatch()
        var bytesLeft = LogFile.metaByteLimit
        var recordsLeft = LogFile.metaRecordLimit
        for chunk in chunks(.meta, vcpu: noVCPU) {
            bytesLeft -= chunk.rawSize
            recordsLeft -= chunk.count
            guard bytesLeft >= 0, recordsLeft >= 0 else {
                let total = DamageKind.field(
                    structure: .body, name: "size of all meta chunks", found: UInt64(chunk.rawSize))
                records.damage.append(
                    LogError(file: path, offset: chunk.offset, kind: .damaged(total)).damage(of: chunk))
                break
            }
            do throws(LogError) {
                try decode(chunk, into: &batch)
                for index in 0..<batch.count { records.events.append(batch[index]) }
            } catch {
                records.damage.append(error.damage(of: chunk))
            }
        }
        return records
    }
}
