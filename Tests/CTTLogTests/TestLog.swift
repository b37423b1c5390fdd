// SPDX-License-Identifier: GPL-2.0-or-later

import CTTLog
import Foundation

let allFeatures: UInt64 = 0b111  // branches, icount, labels
let interruptKind = UInt16(TTLOG_EVENT_INTERRUPT.rawValue)

/// A log that a test writes through the C interface.
final class TestLog: @unchecked Sendable {
    let path: String
    let writer: OpaquePointer

    /// Creates a log in a new directory, or at a path. The default options: one vCPU, all features, small cells, no thread.
    init(path: String? = nil, _ change: (inout ttlog_options) -> Void = { _ in }) throws {
        self.path = try path ?? temporaryDirectory() + "/ttd.log"
        var options = ttlog_options()
        options.features = allFeatures
        options.inline_sealing = 1
        options.branch_cell_shift = 4
        options.event_cell_shift = 6
        options.recorder = UInt16(TTLOG_RECORDER_SYNTHETIC.rawValue)
        change(&options)
        var error = ttlog_error()
        guard let writer = ttlog_writer_create(self.path, &options, &error) else { throw WriterProblem(error) }
        self.writer = writer
    }

    init(appendingTo path: String) throws {
        self.path = path
        var error = ttlog_error()
        guard let writer = ttlog_writer_append(path, &error) else { throw WriterProblem(error) }
        self.writer = writer
    }

    var openPath: String { path + ".open" }

    func lane(_ vcpu: UInt16 = 0) -> UnsafeMutablePointer<ttlog_lane> { ttlog_writer_lane(writer, vcpu) }

    func branch(_ record: BranchRecord, vcpu: UInt16 = 0) {
        ttlog_branch(lane(vcpu), record.from, record.to, record.icount, record.label)
    }

    @discardableResult
    func event(_ record: EventRecord, stream: ttlog_stream = TTLOG_STREAM_EVENT, vcpu: UInt16 = 0) -> Int32 {
        record.withEvent { ttlog_write_event(writer, UInt8(stream.rawValue), vcpu, &$0) }
    }

    @discardableResult
    func meta(_ record: EventRecord) -> Int32 { record.withEvent { ttlog_write_meta(writer, &$0) } }

    /// Closes the log; returns the errno of an earlier error, or 0.
    @discardableResult
    func close() throws -> Int32 {
        var error = ttlog_error()
        guard ttlog_writer_close(writer, &error) == 0 else { throw WriterProblem(error) }
        return error.code
    }

    func abandon() { ttlog_writer_abandon(writer) }

    /// Closes the log and reads it.
    func finish() throws -> LogImage {
        try close()
        return try LogImage(path: path)
    }
}

extension EventRecord {
    func withEvent(_ body: (inout ttlog_event) -> Int32) -> Int32 {
        payload.withUnsafeBytes { payload in
            privatePayload.withUnsafeBytes { hidden in
                var event = ttlog_event()
                (event.kind, event.validity, event.info) = (kind, validity, info)
                (event.clock, event.icount, event.ip, event.aux, event.tsc) = (clock, icount, ip, aux, tsc)
                event.payload_length = UInt16(payload.count)
                event.private_length = UInt16(hidden.count)
                event.payload = payload.baseAddress
                event.private_payload = hidden.baseAddress
                return body(&event)
            }
        }
    }
}

struct WriterProblem: Error {
    var code: Int32
    var message: String

    init(_ error: ttlog_error) {
        code = error.code
        message = withUnsafeBytes(of: error.message) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
    }
}

/// A new empty directory. It is removed when the tests end.
func temporaryDirectory() throws -> String { try makeDirectory(in: testRoot) }

/// The directory of all files that this test run writes.
private let testRoot: String = {
    atexit { try? FileManager.default.removeItem(atPath: testRoot) }
    // If this fails, every test fails, because the directory does not exist.
    return (try? makeDirectory(in: "/tmp")) ?? "/tmp/cttlog-tests-none"
}()

private func makeDirectory(in parent: String) throws -> String {
    var template = Array("\(parent)/cttlog-tests-XXXXXX".utf8CString)
    guard mkdtemp(&template) != nil else { throw FileProblem(path: parent, code: errno) }
    return String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
}

/// A fixed sequence of numbers that look random.
struct Sequence64: RandomNumberGenerator {
    var state: UInt64
    mutating func next() -> UInt64 {
        defer { state &+= 1 }
        return splitmix64(state)
    }
}

func splitmix64(_ number: UInt64) -> UInt64 {
    var value = number &+ 0x9e37_79b9_7f4a_7c15
    value = (value ^ value >> 30) &* 0xbf58_476d_1ce4_e5b9
    value = (value ^ value >> 27) &* 0x94d0_49bb_1331_11eb
    return value ^ value >> 31
}

/// Branches like those of a program: near steps, some far ones.
func someBranches(_ count: Int, seed: UInt64 = 1) -> [BranchRecord] {
    var numbers = Sequence64(state: seed &* 1_000_003)
    var place: UInt64 = 0xffff_ffff_8100_0000
    var icount: UInt64 = 0
    return (0..<count).map { _ in
        let number = numbers.next()
        let from = place &+ number & 0x3f
        place = number >> 60 == 0 ? numbers.next() : from &- 0x80 &+ (number >> 8 & 0xff)
        icount += number >> 20 & 0xf
        return BranchRecord(from: from, to: place, icount: icount, label: labelOfNibble[Int(number >> 32 % 15)])
    }
}
