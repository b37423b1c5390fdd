// SPDX-License-Identifier: GPL-2.0-or-later

import CTTLog

/// Writes a log: slices, imports, tests, and meta records that are appended after a run. The Swift interface of the one
/// writer, `ttlog_writer.c`.
///
///     let writer = try LogWriter(path: "small.log", options: LogWriter.Options())
///     writer.branch(from: 0x1000, to: 0x2000, icount: 5, label: BranchLabel(.jcc, hasStaticTarget: true))
///     try writer.close()
///
/// Calls for one vCPU must come from one thread at a time. A record that cannot be written is counted as lost
/// (``lostRecords``); the log stays readable. After ``close()`` or ``abandon()`` calls have no effect.
public final class LogWriter: @unchecked Sendable {
    /// The log's path.
    public let path: String
    private var handle: OpaquePointer?

    /// Creates a log and its open file; a log at that path is replaced.
    ///
    /// - Throws: ``LogError`` if that log is being written, or if the files cannot be created.
    public init(path: String, options: Options = Options()) throws(LogError) {
        self.path = path
        var failure = ttlog_error()
        handle = options.withRaw { ttlog_writer_create(path, $0, &failure) }
        if handle == nil { throw LogWriter.error(path, failure) }
    }

    /// Writes a log to a file that has no name. The descriptor stays the caller's; `name` is for messages.
    package init(nameless descriptor: Int32, name: String, options: Options = Options()) throws(LogError) {
        path = name
        var failure = ttlog_error()
        handle = options.withRaw { ttlog_writer_create_nameless(descriptor, name, $0, &failure) }
        if handle == nil { throw LogWriter.error(name, failure) }
    }

    /// Opens a finished log to append meta records; other records are dropped. An unclosed log is closed first. Throws
    /// when the log is being written or cannot be read or written.
    public init(appendingTo path: String) throws(LogError) {
        let path = LogFile.resolve(path: path)
        self.path = path
        var failure = ttlog_error()
        handle = ttlog_writer_append(path, &failure)
        if handle == nil { throw LogWriter.error(path, failure) }
    }

    deinit {
        if let handle { _ = ttlog_writer_close(handle, nil) }
    }

    /// Records that could not be written so far.
    public var lostRecords: UInt64 { handle.map { ttlog_writer_lost($0) } ?? 0 }

    /// The errno that ended the writing; 0 when none did.
    public var errorCode: Int32 { handle.map { ttlog_writer_error($0) } ?? 0 }

    /// Ends the log in order: seals everything, writes directory and trailer, removes the open file.
    ///
    /// - Throws: ``LogError`` if records were lost or the log could not be closed; the message names the files that
    ///   remain.
    public func close() throws(LogError) {
        guard let handle else { return }
        self.handle = nil
        var failure = ttlog_error()
        let result = ttlog_writer_close(handle, &failure)
        if result != 0 || failure.code != 0 { throw LogWriter.error(path, failure) }
    }

    /// Leaves the log as a killed recorder would: nothing is sealed, the open file stays.
    public func abandon() {
        guard let handle else { return }
        self.handle = nil
        ttlog_writer_abandon(handle)
    }

    private func lane(_ vcpu: UInt16) -> UnsafeMutablePointer<ttlog_lane>? {
        handle.flatMap { ttlog_writer_lane($0, vcpu) }
    }

    private static func error(_ path: String, _ failure: ttlog_error) -> LogError {
        let message = withUnsafeBytes(of: failure.message) { bytes in
            String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
        }
        return LogError(file: path, kind: .writer(errno: failure.code, message: message))
    }
}

// MARK: - Branches
/// One branch, in the form of which the writer takes many at once (`struct ttlog_raw_branch`).
public struct RawBranch: Hashable, Sendable, BitwiseCopyable {
    /// Address of the instruction that the branch leaves.
    public var from: UInt64
    /// Address of the first instruction after the branch.
    public var to: UInt64
    /// Instruction count shifted left by 8, and the label.
    public var icountLabel: UInt64

    /// Makes a branch; its clock is the vCPU's.
    public init(from: UInt64, to: UInt64, icount: UInt64 = 0, label: BranchLabel) {
        self.from = from
        self.to = to
        icountLabel = icount << 8 | UInt64(label.rawValue)
    }
}

extension LogWriter {
    /// The clock of the vCPU's next branch; 0 for a vCPU that the log does not have.
    public func clock(vcpu: UInt16 = 0) -> UInt64 { lane(vcpu)?.pointee.clock ?? 0 }

