// SPDX-License-Identifier: GPL-2.0-or-later

@preconcurrency import Glibc
import Synchronization

/// What the thread that replays the run and the thread that serves the client know of each other.
///
/// The replaying thread reports its state, and asks here at least ten times a second what the client wants.
public final class ReplayLink: Sendable {
    /// Thrown by ``check()``.
    public struct Ended: Error {}

    /// The state of the replay.
    public enum State: Equatable, Sendable {
        /// QEMU starts, or goes to the first place.
        case starts
        /// gdb can connect: the commands that read symbol files, then the one that connects; the slide of the kernel; the file
        /// with ``DebuggerScript``.
        case ready(commands: [String], slide: Int64, script: String)
        /// It has ended; the reason, if it is no wish of the client's.
        case ended(String?)
    }

    private struct Contents {
        var state = State.starts
        var notes: [String] = []
        var icount: UInt64?
        var end: UInt64?
        var wantsInterrupt = false
        var mustEnd = false
    }

    private let contents = Mutex(Contents())
    private let reader: Int32
    private let writer: Int32

    /// Makes a link. It is used for one replay.
    public init() {
        // Without a pipe, what is reported is seen a tenth of a second later.
        (reader, writer) = Descriptor.pipe() ?? (-1, -1)
        for end in [reader, writer] { _ = fcntl(end, F_SETFL, O_NONBLOCK) }
    }

    deinit {
        for end in [reader, writer] where end >= 0 { close(end) }
    }

    // MARK: The replaying thread

    /// Reports a new state.
    public func report(_ state: State) {
        contents.withLock { $0.state = state }
        wake()
    }

    /// Reports something that the user should know.
    public func report(note: String) {
        contents.withLock { if $0.notes.count < 100 { $0.notes.append(note) } }
        wake()
    }

    /// Reports QEMU's instruction count, and that of the end of the run.
    public func report(icount: UInt64?, of end: UInt64?) {
        contents.withLock {
            $0.icount = icount
            $0.end = end
        }
    }

    /// Whether the guest shall stop.
    public var wantsInterrupt: Bool { contents.withLock { $0.wantsInterrupt || $0.mustEnd } }

    /// Whether nothing of the replay is left.
    public var hasEnded: Bool { if case .ended = state { true } else { false } }

    /// Throws if the replay shall end.
    public func check() throws(Ended) { if contents.withLock({ $0.mustEnd }) { throw Ended() } }

    // MARK: The client's thread

    /// Asks the guest to stop, or takes that back.
    func interrupt(_ wanted: Bool) { contents.withLock { $0.wantsInterrupt = wanted } }

    /// Asks the replay to end.
    func end() { contents.withLock { $0.mustEnd = true } }

    var state: State { contents.withLock { $0.state } }

    var progress: (icount: UInt64, end: UInt64?)? {
        contents.withLock { contents in contents.icount.map { ($0, contents.end) } }
    }

    func takeNotes() -> [String] {
        contents.withLock { contents in
            defer { contents.notes = [] }
            return contents.notes
        }
    }

    /// Readable when something was reported.
    var wakeDescriptor: Int32 { reader }

    func wasWoken() { _ = Descriptor.read(reader) }

    private func wake() {
        var byte: UInt8 = 1
        _ = write(writer, &byte, 1)
    }
}
