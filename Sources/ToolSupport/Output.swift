// SPDX-License-Identifier: GPL-2.0-or-later

import Formatting
@preconcurrency import Glibc

/// Buffered standard output for data.
///
/// If the reader goes away (`| head`), ``isClosed`` becomes true and the rest is discarded: the tool ends quietly, with the
/// status that it has with a reader. Any other failure to write (a full disk) is an error with status 2. Not for use from
/// two threads at once.
public final class Output: TextSink, @unchecked Sendable {
    /// The process's standard output.
    public static let standard = Output(descriptor: STDOUT_FILENO)

    private let descriptor: Int32
    private let buffer: UnsafeMutableRawBufferPointer
    private var used = 0
    /// Whether the reader went away.
    public private(set) var isClosed = false

    init(descriptor: Int32, capacity: Int = 1 << 18) {
        self.descriptor = descriptor
        buffer = .allocate(byteCount: capacity, alignment: 16)
    }

    deinit { buffer.deallocate() }

    /// Whether the output is a terminal.
    public var isTerminal: Bool { isatty(descriptor) == 1 }

    /// Writes bytes, when the buffer is full or at the next ``flush()``.
    public func write(_ bytes: UnsafeRawBufferPointer) {
        // Large pieces are not copied first.
        let isLarge = bytes.count > buffer.count / 8
        if isLarge || bytes.count > buffer.count - used { flush() }
        guard let base = bytes.baseAddress, let target = buffer.baseAddress else { return }
        if isLarge {
            writeAll(bytes)
        } else {
            (target + used).copyMemory(from: base, byteCount: bytes.count)
            used += bytes.count
        }
    }

    /// Writes the buffered text.
    public func flush() {
        guard used > 0 else { return }
        let pending = UnsafeRawBufferPointer(rebasing: buffer[..<used])
        used = 0
        writeAll(pending)
    }

    private func writeAll(_ bytes: UnsafeRawBufferPointer) {
        guard !isClosed else { return }
        var done = 0
        while done < bytes.count, let base = bytes.baseAddress {
            let written = Glibc.write(descriptor, base + done, bytes.count - done)
            if written >= 0 {
                done += written
                continue
            }
            switch errno {
            case EINTR: continue
            case EPIPE:
                isClosed = true
                return
            default:
                Diagnostics.error("cannot write to standard output: \(String(cString: strerror(errno)))")
                exit(ToolStatus.trouble.rawValue)
            }
        }
    }
}
