// SPDX-License-Identifier: GPL-2.0-or-later

/// The kinds of entries in QEMU's replay.bin. The names are QEMU's own (`enum ReplayEvents` in
/// `replay/replay-internal.h`), shortened.
///
/// QEMU renumbers the codes between versions: see ``ReplayFormat``.
public enum ReplayEventKind: String, Sendable, Hashable, CaseIterable {
    /// The number of instructions executed since the entry before.
    case instruction
    /// A hardware interrupt was delivered.
    case interrupt
    /// An exception was raised, `int n` included.
    case exception
    /// A bottom half of a device ran.
    case asyncBH = "async-bh"
    /// A bottom half that is deleted after its run.
    case asyncBHOneShot = "async-bh-oneshot"
    /// A keyboard or pointer event; its payload is the event.
    case asyncInput = "async-input"
    /// The end of a group of keyboard or pointer events.
    case asyncInputSync = "async-input-sync"
    /// Bytes that arrived at a character device.
    case asyncCharRead = "async-char-read"
    /// A block request was completed.
    case asyncBlock = "async-block"
    /// A packet that arrived at a network device.
    case asyncNet = "async-net"
    /// A shutdown request without a cause.
    case shutdownNone = "shutdown-none"
    /// A shutdown after an error of the host, for example of a block device.
    case shutdownHostError = "shutdown-host-error"
    /// The monitor command `quit`.
    case shutdownHostQMPQuit = "shutdown-host-qmp-quit"
    /// The monitor command `system_reset`.
    case shutdownHostQMPSystemReset = "shutdown-host-qmp-system-reset"
    /// Written at every exit of QEMU, also without a signal.
    case shutdownHostSignal = "shutdown-host-signal"
    /// A shutdown from QEMU's window.
    case shutdownHostUI = "shutdown-host-ui"
    /// The guest powered off.
    case shutdownGuestShutdown = "shutdown-guest-shutdown"
    /// The guest reset the machine.
    case shutdownGuestReset = "shutdown-guest-reset"
    /// The guest reported a panic through a device.
    case shutdownGuestPanic = "shutdown-guest-panic"
    /// A reset of a part of the machine.
    case shutdownSubsystemReset = "shutdown-subsystem-reset"
    /// A reset before a snapshot is loaded.
    case shutdownSnapshotLoad = "shutdown-snapshot-load"
    /// QEMU's upper bound of the causes; not written.
    case shutdownLast = "shutdown-last"
    /// The result of writing to a character device.
    case charWrite = "char-write"
    /// Bytes that a synchronous read from a character device returned.
    case charReadAll = "char-read-all"
    /// The error that a synchronous read from a character device returned.
    case charReadAllError = "char-read-all-error"
    /// The number of audio samples played.
    case audioOut = "audio-out"
    /// Audio samples captured.
    case audioIn = "audio-in"
    /// Random bytes that the guest received.
    case random
    /// A reading of the host's clock.
    case clockHost = "clock-host"
    /// A reading of the virtual clock that runs in real time.
    case clockVirtualRT = "clock-virtual-rt"
    /// A synchronisation point before virtual time is moved on (icount warp).
    case checkpointClockWarpStart = "checkpoint-clock-warp-start"
    /// A synchronisation point at the end of such a warp.
    case checkpointClockWarpAccount = "checkpoint-clock-warp-account"
    /// A synchronisation point at a request to reset.
    case checkpointResetRequested = "checkpoint-reset-requested"
    /// A synchronisation point at a request to suspend.
    case checkpointSuspendRequested = "checkpoint-suspend-requested"
    /// A synchronisation point before the timers of the virtual clock run.
    case checkpointClockVirtual = "checkpoint-clock-virtual"
    /// A synchronisation point before the timers of the host clock run.
    case checkpointClockHost = "checkpoint-clock-host"
    /// A synchronisation point before the timers of the real-time virtual clock run.
    case checkpointClockVirtualRT = "checkpoint-clock-virtual-rt"
    /// A synchronisation point after the machine is made.
    case checkpointInit = "checkpoint-init"
    /// A synchronisation point at a reset of the machine.
    case checkpointReset = "checkpoint-reset"
    /// The last entry of a file.
    case end

    /// Whether the entry records that the machine stops or restarts.
    public var isShutdown: Bool {
        if case .stop = role { true } else { false }
    }

    /// Why the run ended, if this entry ended it; nil when it is no shutdown.
    public var runEnd: RunEnd? {
        guard case .stop(let reason) = role else { return nil }
        return switch reason {
        case .guestShutdown: .guestShutdown
        case .guestReset: .guestReset
        case .guestPanic: .guestPanic
        case .hostQMPQuit, .hostUI, .hostQMPSystemReset: .hostQuit
        case .hostError: .hostError
        case .none, .hostSignal, .subsystemReset, .snapshotLoad, .last: .unknown
        }
    }
}

/// The layout of the bytes that follow an entry's code.
enum ReplayPayload: Sendable {
    /// This number of bytes.
    case fixed(Int)
    /// This number of bytes; they begin with the entry's value.
    case value(Int)
    /// This number of bytes, then a u32 length and as many bytes.
    case array(after: Int)
    /// u32 type, then a payload that depends on the type.
    case input
    /// u64 count, u64 position, count pairs of u64.
    case audioIn
}

/// The numbering of one version of replay.bin.
struct ReplayFormat: Sendable {
    /// `REPLAY_VERSION`, the first word of the file.
    let version: UInt32
    /// QEMU releases that write it.
    let writers: String
    /// The kind of each code, from 0 on.
    let kinds: [ReplayEventKind]

    /// QEMU 7.2, `replay/replay-internal.h`. QEMU 10.0 writes the same version and codes (and input type 4).
    static let version0xE0200C = ReplayFormat(
        version: 0xe0200c, writers: "QEMU 7.2 ... 10.0", kinds: ReplayEventKind.allCases)

    static let known = [version0xE0200C]

    /// The format of a version. Version 0 means that QEMU was killed before it wrote the version: the format that the
    /// tools record is assumed.
    static func of(version: UInt32) -> ReplayFormat? {
        version == 0 ? version0xE0200C : known.first { $0.version == version }
    }

    func kind(code: UInt8) -> ReplayEventKind? {
        Int(code) < kinds.count ? kinds[Int(code)] : nil
    }

    func payload(of kind: ReplayEventKind) -> ReplayPayload {
        switch kind {
        case .instruction: .value(4)
        case .asyncBH, .asyncBHOneShot, .asyncBlock, .clockHost, .clockVirtualRT, .audioOut: .value(8)
        case .charWrite: .fixed(8)
        case .charReadAllError: .value(4)
        case .asyncCharRead: .array(after: 1)
        case .asyncNet: .array(after: 5)
        case .charReadAll: .array(after: 0)
        case .random: .array(after: 4)
        case .asyncInput: .input
        case .audioIn: .audioIn
        default: .fixed(0)
        }
    }
}
