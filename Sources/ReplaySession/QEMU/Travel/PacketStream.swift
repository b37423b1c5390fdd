// SPDX-License-Identifier: GPL-2.0-or-later

@preconcurrency import Glibc
import RunDirectory

/// One end of gdb's remote serial protocol over a connected stream socket (gdb manual, appendix E).
///
/// A packet is `$PAYLOAD#` and two hexadecimal digits of the payload's sum. Each packet is acknowledged with `+`; escapes
/// and run-length codes stay as they are. A damaged packet is asked for again, up to a limit.
public final class PacketStream {
    /// What the other end sent.
    public enum Item: Equatable, Sendable {
        /// A packet's payload.
        case packet([UInt8])
        /// The byte 0x03: stop the guest.
        case interrupt
    }

    /// The socket.
    public let descriptor: Int32
    private var received: [UInt8] = []
    private var lastSent: [UInt8] = []
    private static let longestPacket = 1 << 20

    /// Takes over a connected socket.
    public init(descriptor: Int32) { self.descriptor = descriptor }

    /// Connects to a Unix socket.
    public convenience init(path: String) throws(RunError) {
        let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { throw .system(doing: "create a socket for", path: path, code: errno) }
        let code = UnixAddress.with(path) { connect(descriptor, $0, $1) == 0 ? 0 : errno }
        guard code == 0 else {
            close(descriptor)
            throw .system(doing: "connect to", path: path, code: code)
        }
        self.init(descriptor: descriptor)
    }

    deinit { close(descriptor) }

    /// Whether an item may have been received already: a poll of the descriptor does not show it.
    public var hasBuffered: Bool { !received.isEmpty }

    /// The next item; nil if none came within this time in seconds.
    ///
    /// - Throws: ``RunError`` if the other end is gone or sends no packets.
    public func next(timeout: Double) throws(RunError) -> Item? {
        let deadline = Clock.now() + timeout
        while true {
            if let item = try takeItem() { return item }
            let left = max(0, deadline - Clock.now())
            var poller = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
            let ready = poll(&poller, 1, Int32(min(left * 1000, 1e6).rounded(.up)))
            if ready == 0 { return nil }
            if ready < 0 {
                if errno == EINTR { continue }
                throw .system(doing: "wait for", path: "the debugger's connection", code: errno)
            }
            var block = [UInt8](repeating: 0, count: 1 << 16)
            let count = block.withUnsafeMutableBytes { recv(descriptor, $0.baseAddress, $0.count, 0) }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw .engine(problem: "the debugger's connection was closed", output: "") }
            received.append(contentsOf: block[..<count])
        }
    }

    private func takeItem() throws(RunError) -> Item? {
        while let first = received.first {
            switch first {
            case UInt8(ascii: "$"):
                guard let end = received.firstIndex(of: UInt8(ascii: "#")), end + 2 < received.count else {
                    guard received.count < PacketStream.longestPacket else {
                        throw .engine(problem: "the debugger sent a packet that is too long", output: "")
                    }
                    return nil
                }
                let payload = Array(received[1..<end])
                let sum = UInt8(String(decoding: received[(end + 1)...(end + 2)], as: UTF8.self), radix: 16)
                received.removeSubrange(0...(end + 2))
                let isIntact = sum == PacketStream.sum(payload)
                try write([UInt8(ascii: isIntact ? "+" : "-")])
                // gdb asks again where an answer takes longer than its patience: not for an earlier answer.
                if isIntact { lastSent = [] }
                if isIntact { return .packet(payload) }
            case 0x03:
                received.removeFirst()
                return .interrupt
            case UInt8(ascii: "-"):
                received.removeFirst()
                if !lastSent.isEmpty { try write(lastSent) }
            default:
                received.removeFirst()
            }
        }
        return nil
    }

    /// Sends a packet.
    public func send(_ payload: [UInt8]) throws(RunError) {
        let sum = PacketStream.sum(payload)
        let digits = Array("0123456789abcdef".utf8)
        lastSent = [UInt8(ascii: "$")] + payload + [UInt8(ascii: "#"), digits[Int(sum >> 4)], digits[Int(sum & 15)]]
        try write(lastSent)
    }

    /// Sends a packet of text.
    public func send(_ text: String) throws(RunError) { try send(Array(text.utf8)) }

    /// Asks the other end to stop the guest.
    public func sendInterrupt() throws(RunError) { try write([0x03]) }

    private func write(_ bytes: [UInt8]) throws(RunError) {
        var done = 0
        while done < bytes.count {
            let count = bytes.withUnsafeBytes {
                Glibc.send(descriptor, $0.baseAddress.map { $0 + done }, $0.count - done, Int32(MSG_NOSIGNAL))
            }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw .engine(problem: "the debugger's connection was closed", output: "") }
            done += count
        }
    }

    private static func sum(_ payload: [UInt8]) -> UInt8 { payload.reduce(0, &+) }
}

/// Addresses of Unix sockets.
enum UnixAddress {
    /// Calls `body` with the address of a path; ENAMETOOLONG for one that does not fit.
    static func with(_ path: String, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Int32) -> Int32 {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let bytes = Array(path.utf8)
        guard bytes.count < MemoryLayout.size(ofValue: address.sun_path) else { return ENAMETOOLONG }
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes) }
        return withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                body($0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
    }
}
