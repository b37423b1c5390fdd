// SPDX-License-Identifier: GPL-2.0-or-later

@preconcurrency import Glibc
import RunDirectory

/// The machine and what it boots: everything on QEMU's command line that decides what the guest does.
public struct GuestConfiguration: Codable, Hashable, Sendable {
    /// QEMU's `-machine`.
    public var machine = "pc"
    /// QEMU's `-cpu`.
    public var cpu = "qemu64"
    /// QEMU's `-m`.
    public var memory = MemorySize(mebibytes: 128)
    /// The path of a PVH or multiboot ELF file, or of a Linux bzImage.
    public var kernel: String?
    /// The path of the first RAM disk.
    public var initrd: String?
    /// The kernel's command line.
    public var commandLine: String?
    /// Recorded disks.
    public var disks: [Disk] = []
    /// QEMU's `-device` arguments, in addition to those of the disks.
    public var devices: [String] = []
    /// How virtual time follows the instruction count.
    public var instructionClock = InstructionClock()
    /// Arguments that QEMU gets unchanged.
    public var extraArguments: [String] = []

    /// A PC with 128 MiB that boots nothing.
    public init() {}

    /// A disk whose image the guest may write to. What it writes is discarded at the end of the run, so that the replay
    /// finds the image as the recording did.
    public struct Disk: Codable, Hashable, Sendable {
        /// The image's path.
        public var image: String
        /// `raw` or `qcow2`.
        public var format: String
        /// The device that carries it: `virtio-blk-pci`, `ide-hd`.
        public var device: String

        /// A disk whose format is known.
        public init(image: String, format: String, device: String) {
            self.image = image
            self.format = format
            self.device = device
        }

        /// The device that carries a disk where none is named.
        public static let defaultDevice = "virtio-blk-pci"

        /// A disk whose format its image shows: qcow2 by its magic, anything else is raw.
        public init(path: String, device: String = defaultDevice) throws(RunError) {
            let file = try PlainFile(path, what: "disk image")
            var magic: [UInt8] = [0, 0, 0, 0]
            var count = 0
            var failure: RunError?
            magic.withUnsafeMutableBytes { buffer in
                do throws(RunError) { count = try file.read(into: buffer) } catch { failure = error }
            }
            if let failure { throw failure }
            let isQcow2 = count == 4 && magic == [0x51, 0x46, 0x49, 0xfb]
            self.init(image: path, format: isQcow2 ? "qcow2" : "raw", device: device)
        }
    }

    /// How virtual time follows the instruction count (QEMU's `-icount`).
    public struct InstructionClock: Codable, Hashable, Sendable {
        /// One instruction takes 2^shift ns of virtual time; nil takes what suits the guest.
        public var shift: Int?
        /// Whether an idle guest waits in real time; nil takes what suits the guest.
        public var sleep: Bool?

        /// A clock; what is nil is chosen by the guest.
        public init(shift: Int? = nil, sleep: Bool? = nil) {
            self.shift = shift
            self.sleep = sleep
        }
    }

    /// The clock with every choice made. Without a disk an idle guest need not wait (with `sleep=on` the input log grows a
    /// hundredfold); with one it must, or it hangs in early boot.
    public var resolvedClock: (shift: Int, sleep: Bool) {
        let hasDisk = !disks.isEmpty
        return (instructionClock.shift ?? (hasDisk ? 4 : 1), instructionClock.sleep ?? hasDisk)
    }
}

extension GuestConfiguration {
    /// Resolves the paths of all files; throws an error that names a file that is missing.
    mutating func makePathsAbsolute() throws(RunError) {
        if let path = kernel { kernel = try Files.absolute(path, what: GuestFile.kernelRole) }
        if let path = initrd { initrd = try Files.absolute(path, what: "initrd") }
        for index in disks.indices {
            disks[index].image = try Files.absolute(disks[index].image, what: "disk image")
        }
    }

    /// What would make a run with this guest no replay of a recording of `recorded`; files are compared by their
    /// digests elsewhere.
    func differences(from recorded: GuestConfiguration) -> [ManifestDifference] {
        var list: [ManifestDifference] = []
        list.compare("machine", recorded.machine, machine)
        list.compare("CPU", recorded.cpu, cpu)
        list.compare("memory", recorded.memory.description, memory.description)
        list.compare("kernel command line", quoted(recorded.commandLine), quoted(commandLine))
        list.compare("number of disks", "\(recorded.disks.count)", "\(disks.count)")
        for (index, (old, new)) in zip(recorded.disks, disks).enumerated() {
            list.compare("format of disk \(index)", old.format, new.format)
            list.compare("device of disk \(index)", old.device, new.device)
        }
        list.compare("devices", words(recorded.devices), words(devices))
        list.compare("extra arguments", words(recorded.extraArguments), words(extraArguments))
        list.compare("instruction clock", recorded.clockText, clockText)
        return list
    }

    /// `shift=1,sleep=off`, as QEMU's `-icount` has it.
    var clockText: String {
        let clock = resolvedClock
        return "shift=\(clock.shift),sleep=\(clock.sleep ? "on" : "off")"
    }

    private func quoted(_ text: String?) -> String { text.map { "\"\($0)\"" } ?? "none" }

    private func words(_ list: [String]) -> String { list.isEmpty ? "none" : list.joined(separator: " ") }
}
