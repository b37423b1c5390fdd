// SPDX-License-Identifier: GPL-2.0-or-later

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
    /// Whether the first serial port receives input that is recorded.
    public var hasSerialInput = false

    /// A PC with 128 MiB that boots nothing.
    public init() {}

    /// A disk whose image the guest may write to. Its writes are discarded at the end of the run, so that the replay
    /// finds the image as the recording did.
    public struct Disk: Codable, Hashable, Sendable {
        /// The image's path.
        public var image: String
        /// QEMU's name of the image's format: `raw`, `qcow2`.
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

        /// A disk whose format its image shows.
        public init(path: String, device: String = defaultDevice) throws(RunError) {
            self.init(image: path, format: try DiskImage(path, what: "disk image").format, device: device)
        }
    }
}

extension GuestConfiguration {
    private enum CodingKeys: String, CodingKey {
        case machine, cpu, memory, kernel, initrd, commandLine, disks, devices, instructionClock, extraArguments
        case hasSerialInput
    }

    /// Reads the guest of a manifest; older ones have no serial input.
    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        machine = try container.decode(String.self, forKey: .machine)
        cpu = try container.decode(String.self, forKey: .cpu)
        memory = try container.decode(MemorySize.self, forKey: .memory)
        kernel = try container.decodeIfPresent(String.self, forKey: .kernel)
        initrd = try container.decodeIfPresent(String.self, forKey: .initrd)
        commandLine = try container.decodeIfPresent(String.self, forKey: .commandLine)
        disks = try container.decode([Disk].self, forKey: .disks)
        devices = try container.decode([String].self, forKey: .devices)
        instructionClock = try container.decode(InstructionClock.self, forKey: .instructionClock)
        extraArguments = try container.decode([String].self, forKey: .extraArguments)
        hasSerialInput = try container.decodeIfPresent(Bool.self, forKey: .hasSerialInput) ?? false
    }

    /// Resolves the paths of all files; throws an error that names a file that is missing.
    mutating func makePathsAbsolute() throws(RunError) {
        if let path = kernel { kernel = try Files.absolute(path, what: GuestFile.kernelRole) }
        if let path = initrd { initrd = try Files.absolute(path, what: "initrd") }
        for index in disks.indices {
            disks[index].image = try Files.absolute(disks[index].image, what: "disk image")
        }
    }

    /// Replaces the paths of files that are at other paths now.
    mutating func replacePaths(_ located: [String: String]) {
        kernel = kernel.map { located[$0] ?? $0 }
        initrd = initrd.map { located[$0] ?? $0 }
        for index in disks.indices { disks[index].image = located[disks[index].image] ?? disks[index].image }
        devices = ArgumentFiles.replacing(located, in: devices)
        extraArguments = ArgumentFiles.replacing(located, in: extraArguments)
    }

    /// The differences from `original` because of which a run with this guest is no replay of its recording. Files are
    /// not compared here: their digests are compared elsewhere.
    ///
    /// - Parameter located: the present paths of the recording's files, by their recorded paths.
    func differences(
        from original: GuestConfiguration, located: [String: String] = [:]
    ) -> [ManifestDifference] {
        var recorded = original
        recorded.replacePaths(located)
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

    private func quoted(_ text: String?) -> String { text.map { "\"\($0)\"" } ?? "none" }

    private func words(_ list: [String]) -> String { list.isEmpty ? "none" : list.joined(separator: " ") }
}
