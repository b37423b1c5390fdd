// SPDX-License-Identifier: GPL-2.0-or-later

@preconcurrency import Glibc
import RunDirectory

/// A client of QEMU's gdbstub.
///
/// QEMU 7.2 also sends a stop reply for each stop that its monitor caused. Such replies come before the answer to the next
/// request, which passes over them.
final class DebuggerClient {
    let stream: PacketStream
    /// The stop reply that was received last: it names the thread as the gdbstub does.
    private(set) var lastStop: [UInt8]?
    /// Whether an answer has not come in time.
    private(set) var isSilent = false

    /// Seconds that an answer may take.
    private let answerTime: Double

    /// Connects to a side's gdbstub.
    init(_ side: ReplaySide) throws(RunError) {
        stream = try PacketStream(path: side.debuggerSocket)
        answerTime = min(DebuggerClient.longestAnswer, side.answerTime)
    }

    /// Seconds that an answer of the gdbstub may take, at most.
    private static let longestAnswer: Double = 20

    /// Sends a request that does not let the guest run, and waits for its answer.
    func request(_ payload: [UInt8]) throws(RunError) -> [UInt8] {
        try stream.send(payload)
        while true {
            guard let item = try stream.next(timeout: answerTime) else {
                isSilent = true
                throw .engine(problem: "QEMU's gdbstub does not answer", output: "")
            }
            if case .packet(let answer) = item, !DebuggerClient.isStop(answer) { return answer }
        }
    }

    /// Sends a request of text.
    @discardableResult
    func request(_ text: String) throws(RunError) -> String {
        String(decoding: try request(Array(text.utf8)), as: UTF8.self)
    }

    /// Takes the stop replies that have arrived without a request.
    func drain() throws(RunError) { _ = try request("qC") }

    /// Lets the guest run with `c`, `s` or `vCont`; the stop reply comes later.
    func resume(_ payload: [UInt8]) throws(RunError) {
        try drain()
        try stream.send(payload)
    }

    /// The stop reply of a guest that was resumed; nil if it does not come within this time in seconds.
    func stop(within seconds: Double) throws(RunError) -> [UInt8]? {
        let deadline = Clock.now() + seconds
        repeat {
            guard let item = try stream.next(timeout: max(0, deadline - Clock.now())) else { return nil }
            if case .packet(let answer) = item, DebuggerClient.isStop(answer) {
                lastStop = answer
                return answer
            }
        } while Clock.now() < deadline
        return nil
    }

    /// Executes one instruction, or one delivery.
    func step() throws(RunError) {
        try stream.send("s")
        guard try stop(within: answerTime) != nil else {
            isSilent = true
            throw .engine(problem: "QEMU does not finish a single step", output: "")
        }
    }

    /// Whether a packet says that the guest has stopped or ended.
    static func isStop(_ packet: [UInt8]) -> Bool {
        guard let first = packet.first else { return false }
        return [UInt8(ascii: "T"), UInt8(ascii: "S"), UInt8(ascii: "W"), UInt8(ascii: "X")].contains(first)
    }
}
