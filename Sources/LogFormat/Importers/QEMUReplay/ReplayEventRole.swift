// SPDX-License-Identifier: GPL-2.0-or-later

/// The role of a replay.bin entry, in the terms of our own event kinds.
enum ReplayEventRole: Sendable, Hashable {
    /// It advances the position.
    case position
    case interrupt
    case exception
    /// A clock that QEMU read: `info` of a clock-read event.
    case clock(Clock)
    /// A point at which threads synchronise: `info` of a checkpoint event.
    case checkpoint(Checkpoint)
    /// Data or a completion for the machine: `info` of an engine-input event.
    case input(Input)
    /// The machine stops or restarts: `info` of a machine-stop event.
    case stop(Stop)
    /// The last entry of the file.
    case end

    enum Clock: UInt32 { case host, virtualRT }

    enum Checkpoint: UInt32 {
        case clockWarpStart, clockWarpAccount, resetRequested, suspendRequested, clockVirtual, clockHost
        case clockVirtualRT, `init`, reset
    }

    enum Input: UInt32 {
        case bottomHalf, bottomHalfOnce, input, inputSync, characterRead, block, network, characterWrite
        case characterReadAll, characterReadError, audioOut, audioIn, random
    }

    enum Stop: UInt32 {
        case none, hostError, hostQMPQuit, hostQMPSystemReset, hostSignal, hostUI, guestShutdown, guestReset
        case guestPanic, subsystemReset, snapshotLoad, last
    }
}

extension ReplayEventKind {
    /// The entry's role. The switch is exhaustive on purpose: each new kind of entry needs an event kind.
    var role: ReplayEventRole {
        switch self {
        case .instruction: .position
        case .interrupt: .interrupt
        case .exception: .exception
        case .asyncBH: .input(.bottomHalf)
        case .asyncBHOneShot: .input(.bottomHalfOnce)
        case .asyncInput: .input(.input)
        case .asyncInputSync: .input(.inputSync)
        case .asyncCharRead: .input(.characterRead)
        case .asyncBlock: .input(.block)
        case .asyncNet: .input(.network)
        case .shutdownNone: .stop(.none)
        case .shutdownHostError: .stop(.hostError)
        case .shutdownHostQMPQuit: .stop(.hostQMPQuit)
        case .shutdownHostQMPSystemReset: .stop(.hostQMPSystemReset)
        case .shutdownHostSignal: .stop(.hostSignal)
        case .shutdownHostUI: .stop(.hostUI)
        case .shutdownGuestShutdown: .stop(.guestShutdown)
        case .shutdownGuestReset: .stop(.guestReset)
        case .shutdownGuestPanic: .stop(.guestPanic)
        case .shutdownSubsystemReset: .stop(.subsystemReset)
        case .shutdownSnapshotLoad: .stop(.snapshotLoad)
        case .shutdownLast: .stop(.last)
        case .charWrite: .input(.characterWrite)
        case .charReadAll: .input(.characterReadAll)
        case .charReadAllError: .input(.characterReadError)
        case .audioOut: .input(.audioOut)
        case .audioIn: .input(.audioIn)
        case .random: .input(.random)
        case .clockHost: .clock(.host)
        case .clockVirtualRT: .clock(.virtualRT)
        case .checkpointClockWarpStart: .checkpoint(.clockWarpStart)
        case .checkpointClockWarpAccount: .checkpoint(.clockWarpAccount)
        case .checkpointResetRequested: .checkpoint(.resetRequested)
        case .checkpointSuspendRequested: .checkpoint(.suspendRequested)
        case .checkpointClockVirtual: .checkpoint(.clockVirtual)
        case .checkpointClockHost: .checkpoint(.clockHost)
        case .checkpointClockVirtualRT: .checkpoint(.clockVirtualRT)
        case .checkpointInit: .checkpoint(.`init`)
        case .checkpointReset: .checkpoint(.reset)
        case .end: .end
        }
    }
}
