// SPDX-License-Identifier: GPL-2.0-or-later

import CTTLog

/// A replay.bin as a log of events: interrupts and exceptions without vectors, the clocks that QEMU read, its input,
/// its checkpoints.
///
/// Positions count executed instructions, as QEMU does. An instruction that began and was undone by a fault is not
/// counted, so the positions differ from those of a log of the same run; ``ReplayJoin`` relates both.
struct QEMUReplayImporter: Importer {
    let format = InputFormat.qemuReplay
    private let replay: QEMUReplayLog

    init(path: String) throws(LogError) {
        replay = try QEMUReplayLog(path: path)
    }

    var path: String { replay.path }

    var options: LogWriter.Options {
        var options = LogWriter.Options()
        options.machine = .unknown
        options.mode = .events
        options.clock = .instructions
        options.features = [.icount, .causes, .engineInput]
        options.runKind = .recording
        options.recorderName = "imported from replay.bin, version 0x\(hexadecimal(UInt64(replay.version)))"
        return options
    }

    func write(to writer: LogWriter, progress: ImportProgress) throws(LogError) -> [Damage] {
        var cursor = replay.events()
        var stop: ReplayEvent?
        var last: UInt64 = 0
        while let entry = cursor.next() {
            last = entry.icount
            if entry.offset & 0xfff < 8 { progress(Double(entry.offset) / Double(max(replay.fileSize, 1))) }
            if entry.kind.isShutdown, entry.kind != .shutdownSnapshotLoad, stop == nil { stop = entry }
            guard let event = try event(of: entry) else { continue }
            writer.event(event)
        }
        let reason = stop.map { "QEMU's \($0.kind.rawValue)" } ?? "the last entry of an unfinished replay.bin"
        let end = stop?.icount ?? last
        writer.comparableEnd(clock: end, icount: end, reason: reason)
        writer.runEnd(replay.version == 0 ? .killed : stop?.kind.runEnd ?? .unknown)
        return cursor.damage.map { [$0.asDamage] } ?? []
    }

    /// The event of an entry; nil for entries that only move the position or end the file.
    private func event(of entry: ReplayEvent) throws(LogError) -> Event? {
        let role = entry.kind.role
        var event = Event(
            stream: .event, kind: .interrupt, validity: .icount, clock: entry.icount, icount: entry.icount)
        switch role {
        case .position, .end: return nil
        case .interrupt:
            event.info = TTLOG_VECTOR_UNKNOWN
        case .exception:
            event.kind = .exception
            event.info = TTLOG_VECTOR_UNKNOWN
        case .clock(let number):
            event.kind = .clockRead
            event.info = number.rawValue
            event.validity.insert(.value)
            event.payload = Event.payload(words: [entry.value])
        case .checkpoint(let number):
            event.kind = .checkpoint
            event.info = number.rawValue
        case .stop(let number):
            event.kind = .machineStop
            event.info = number.rawValue
        case .input(let number):
            event.kind = .engineInput
            event.info = number.rawValue
            event.payload = try replay.payload(of: entry, limit: Int(TTLOG_PAYLOAD_MAX))
        }
        return event
    }
}

extension QEMUReplayLog {
    /// The first bytes of an entry's payload, as they are in the file.
    func payload(of entry: ReplayEvent, limit: Int) throws(LogError) -> [UInt8] {
        let count = min(entry.end &- (entry.offset &+ 1), UInt64(limit))
        guard count > 0, count <= UInt64(limit) else { return [] }
        var bytes = [UInt8](repeating: 0, count: Int(count))
        var failure: LogError?
        var present = 0
        bytes.withUnsafeMutableBytes { buffer in
            do throws(LogError) { present = try file.read(buffer, at: entry.offset &+ 1) } catch { failure = error }
        }
        if let failure { throw failure }
        return Array(bytes.prefix(present))
    }
}

extension ReplayDamage {
    /// The damage as that of a log.
    var asDamage: Damage {
        let kind: DamageKind =
            switch what {
            case .truncated(_, let expected, let present):
                .truncated(structure: .record, expected: expected, present: present)
            case .unknownCode(let code): .unknownContent(name: "entry code", found: UInt64(code))
            case .unknownInputType(let type): .unknownContent(name: "type of an input entry", found: UInt64(type))
            case .noEnd: .missing(structure: .endEntry)
            case .trailing: .unreadable
            case .input(let code): .input(errno: code)
            }
        let length: UInt64 = if case .trailing(let bytes) = what { bytes } else { 0 }
        return Damage(file: file, offset: offset, length: length, what: kind)
    }
}
