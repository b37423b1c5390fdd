// SPDX-License-Identifier: GPL-2.0-or-later

import Formatting
@preconcurrency import Glibc

/// Buffered standard output for data.
///
/// A reader that went away (`| head`) ends the tool quietly with status 0; any other failure to write (a full disk)
/// is an error with status 2, never silence. Not for use from two threads at once.
public final class Output: TextSink, @unchecked Sendable {
    /// The process's standard output.
    public static let standard = Output(descriptor: STDOUT_FILENO)

    private let descriptor: Int32
    private let buffer: UnsafeMutableRawBufferPointer
    private var used = 0

    init(descriptor: Int32, capacity: Int = 1 << 18) {
        self.descriptor = descriptor
        buffer = .allocate(byteCount: capacity, alignment: 16)
    }

    deinit { buffer.deallocate() }

    /// Whether somebody looks at the output as it comes.
    public var isTerminal: Bool { isatty(descriptor) == 1 }

    public func write(_ bytes: UnsafeRawBufferPointer) {
        // Much at once is not copied first.
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

    /// Lends at least `capacity` free bytes of the buffer; `body` returns how many it filled. For formatting rows
    /// in place.
    @inline(__always)
    public func withFreeSpace(_ capacity: Int, _ body: (UnsafeMutableRawPointer) -> Int) {
        if capacity > buffer.count - used { flush() }
        precondition(capacity <= buffer.count, "a row larger than the whole output buffer")
        if let base = buffer.baseAddress { used += body(base + used) }
    }

    public func flush() {
        guard used > 0 else { return }
        let pending = UnsafeRawBufferPointer(rebasing: buffer[..<used])
        used = 0
        writeAll(pending)
    }

    private func writeAll(_ bytes: UnsafeRawBufferPointer) {
        var done = 0
        while done < bytes.count, let base = bytes.baseAddress {
            let written = Glibc.write(descriptor, base + done, bytes.count - done)
            if written >= 0 {
                done += written
                continue
            }
            switch errno {
            case EINTR: continue
            case EPIPE: exit(ToolStatus.done.rawValue)
            default:
                Diagnostics.error("cannot write to standard output: \(String(cString: strerror(errno)))")
                exit(ToolStatus.trouble.rawValue)
            }
        }
    }
}
