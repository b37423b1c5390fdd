// SPDX-License-Identifier: GPL-2.0-or-later

@preconcurrency import Glibc
import RunDirectory

/// A gdb server in front of QEMU's gdbstub: it passes packets on, and answers those itself that go back in time.
///
///     let server = try DebuggerServer(session, socket: "/run/user/0/tt/gdb")
///     try server.serve()          // gdb: target extended-remote /run/user/0/tt/gdb
///
/// `bs` and `bc` (reverse step and reverse continue) are a search in the log and one run to a place. `qRcmd` (gdb's `monitor`)
/// with a text that begins with `tt` goes to ``commands``. Requests that write registers or memory are refused: the run would no
/// longer be the recorded one. After a command has moved the guest, the next step or continue reports the new place and does not
/// move it: so gdb learns of it.
public final class DebuggerServer {
    /// An answer of a command.
    public struct Answer: Sendable {
        /// Text for the user.
        public var text: String
        /// Whether the guest is at another place now.
        public var hasMoved: Bool

        /// Makes an answer.
        public init(_ text: String, hasMoved: Bool = false) {
            self.text = text
            self.hasMoved = hasMoved
        }
    }

    /// The socket's path.
    public let socket: String
    let session: TravelSession
    /// Answers `monitor tt …`, without the first word. What it throws is text for the user.
    public var commands: (String) throws -> Answer
    /// Called about ten times a second. What it throws ends the server.
    public var onWait: () throws -> Void = {}

    /// Whether the guest shall stop, and not move until this is false again. Asked as often as ``onWait`` is called.
    public var wantsInterrupt: () -> Bool = { false }

    /// Whether a debugger has connected.
    public private(set) var wasConnected = false
    private let listener: Int32
    var debugger: PacketStream?
    var state = DebuggerState()
    private var request: [UInt8] = []
    /// Whether a command has moved the guest: the next step or continue reports that.
    var hasMoved = false
    /// The addresses of breakpoints at the step back that was the debugger's last move.
    var codeAtStepBack: Set<UInt64>?

    /// Listens on a new Unix socket.
    public init(_ session: TravelSession, socket path: String) throws(RunError) {
        self.session = session
        socket = path
        commands = { _ in Answer("no commands") }
        let descriptor = Glibc.socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { throw .system(doing: "create a socket for", path: path, code: errno) }
        let mask = umask(0o077)
        let code = UnixAddress.with(path) { bind(descriptor, $0, $1) == 0 && listen(descriptor, 1) == 0 ? 0 : errno }
        umask(mask)
        guard code == 0 else {
            close(descriptor)
            throw .system(doing: "listen on", path: path, code: code)
        }
        listener = descriptor
    }

    deinit {
        close(listener)
        unlink(socket)
    }

    /// How a debugger's connection ended.
    public enum End: Sendable {
        /// It detached, or its connection was closed.
        case detached
        /// It killed the guest.
        case killed
    }

    /// Serves one debugger, from its connection to its end.
    @discardableResult
    public func serve() throws -> End {
        while true {
            var poller = pollfd(fd: listener, events: Int16(POLLIN), revents: 0)
            try onWait()
            guard poll(&poller, 1, 100) > 0 else { continue }
            let descriptor = accept(listener, nil, nil)
            guard descriptor >= 0 else { continue }
            _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
            return try serve(PacketStream(descriptor: descriptor))
        }
    }

    /// Serves a debugger that is connected.
    func serve(_ stream: PacketStream) throws -> End {
        (debugger, wasConnected) = (stream, true)
        session.onRestart = { [unowned self] in try restore() }
        session.onWait = { [unowned self] _ in try checkForInterrupt() }
        defer {
            debugger = nil
            session.onRestart = {}
            session.onWait = { _ in }
            session.process = nil
            state = DebuggerState()
        }
        var end = End.detached
        while true {
            try onWait()
            do throws(RunError) {
                guard case .packet(let packet) = try stream.next(timeout: 0.1) else { continue }
                request = packet
            } catch {
                try? removeBreakpoints()
                return end
            }
            if request.first == UInt8(ascii: "k") || request.starts(with: Array("vKill".utf8)) { end = .killed }
            // A packet `k` has no answer.
            if request.first == UInt8(ascii: "k") { continue }
            let answer = try answerOrReason(request)
            do throws(RunError) { try stream.send(answer) } catch {
                try? removeBreakpoints()
                return end
            }
        }
    }

    // MARK: Packets

    /// The answer to a packet. Errors of going to a place are text on gdb's console.
    func answer(_ packet: [UInt8]) throws -> [UInt8] {
        let text = String(decoding: packet, as: UTF8.self)
        switch packet.first {
        case UInt8(ascii: "c"), UInt8(ascii: "C"): return try move { _ in try continueForward() }
        case UInt8(ascii: "s"), UInt8(ascii: "S"): return try move { _ in try stepForward() }
        case UInt8(ascii: "Z"), UInt8(ascii: "z"): return try changeBreakpoint(packet, text)
        case UInt8(ascii: "M"), UInt8(ascii: "X"), UInt8(ascii: "G"), UInt8(ascii: "P"):
            return DebuggerServer.writeRefusal
        case UInt8(ascii: "?"): return try stopReply()
        case UInt8(ascii: "!"), UInt8(ascii: "D"): return Array("OK".utf8)
        default: break
        }
        if text == "bs" { return try move { _ in try stepBack() } }
        if text == "bc" { return try move { try continueBack(codeAtStepBack: $0) } }
        if text.hasPrefix("vCont;") {
            let isStep = text.dropFirst(6).first?.lowercased() == "s"
            return try move { _ in try isStep ? stepForward() : continueForward() }
        }
        if text.hasPrefix("qRcmd,") { return try monitor(text.dropFirst(6)) }
        if text.hasPrefix("vKill") { return Array("OK".utf8) }
        if text.hasPrefix("qSupported") { return try supported(packet) }
        if text.hasPrefix("QStartNoAckMode") { return [] }
        if text.hasPrefix("qXfer:features:read:target.xml:0,") { state.prelude["features"] = packet }
        return try look(packet, text)
    }

    private func supported(_ packet: [UInt8]) throws -> [UInt8] {
        state.prelude["supported"] = packet
        let answer = String(decoding: try session.client.request(packet), as: UTF8.self)
        var list = answer.split(separator: ";").map(String.init).filter { !$0.hasPrefix("QStartNoAckMode") }
        for feature in ["ReverseStep+", "ReverseContinue+"] where !list.contains(feature) { list.append(feature) }
        return Array(list.joined(separator: ";").utf8)
    }

    /// A stop reply that names the thread as QEMU does.
    func stopReply(_ reason: String = "", signal: String = "05") throws -> [UInt8] {
        let thread = try session.client.request("qC").dropFirst(2)
        return Array("T\(signal)\(reason)thread:\(thread);".utf8)
    }
}
