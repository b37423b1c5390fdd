// SPDX-License-Identifier: GPL-2.0-or-later

@preconcurrency import Glibc
import RunDirectory
import Testing

@testable import ReplaySession

/// The client against a scripted server, whose messages are in the socket before the client asks.
@Suite struct QMPClientTests {
    private static let greeting = #"{"QMP": {"version": {"qemu": {"major": 7}}, "capabilities": ["oob"]}}"#

    /// A client whose server has sent all these lines, and still listens at the descriptor.
    private func client(_ lines: [String]) throws -> (QMPClient, Int32) {
        let (client, far) = try QMPClient.pair()
        say(lines.map { $0 + "\r\n" }.joined(), far)
        return (client, far)
    }

    private func say(_ text: String, _ descriptor: Int32) {
        var text = text
        text.withUTF8 { _ = write(descriptor, $0.baseAddress, $0.count) }
    }

    private func heard(_ descriptor: Int32) -> String {
        var bytes = [UInt8](repeating: 0, count: 4096)
        let count = bytes.withUnsafeMutableBytes {
            recv(descriptor, $0.baseAddress, $0.count, Int32(MSG_DONTWAIT))
        }
        return String(decoding: bytes.prefix(max(0, count)), as: UTF8.self)
    }

    @Test func greetsAndAsks() throws {
        let (client, far) = try client([
            Self.greeting, #"{"return": {}, "id": 1}"#, #"{"return": {"icount": 42, "mode": "record"}, "id": 2}"#,
        ])
        defer { close(far) }
        try client.negotiate(timeout: 1)
        #expect(try client.execute("query-replay", timeout: 1)["icount"]?.integer == 42)
        let requests = heard(far).split(separator: "\n")
        #expect(requests.count == 2)
        #expect(requests.first?.contains("\"qmp_capabilities\"") == true)
        #expect(requests.last?.contains("\"id\":2") == true)
    }

    /// Events are looked for while the greeting has yet to come.
    @Test func aGreetingThatComesBetweenIsKept() throws {
        let (client, far) = try client([])
        defer { close(far) }
        #expect(throws: QMPError.timeout(command: "the greeting", seconds: 0.05)) {
            try client.negotiate(timeout: 0.05)
        }
        say(Self.greeting + "\r\n" + #"{"event": "RESUME"}"# + "\r\n", far)
        #expect(client.takeEvents().map(\.name) == ["RESUME"])
        say(#"{"return": {}, "id": 1}"# + "\r\n", far)
        #expect(try client.negotiate(timeout: 1)["version"] != nil)
    }

    /// On a busy host the greeting may come, and the answer to the first command only after its timeout.
    @Test func anInterruptedGreetingIsTakenUpAgain() throws {
        let (client, far) = try client([Self.greeting])
        defer { close(far) }
        #expect(throws: QMPError.timeout(command: "qmp_capabilities", seconds: 0.05)) {
            try client.negotiate(timeout: 0.05)
        }
        let already = #"{"id": 2, "error": {"class": "CommandNotFound", "desc": "already complete"}}"#
        say("{\"return\": {}, \"id\": 1}\n\(already)\n", far)
        #expect(try client.negotiate(timeout: 1)["version"] != nil)
    }

    @Test func eventsBetweenAreKeptInOrder() throws {
        let (client, far) = try client([
            #"{"event": "STOP", "timestamp": {"seconds": 1, "microseconds": 2}}"#,
            #"{"return": {}, "id": 1}"#, #"{"event": "SHUTDOWN", "data": {"guest": true, "reason": "guest-shutdown"}}"#,
        ])
        defer { close(far) }
        try client.execute("cont", timeout: 1)
        let events = client.takeEvents()
        #expect(events.map(\.name) == ["STOP", "SHUTDOWN"])
        #expect(events.last?.data["reason"]?.string == "guest-shutdown")
        #expect(client.takeEvents().isEmpty)
    }

    /// An answer that comes after its command timed out is not the next command's.
    @Test func aLateAnswerIsNotTakenForTheNext() throws {
        let (client, far) = try client([])
        defer { close(far) }
        #expect(throws: QMPError.timeout(command: "query-status", seconds: 0.05)) {
            try client.execute("query-status", timeout: 0.05)
        }
        say("{\"return\": {\"running\": true}, \"id\": 1}\n{\"return\": {\"icount\": 7}, \"id\": 2}\n", far)
        #expect(try client.execute("query-replay", timeout: 1) == .object(["icount": .integer(7)]))
    }

    @Test func aRefusalCarriesQEMUsReason() throws {
        let (client, far) = try client([#"{"id": 1, "error": {"class": "GenericError", "desc": "not now"}}"#])
        defer { close(far) }
        #expect(throws: QMPError.refused(command: "quit", reason: "not now")) { try client.execute("quit", timeout: 1) }
    }

    @Test func aServerThatGoesAwayIsClosed() throws {
        let (client, far) = try client([Self.greeting])
        close(far)
        #expect(throws: QMPError.closed) { try client.negotiate(timeout: 1) }
    }

    @Test(arguments: ["nonsense", "[1, 2]", "{\"a\": ", "\u{0}\u{1}"])
    func whatIsNoObjectIsMalformed(line: String) throws {
        let (client, far) = try client([line])
        defer { close(far) }
        #expect(throws: QMPError.malformed(line)) { try client.execute("query-status", timeout: 1) }
    }

    @Test func anAnswerInPieces() throws {
        let (client, far) = try client([])
        defer { close(far) }
        say("{\"return\": {\"ico", far)
        #expect(throws: QMPError.self) { try client.execute("query-replay", timeout: 0.02) }
        say("unt\": 5}, \"id\": 2}\n", far)
        #expect(try client.execute("query-replay", timeout: 1)["icount"]?.integer == 5)
    }
}

/// The client against a real QEMU without a guest.
@Suite struct QMPRealQEMUTests {
    @Test func greetsAnswersAndQuits() throws {
        let qemu = try QEMUProgram.find(nil)
        #expect(qemu.number.split(separator: ".").count >= 2)
        let (client, far) = try QMPClient.pair()
        let child = try ChildProcess(
            path: qemu.path,
            arguments: [
                qemu.path, "-machine", "none", "-nodefaults", "-no-user-config", "-display", "none", "-S",
                "-chardev", "socket,id=m,fd=3", "-mon", "chardev=m,mode=control",
            ],
            inheriting: [(far, 3)], output: nil)
        defer { child.endNow() }
        close(far)
        let greeting = try client.negotiate(timeout: 30)
        let version = greeting["version"]?["qemu"]
        let parts = ["major", "minor", "micro"].compactMap { version?[$0]?.integer.map { "\($0)" } }
        #expect(parts.joined(separator: ".") == qemu.number)
        #expect(try client.execute("query-status", timeout: 30)["running"]?.bool == false)
        #expect(throws: QMPError.self) { try client.execute("no-such-command", timeout: 30) }
        try client.execute("quit", timeout: 30)
        for _ in 0..<1000 where child.poll() == nil { usleep(10_000) }
        #expect(child.end == .exited(status: 0))
        #expect(client.takeEvents().map(\.name).contains("SHUTDOWN"))
        #expect(throws: QMPError.closed) { try client.execute("query-status", timeout: 1) }
    }
}
