// SPDX-License-Identifier: GPL-2.0-or-later

import FoundationEssentials
@preconcurrency import Glibc
import RunDirectory

/// Why QEMU's monitor gave no answer.
public enum QMPError: Error, Sendable, Equatable, CustomStringConvertible {
    /// The other end is gone: QEMU has ended.
    case closed
    /// No answer within this time.
    case timeout(command: String, seconds: Double)
    /// QEMU refused the command.
    case refused(command: String, reason: String)
    /// A line that is no JSON object, or longer than any that QEMU sends.
    case malformed(String)
    /// The socket failed with this errno.
    case system(code: Int32)

    /// One sentence for people.
    public var description: String {
        switch self {
        case .closed: "QEMU closed its monitor"
        case .timeout(let command, let seconds): "QEMU's monitor did not answer \(command) within \(seconds) s"
        case .refused(let command, let reason): "QEMU's monitor refused \(command): \(reason)"
        case .malformed(let line): "QEMU's monitor sent no JSON object: \(line.prefix(80))"
        case .system(let code): "QEMU's monitor: \(String(cString: strerror(code)))"
        }
    }
}

/// An event that QEMU sent by itself: `SHUTDOWN`, `STOP`, `GUEST_PANICKED`, …
public struct QMPEvent: Sendable, Equatable {
    /// The event's name.
    public var name: String
    /// The event's data; null if there is none.
    public var data: JSONValue
}

/// A client of QEMU's machine protocol (QEMU, docs/interop/qmp-spec) over one connected stream socket.
///
///     let (client, qemuEnd) = try QMPClient.pair()
///     // ... start QEMU with qemuEnd ...
///     try client.negotiate(timeout: 10)
///     let icount = try client.execute("query-replay")["icount"]?.integer
///
/// QEMU inherits one end of a socket pair, so there is no path to choose and no file to remove. Answers are matched by
/// id, so that a late answer does not count as the answer to the next command. One thread may use it.
public final class QMPClient {
    private let descriptor: Int32
    private var received: [UInt8] = []
    private var lastID: Int64 = 0
    /// Events since the last ``takeEvents()``.
    private var events: [QMPEvent] = []
    private var greeting: JSONValue?

    private static let longestLine = 16 << 20

    /// Takes over a connected socket.
    public init(descriptor: Int32) { self.descriptor = descriptor }

    deinit { close(descriptor) }

    /// A client and the descriptor of the other end (close-on-exec; the caller's to close).
    public static func pair() throws(RunError) -> (QMPClient, Int32) {
        var ends: [Int32] = [-1, -1]
        let type = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
        guard socketpair(AF_UNIX, type, 0, &ends) == 0 else {
            throw .system(doing: "create", path: "a socket pair for QEMU's monitor", code: errno)
        }
        return (QMPClient(descriptor: ends[0]), ends[1])
    }

    /// Waits for the greeting and enters command mode; may be called again after a timeout. Returns the greeting.
    @discardableResult
    public func negotiate(timeout: Double) throws(QMPError) -> JSONValue {
        let deadline = Clock.now() + timeout
        while greeting == nil {
            greeting = try nextMessage(until: deadline, command: "the greeting", seconds: timeout)["QMP"]
        }
        do throws(QMPError) {
            try execute("qmp_capabilities", timeout: timeout)
        } catch .refused {
            // An earlier request, whose answer came too late, has entered command mode.
        }
        return greeting ?? .null
    }

    /// Sends a command and waits for its answer; events that arrive meanwhile are kept.
    @discardableResult
    public func execute(
        _ command: String, arguments: [String: JSONValue] = [:], timeout: Double = 5
    ) throws(QMPError) -> JSONValue {
        lastID += 1
        var request: [String: JSONValue] = ["execute": .string(command), "id": .integer(lastID)]
        if !arguments.isEmpty { request["arguments"] = .object(arguments) }
        try send(.object(request))
        let deadline = Clock.now() + timeout
        while true {
            let answer = try nextMessage(until: deadline, command: command, seconds: timeout)
            guard answer["id"] == .integer(lastID) else { continue }
            if let error = answer["error"] {
                throw .refused(command: command, reason: error["desc"]?.string ?? "no reason given")
            }
            return answer["return"] ?? .null
        }
    }

