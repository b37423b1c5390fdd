// SPDX-License-Identifier: GPL-2.0-or-later

import CTTLog

extension ReplayJoin {
    /// The causes as events of vCPU 0, by clock, with ``Event/isJoined`` set.
    ///
    /// Interrupts and software interrupts carry their handler's address; a reset is a machine-stop without a cause. A
    /// replay.bin has no vectors, faulting addresses or error codes. The position is that of the instruction that was
    /// left.
    public var events: [Event] {
        causes.map { cause in
            var event = Event(
                stream: .event, kind: cause.kind.eventKind, validity: [.ip, .icount], info: TTLOG_VECTOR_UNKNOWN,
                clock: cause.clock, icount: cause.icount &- 1, ip: cause.from)
            event.isJoined = true
            switch cause.kind {
            case .interrupt, .softwareInterrupt:
                event.validity.insert(.value)
                event.payload = Event.payload(words: [cause.to])
            case .exception, .fault: break
            case .reset: event.info = TTLOG_STOP_NONE.rawValue
            }
            return event
        }
    }
}

extension JoinedCauseKind {
    /// The kind of event that the cause is.
    public var eventKind: EventKind {
        switch self {
        case .interrupt: .interrupt
        case .exception, .fault: .exception
        case .softwareInterrupt: .softwareInterrupt
        case .reset: .machineStop
        }
    }
}

extension LogFile {
    /// The causes of this log's discontinuities as events, from the replay.bin of its run; empty if the log has causes
    /// of its own (``FileHeader/Features/causes``).
    ///
    /// - Parameter replay: the replay.bin that the run wrote or followed.
    /// - Throws: ``LogError``: the log has no instruction counts, or a file cannot be read.
    public func joinedEvents(with replay: QEMUReplayLog) throws(LogError) -> [Event] {
        if header.features.contains(.causes) { return [] }
        return try ReplayJoin.join(self, with: replay).events
    }
}
