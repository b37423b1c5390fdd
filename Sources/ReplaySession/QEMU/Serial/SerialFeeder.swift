// SPDX-License-Identifier: GPL-2.0-or-later

@preconcurrency import Glibc
import RunDirectory

/// Feeds the guest's serial port through a socket that is QEMU's standard input, while the guest's output goes to a file.
///
/// QEMU asks whether the port has room when it reads a byte from the socket, but it delivers the byte later: it records the
/// byte first. A byte that QEMU reads before it has delivered the last one finds the port full, and is lost. So the socket
/// holds one byte at a time, and the next one follows when QEMU has delivered the last one. From then on, QEMU waits for
/// the guest by itself. The pace is the guest's, however slow the host is.
///
/// The monitor's loop calls ``pump(instructions:)``.
final class SerialFeeder {
    /// QEMU's end of the socket. This end stays open here too, to see whether QEMU has read.
    let far: Int32
    private let near: Int32
    private let output: String
    /// Receives the guest's output; for a terminal.
    private let onOutput: ([UInt8]) -> Void

    /// Where bytes come from; -1 for a script.
    private var source: Int32 = -1
    private var ownsSource = false
    private var outputDescriptor: Int32 = -1
    /// The byte that was sent last, until QEMU has delivered it.
    private var inFlight: Passage?
    /// Bytes that were not sent yet.
    private var waiting: [UInt8] = []
    private var hasInputEnded = false
    private var steps: ArraySlice<SerialScript.Step> = []
    /// The guest's output since the last `expect`; of long output only the end.
    private var printed: [UInt8] = []
    private var resumeAt: Double = 0

    /// - Parameter output: the file that receives the guest's output.
    init(_ input: SerialInput, output: String, onOutput: @escaping ([UInt8]) -> Void) throws(RunError) {
        self.output = output
        self.onOutput = onOutput
        var ends: [Int32] = [-1, -1]
        let type = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
        guard socketpair(AF_UNIX, type, 0, &ends) == 0 else {
            throw .system(doing: "create", path: "a socket pair for the serial port", code: errno)
        }
        (far, near) = (ends[0], ends[1])
        switch input {
        case .script(let script): steps = script.steps[...]
        case .descriptor(let descriptor): source = descriptor
        case .file(let path):
            source = open(path, O_RDONLY | O_CLOEXEC)
            ownsSource = true
            guard source >= 0 else { throw .system(doing: "open serial input", path: path, code: errno) }
        }
    }

    deinit {
        close(near)
        close(far)
        if ownsSource, source >= 0 { close(source) }
        if outputDescriptor >= 0 { close(outputDescriptor) }
    }

    /// Moves all bytes that can be moved. A guest that has ended is no error: its end is detected elsewhere.
    ///
    /// - Parameter instructions: asks QEMU for the guest's instruction count; nil if it does not answer.
    func pump(instructions: () -> UInt64?) {
        takeOutput()
        if source >= 0 { takeInput(source) } else { runSteps() }
        sendByte(instructions)
    }

    /// A byte on its way to the port.
    private struct Passage {
        /// The instruction count when QEMU was first seen to have read the byte; nil before.
        var count: UInt64?
        /// When that was.
        var since: Double = 0
    }

    private func takeOutput() {
        if outputDescriptor < 0 { outputDescriptor = open(output, O_RDONLY | O_CLOEXEC) }
        guard outputDescriptor >= 0 else { return }
        var block = [UInt8](repeating: 0, count: 1 << 14)
        while true {
            let count = block.withUnsafeMutableBytes { read(outputDescriptor, $0.baseAddress, $0.count) }
            guard count > 0 else { return }
            let bytes = Array(block[..<count])
            onOutput(bytes)
            if !steps.isEmpty { printed += bytes }
            if printed.count > 1 << 20 { printed.removeFirst(printed.count - 1 << 19) }
        }
    }

    private func takeInput(_ descriptor: Int32) {
        guard !hasInputEnded, waiting.count < 1 << 16 else { return }
        var poller = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        guard poll(&poller, 1, 0) > 0 else { return }
        var block = [UInt8](repeating: 0, count: 4096)
        let count = block.withUnsafeMutableBytes { read(descriptor, $0.baseAddress, $0.count) }
        if count > 0 { waiting += block[..<count] } else { hasInputEnded = true }
    }

    private func runSteps() {
        while let step = steps.first, waiting.isEmpty, Clock.now() >= resumeAt {
            switch step {
            case .expect(let text):
                guard let range = printed.firstRange(of: text) else { return }
                printed.removeSubrange(..<range.upperBound)
            case .send(let text): waiting += text
            case .wait(let seconds): resumeAt = Clock.now() + seconds
            }
            steps.removeFirst()
        }
    }

    private func sendByte(_ instructions: () -> UInt64?) {
        guard !waiting.isEmpty, isDelivered(instructions) else { return }
        let flags = Int32(MSG_NOSIGNAL) | Int32(MSG_DONTWAIT)
        let count = waiting.withUnsafeBytes { send(near, $0.baseAddress, 1, flags) }
        guard count > 0 else { return }
        waiting.removeFirst(count)
        inFlight = Passage()
    }

    /// Whether QEMU has delivered the byte that was sent last.
    ///
    /// QEMU interrupts the guest when it has read a byte, and delivers the byte before the guest executes on. So it is
    /// delivered when the guest's count has grown since. A guest that waits without an end executes nothing: the byte is
    /// there after a while.
    private func isDelivered(_ instructions: () -> UInt64?) -> Bool {
        guard var byte = inFlight else { return true }
        for _ in 0..<2 {
            guard !isUnread, let count = instructions() else { return false }
            guard let first = byte.count else {
                byte = Passage(count: count, since: Clock.now())
                inFlight = byte
                continue
            }
            if count != first || Clock.now() - byte.since >= SerialFeeder.idle {
                inFlight = nil
                return true
            }
        }
        return false
    }

    /// Seconds after which a guest whose count does not grow is idle.
    private static let idle: Double = 0.5

    /// Whether QEMU has not read the byte in the socket yet.
    private var isUnread: Bool {
        var poller = pollfd(fd: far, events: Int16(POLLIN), revents: 0)
        return poll(&poller, 1, 0) > 0
    }
}
