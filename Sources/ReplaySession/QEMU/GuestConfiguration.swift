// SPDX-License-Identifier: GPL-2.0-or-later

/// The machine and what it boots: everything on QEMU's command line that decides what the guest does.
public struct GuestConfiguration: Codable, Hashable, Sendable {
    /// QEMU's `-machine`.
    public var machine = "pc"
    /// QEMU's `-cpu`.
    public var cpu = "qemu64"
    /// QEMU's `-m`.
    public var memory = MemorySize(mebibytes: 128)
    /// A PVH or multiboot ELF file, or a Linux bzImage.
    public var kernel: FileIdentity?
    public var initrd: FileIdentity?
    /// The kernel's command line.
    public var commandLine: String?
    public var disks: [Disk] = []
    /// QEMU's `-device` arguments, beside those that the disks need.
    public var devices: [String] = []
    public var instructionClock = InstructionClock()
    /// Given to QEMU as they are.
    public var extraArguments: [String] = []

    public init() {}

    /// A disk whose image the guest may write to: what it writes is thrown away at the end of the run, so that the
    /// replay finds the image as the recording did.
    public struct Disk: Codable, Hashable, Sendable {
        public var image: FileIdentity
        /// `raw` or `qcow2`.
        public var format: String
        /// The device that carries it: `virtio-blk-pci`, `ide-hd`.
        public var device: String

        public init(image: FileIdentity, format: String, device: String) {
            self.image = image
            self.format = format
            self.device = device
        }
    }

    /// How virtual time follows the instruction count (QEMU's `-icount`).
    public struct InstructionClock: Codable, Hashable, Sendable {
        /// One instruction takes 2^shift ns of virtual time; nil takes what suits the guest.
        public var shift: Int?
        /// Whether an idle guest waits in real time; nil takes what suits the guest.
        public var sleep: Bool?

        public init(shift: Int? = nil, sleep: Bool? = nil) {
            self.shift = shift
            self.sleep = sleep
        }
    }

    /// The clock with nothing left open. Without a disk an idle guest need not wait (with `sleep=on` the input log
    /// grows a hundredfold); with one it must, or it hangs in early boot.
    public var resolvedClock: (shift: Int, sleep: Bool) {
        let hasDisk = !disks.isEmpty
        return (instructionClock.shift ?? (hasDisk ? 4 : 1), instructionClock.sleep ?? hasDisk)
    }
}

/// An amount of guest memory: `64`, `64M`, `2G`, as QEMU's `-m` takes it.
public struct MemorySize: Hashable, Sendable, Codable, CustomStringConvertible {
    public var mebibytes: UInt64

    public init(mebibytes: UInt64) { self.mebibytes = mebibytes }

    /// nil for anything that is no whole number of MiB from 1 MiB to 1 TiB.
    public init?(_ text: String) {
        var digits = Substring(text)
        var scale: UInt64 = 1
        if let last = text.last, !last.isNumber {
            digits = digits.dropLast()
            switch last {
            case "M", "m": scale = 1
            case "G", "g": scale = 1024
            default: return nil
            }
        }
        guard let number = UInt64(digits) else { return nil }
        let (product, overflows) = number.multipliedReportingOverflow(by: scale)
        guard !overflows, product >= 1, product <= 1 << 20 else { return nil }
        mebibytes = product
    }

    public var description: String { "\(mebibytes)M" }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        guard let size = MemorySize(try container.decode(String.self)) else {
            throw DecodingError.dataCorruptedError(in: container, debugDescription: "not an amount of memory")
        }
        self = size
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(description)
    }
}
