// SPDX-License-Identifier: GPL-2.0-or-later

@preconcurrency import Glibc
import RunDirectory

/// Feeds the guest's serial port through a socket that is QEMU's standard input, while the guest's output goes to a file.
///
/// QEMU records what it reads there. The monitor's loop calls ``pump()``; nothing here blocks.
final class SerialFeeder {
    /// QEMU's end of the socket. The caller closes it once QEMU has it.
    let far: Int32
    private var near: Int32
    private let output: String
    /// Receives what the guest prints; for a terminal.
    private let onOutput: ([UInt8]) -> Void

    /// Where bytes come from; -1 for a script.
    private var source: Int32 = -1
    private var ownsSource = false
    private var outputDescriptor: Int32 = -1
    private var lastSent: Double = 0

    /// Seconds between two bytes. QEMU queues what it reads while it records, without a look at whether the port is free:
    /// a byte that comes before the guest has taken the one before replaces it.
    static let pause: Double = 0.02
    /// Bytes that the socket has not taken yet.
    private var waiting: [UInt8] = []
    private var hasInputEnded = false
    private var steps: ArraySlice<SerialScript.Step> = []
    /// What the guest printed since the last `expect`; only the end of it where it is long.
    private var printed: [UInt8] = []
    private var resumeAt: Double = 0

    /// - Parameter output: the file that receives what the guest prints.
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
        if near >= 0 { close(near) }
        if ownsSource, source >= 0 { close(source) }
        if outputDescriptor >= 0 { close(outputDescriptor) }
    }

    /// Moves what can be moved. A guest that has gone is no error: its end is seen elsewhere.
    func pump() {
        takeOutput()
        if source >= 0 { takeInput(source) } else { runSteps() }
        sendByte()
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

    private func sendByte() {
        let now = Clock.now()
        guard near >= 0, !waiting.isEmpty, now - lastSent >= SerialFeeder.pause else { return }
        lastSent = now
        let flags = Int32(MSG_NOSIGNAL) | Int32(MSG_DONTWAIT)
        let count = waiting.withUnsafeBytes { send(near, $0.baseAddress, 1, flags) }
        if count > 0 { waiting.removeFirst(count) }
        if count < 0, errno == EPIPE || errno == ECONNRESET {
            close(near)
            near = -1
        }
    }
}
