// SPDX-License-Identifier: GPL-2.0-or-later

@preconcurrency import Glibc
import RunDirectory

/// The recorder in a ``ReplaySide``: it sleeps until it is woken, and logs from there on.
public struct SleepingRecorder: Sendable {
    /// The log to write, absolute.
    public var log: String
    /// The differences of the log from the recording's.
    public var logging: QEMUEngine.Logging
    /// Transitions before the place where it is woken.
    public var clock: UInt64
    /// Instructions before that place, as the log counts.
    public var icount: UInt64

    /// Makes a recorder.
    public init(log: String, logging: QEMUEngine.Logging, clock: UInt64, icount: UInt64) {
        self.log = log
        self.logging = logging
        self.clock = clock
        self.icount = icount
    }

    /// The plugin's further arguments.
    func options(wake: String) -> [String] { ["await=\(wake)", "clock_base=\(clock)", "icount_base=\(icount)"] }
}

/// The file through which a recorder is woken (hypervisor/qemu/plugin/wake.h).
final class WakePage {
    private static let magic: UInt64 = 0x3165_6b61_7764_7474
    private static let size = 4096
    private enum Field: Int {
        case magic, awake, tableBase, tableLimit, addressSpace
    }

    private let base: UnsafeMutableRawPointer

    init(creating path: String) throws(RunError) {
        base = try SharedFile.create(path, bytes: WakePage.size)
        write(.magic, WakePage.magic)
    }

    deinit { munmap(base, WakePage.size) }

    private func write(_ field: Field, _ value: UInt64) {
        base.storeBytes(of: value, toByteOffset: 8 * field.rawValue, as: UInt64.self)
    }

    /// Wakes the recorder of a stopped guest.
    func wake(_ registers: GuestRegisters) {
        // QEMU shows the table's register as `IDT= BASE LIMIT`.
        let parts = (registers.list.first { $0.name == "IDT" }?.value ?? "").split(separator: " ")
        if registers.codeBits == 64, parts.count >= 2, let table = UInt64(parts[0], radix: 16),
            let limit = UInt64(parts[1], radix: 16)
        {
            write(.tableBase, table)
            write(.tableLimit, limit)
        }
        write(.addressSpace, registers["CR3"] ?? 0)
        write(.awake, 1)
    }
}
