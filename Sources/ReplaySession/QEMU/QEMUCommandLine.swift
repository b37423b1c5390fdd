// SPDX-License-Identifier: GPL-2.0-or-later

import RunDirectory

/// QEMU's command line for a recording or a replay.
///
/// Each of these settings prevents a hang or a divergence that was observed without it:
/// - `apic.vapic=off`: with it on, snapshots taken during a run and reverse execution deadlock.
/// - The clock suits the guest (``GuestConfiguration/resolvedClock``): with a disk, `sleep=off` hangs in early boot.
/// - A disk is attached through `blkreplay`, over an image with `snapshot=on`.
/// - `-nodefaults -no-user-config`: the machine has no device that the command line does not name.
/// - The monitor is a descriptor that QEMU inherits, outside of what is recorded.
public struct QEMUCommandLine: Sendable, Equatable {
    /// The mode of QEMU's `rr`.
    public enum Direction: String, Sendable {
        /// `rr=record`.
        case record
        /// `rr=replay`.
        case replay
    }

    /// QEMU's program.
    public var program: String
    /// Whether QEMU records or replays.
    public var direction: Direction
    /// The machine and what it boots.
    public var guest: GuestConfiguration
    /// QEMU's own input log: written by a recording, read by a replay.
    public var inputLog: String
    /// The file that receives the guest's output on its first serial port.
    public var serialLog: String
    /// The value of `-plugin`; nil for a run without a log.
    public var plugin: String?
    /// A qcow2 image in which a recording keeps a snapshot of its beginning, `init`; nil for none. A logged replay does
    /// not use it: it starts from the beginning anyway.
    public var snapshotImage: String?
    /// Whether the first serial port has QEMU's standard input and output in place of the file. A replay needs no input.
    public var readsSerialInput = false
    /// Whether the guest waits before its first instruction.
    public var startsPaused = true
    /// qcow2 images over the guest's disks, in their order, that outlive the run; empty: what the guest writes is discarded.
    public var overlays: [String] = []
    /// Further arguments that only watch the guest.
    public var watchers: [String] = []

    /// A command line.
    public init(
        program: String, direction: Direction, guest: GuestConfiguration, inputLog: String, serialLog: String,
        plugin: String? = nil, snapshotImage: String? = nil, watchers: [String] = []
    ) {
        self.program = program
        self.direction = direction
        self.guest = guest
        self.inputLog = inputLog
        self.serialLog = serialLog
        self.plugin = plugin
        self.snapshotImage = snapshotImage
        self.watchers = watchers
    }

    /// The number of the descriptor through which QEMU finds its monitor's socket.
    public static let monitorDescriptor: Int32 = 3

    /// The arguments, the program first.
    public var arguments: [String] {
        var list = [program]
        list += ["-machine", guest.machine, "-cpu", guest.cpu, "-m", guest.memory.description]
        list += ["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"]
        list += ["-global", "apic.vapic=off"]
        list += [
            "-icount",
            "\(guest.clockText),rr=\(direction.rawValue),rrfile=\(QEMUCommandLine.escaped(inputLog))"
                + (snapshotImage == nil ? "" : ",rrsnapshot=init"),
        ]
        if let snapshotImage {
            list += ["-drive", "file=\(QEMUCommandLine.escaped(snapshotImage)),format=qcow2,if=none,id=ttsnapshots"]
        }
        if let kernel = guest.kernel { list += ["-kernel", kernel] }
        if let initrd = guest.initrd { list += ["-initrd", initrd] }
        if let commandLine = guest.commandLine { list += ["-append", commandLine] }
        for (index, disk) in guest.disks.enumerated() {
            let overlay = index < overlays.count ? overlays[index] : nil
            let file = QEMUCommandLine.escaped(overlay ?? disk.image)
            let format = overlay == nil ? disk.format : "qcow2"
            list += [
                "-drive",
                "file=\(file),format=\(format),if=none,id=ttimage\(index)"
                    + (overlay == nil ? ",snapshot=on" : ",cache=unsafe"),
            ]
            list += ["-drive", "driver=blkreplay,if=none,image=ttimage\(index),id=ttdisk\(index)"]
            list += ["-device", "\(disk.device),drive=ttdisk\(index)"]
        }
        for device in guest.devices { list += ["-device", device] }
        list += ["-serial", readsSerialInput ? "stdio" : "file:\(serialLog)"]
        list += [
            "-chardev", "socket,id=ttmonitor,fd=\(QEMUCommandLine.monitorDescriptor)",
            "-mon", "chardev=ttmonitor,mode=control",
        ]
        if let plugin { list += ["-plugin", plugin] }
        if startsPaused { list.append("-S") }
        return list + guest.extraArguments + watchers
    }

    /// A value inside one of QEMU's comma-separated options.
    static func escaped(_ value: String) -> String {
        value.split(separator: ",", omittingEmptySubsequences: false).joined(separator: ",,")
    }
}