    /// Reads the messages that have arrived, without waiting, and returns the events so far. Late answers are dropped,
    /// a late greeting is kept.
    public func takeEvents() -> [QMPEvent] {
        while let line = try? nextLine(until: 0) {
            if let message = try? decode(line), greeting == nil { greeting = message["QMP"] }
        }
        defer { events.removeAll() }
        return events
    }

    /// Waits until QEMU sends an event, or until the time in seconds is up. Returns the events since the last
    /// ``takeEvents()``.
    public func waitForEvents(timeout: Double) throws(QMPError) -> [QMPEvent] {
        let deadline = Clock.now() + timeout
        while events.isEmpty, let line = try nextLine(until: deadline) { _ = try decode(line) }
        return takeEvents()
    }

    // MARK: The wire

    private func send(_ value: JSONValue) throws(QMPError) {
        guard var bytes = try? Array(JSONEncoder().encode(value)) else { throw .malformed("the request") }
        bytes.append(UInt8(ascii: "\n"))
        var done = 0
        while done < bytes.count {
            let count = bytes.withUnsafeBytes {
                Glibc.send(descriptor, $0.baseAddress.map { $0 + done }, $0.count - done, Int32(MSG_NOSIGNAL))
            }
            if count < 0 && errno == EINTR { continue }
            guard count > 0 else { throw errno == EPIPE || errno == ECONNRESET ? .closed : .system(code: errno) }
            done += count
        }
    }

    /// The next message that is no event.
    private func nextMessage(until deadline: Double, command: String, seconds: Double) throws(QMPError) -> JSONValue {
        while true {
            guard let line = try nextLine(until: deadline) else { throw .timeout(command: command, seconds: seconds) }
            if let message = try decode(line) { return message }
        }
    }

    /// Decodes a message; nil for an event, which is kept.
    private func decode(_ line: [UInt8]) throws(QMPError) -> JSONValue? {
        guard let message = try? JSONDecoder().decode(JSONValue.self, from: Data(line)), case .object = message else {
            throw .malformed(String(decoding: line, as: UTF8.self))
        }
        guard let name = message["event"]?.string else { return message }
        events.append(QMPEvent(name: name, data: message["data"] ?? .null))
        return nil
    }

    /// The next line; nil when none came before the deadline (monotonic seconds; 0: do not wait).
    private func nextLine(until deadline: Double) throws(QMPError) -> [UInt8]? {
        while true {
            while let newline = received.firstIndex(of: UInt8(ascii: "\n")) {
                let line = received[..<newline].filter { $0 != UInt8(ascii: "\r") }
                received.removeSubrange(...newline)
                if !line.isEmpty { return line }
            }
            guard received.count < QMPClient.longestLine else {
                throw .malformed(String(decoding: received.prefix(80), as: UTF8.self))
            }
            let left = max(0, deadline - Clock.now())
            var poller = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
            let ready = poll(&poller, 1, Int32(min(left * 1000, 1e6).rounded(.up)))
            if ready == 0 { return nil }
            guard ready > 0 else {
                if errno == EINTR { continue }
                throw .system(code: errno)
            }
            var block = [UInt8](repeating: 0, count: 4096)
            let count = block.withUnsafeMutableBytes { recv(descriptor, $0.baseAddress, $0.count, 0) }
            if count < 0 && errno == EINTR { continue }
            guard count > 0 else { throw count == 0 || errno == ECONNRESET ? .closed : .system(code: errno) }
            received.append(contentsOf: block[..<count])
        }
    }
}