    /// Writes the branch at the vCPU's clock and advances the clock. In mode events it only advances the clock. A branch at
    /// clock 2^64 - 1 is lost, and the clock stays: the one after it would be 0.
    public func branch(vcpu: UInt16 = 0, from: UInt64, to: UInt64, icount: UInt64 = 0, label: BranchLabel) {
        guard let lane = lane(vcpu) else { return }
        ttlog_branch(lane, from, to, icount, label.rawValue)
    }

    /// Writes many branches.
    public func branches(vcpu: UInt16 = 0, _ branches: UnsafeBufferPointer<RawBranch>) {
        guard let lane = lane(vcpu), let base = branches.baseAddress else { return }
        let raw = UnsafeRawPointer(base).assumingMemoryBound(to: ttlog_raw_branch.self)
        ttlog_branches(lane, raw, branches.count)
    }

    /// Begins the vCPU's next epoch at this clock, after a real gap in the recording.
    public func beginEpoch(vcpu: UInt16 = 0, clock: UInt64) {
        guard let handle else { return }
        ttlog_begin_epoch(handle, vcpu, clock)
    }
}

// MARK: - Events and meta records
extension LogWriter {
    /// Writes an event, access or meta record, to the stream that it names. Its ticket and ordinal are the writer's.
    ///
    /// Returns false when the record was dropped: its clock steps back, its payload is larger than the format holds
    /// (65,535 bytes compared, 64 private), its vCPU is not in the log, or the writing has failed.
    @discardableResult
    public func event(_ event: Event) -> Bool {
        guard let handle, event.payload.count <= Int(TTLOG_PAYLOAD_MAX),
            event.privatePayload.count <= Int(TTLOG_PRIVATE_MAX)
        else { return false }
        return event.payload.withUnsafeBytes { payload in
            event.privatePayload.withUnsafeBytes { privatePayload in
                var raw = ttlog_event(
                    kind: event.kind.rawValue, validity: event.validity.rawValue,
                    payload_length: UInt16(payload.count), private_length: UInt16(privatePayload.count),
                    info: event.info, clock: event.clock, icount: event.icount, ip: event.ip, aux: event.aux,
                    tsc: event.tsc, payload: payload.baseAddress, private_payload: privatePayload.baseAddress)
                let result =
                    event.stream == .meta
                    ? ttlog_write_meta(handle, &raw)
                    : ttlog_write_event(handle, event.stream.rawValue, event.vcpu, &raw)
                return result == 0
            }
        }
    }

    /// Writes that the vCPU's next record does not follow the last one. The caller begins the next epoch.
    ///
    /// - Parameter ip: the vCPU's last known place; nil if there is none.
    @discardableResult
    func gap(vcpu: UInt16, clock: UInt64, ip: UInt64? = nil) -> Bool {
        event(
            Event(
                stream: .event, vcpu: vcpu, kind: .traceGap, validity: ip == nil ? [] : .ip,
                info: TTLOG_GAP_UNKNOWN.rawValue, clock: clock, ip: ip ?? 0))
    }

    /// Writes a meta record with text: an annotation, a comparable end, a run end. Returns false when it was dropped.
    @discardableResult
    public func meta(
        _ kind: EventKind, info: UInt32 = 0, clock: UInt64 = 0, icount: UInt64? = nil, text: String = ""
    ) -> Bool {
        event(
            Event(
                stream: .meta, vcpu: noVCPU, kind: kind, validity: icount == nil ? [] : .icount, info: info,
                clock: clock, icount: icount ?? 0, payload: Array(text.utf8)))
    }

    /// Writes an attribute; the last value of a key is valid. A NUL in the key ends it. Returns false if it was
    /// dropped.
    @discardableResult
    public func attribute(_ key: String, _ value: String) -> Bool {
        event(
            Event(
                stream: .meta, vcpu: noVCPU, kind: .attribute,
                payload: key.utf8.prefix { $0 != 0 } + [0] + Array(value.utf8)))
    }

    /// Writes the first position of a vCPU that is not compared.
    @discardableResult
    public func comparableEnd(vcpu: UInt16 = 0, clock: UInt64, icount: UInt64?, reason: String) -> Bool {
        meta(.comparableEnd, info: UInt32(vcpu), clock: clock, icount: icount, text: reason)
    }

    /// Writes why the run ended.
    @discardableResult
    public func runEnd(_ reason: RunEnd, text: String = "") -> Bool {
        meta(.runEnd, info: reason.rawValue, text: text)
    }
}
