// SPDX-License-Identifier: GPL-2.0-or-later

/// What an entry of QEMU's replay.bin is. The names are QEMU's own, shortened.
///
/// Codes in the file are numbers that QEMU renumbers between versions: see ``ReplayFormat``.
public enum ReplayEventKind: String, Sendable, Hashable, CaseIterable {
    /// Instructions executed since the entry before.
    case instruction
    /// A hardware interrupt was delivered.
    case interrupt
    /// An exception was raised, `int n` included.
    case exception
    case asyncBH = "async-bh"
    case asyncBHOneShot = "async-bh-oneshot"
    case asyncInput = "async-input"
    case asyncInputSync = "async-input-sync"
    case asyncCharRead = "async-char-read"
    case asyncBlock = "async-block"
    case asyncNet = "async-net"
    case shutdownNone = "shutdown-none"
    case shutdownHostError = "shutdown-host-error"
    case shutdownHostQMPQuit = "shutdown-host-qmp-quit"
    case shutdownHostQMPSystemReset = "shutdown-host-qmp-system-reset"
    /// Written at every exit of QEMU, also where nobody sent a signal.
    case shutdownHostSignal = "shutdown-host-signal"
    case shutdownHostUI = "shutdown-host-ui"
    case shutdownGuestShutdown = "shutdown-guest-shutdown"
    case shutdownGuestReset = "shutdown-guest-reset"
    case shutdownGuestPanic = "shutdown-guest-panic"
    case shutdownSubsystemReset = "shutdown-subsystem-reset"
    case shutdownSnapshotLoad = "shutdown-snapshot-load"
    case shutdownLast = "shutdown-last"
    case charWrite = "char-write"
    case charReadAll = "char-read-all"
    case charReadAllError = "char-read-all-error"
    case audioOut = "audio-out"
    case audioIn = "audio-in"
    case random
    case clockHost = "clock-host"
    case clockVirtualRT = "clock-virtual-rt"
    case checkpointClockWarpStart = "checkpoint-clock-warp-start"
    case checkpointClockWarpAccount = "checkpoint-clock-warp-account"
    case checkpointResetRequested = "checkpoint-reset-requested"
    case checkpointSuspendRequested = "checkpoint-suspend-requested"
    case checkpointClockVirtual = "checkpoint-clock-virtual"
    case checkpointClockHost = "checkpoint-clock-host"
    case checkpointClockVirtualRT = "checkpoint-clock-virtual-rt"
    case checkpointInit = "checkpoint-init"
    case checkpointReset = "checkpoint-reset"
    /// Nothing comes after it.
    case end

    /// Whether the entry says that the machine stops or starts anew.
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

/// What follows an entry's code.
enum ReplayPayload: Sendable {
    /// So many bytes.
    case fixed(Int)
    /// So many bytes, of which the first ones are the entry's value.
    case value(Int)
    /// So many bytes, then a u32 length and as many bytes.
    case array(after: Int)
    /// u32 type, then what the type says.
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

    /// The format that a version says; for 0 (QEMU was killed before it could write the version) the one we record with.
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
