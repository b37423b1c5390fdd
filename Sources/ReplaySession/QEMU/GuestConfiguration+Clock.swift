// SPDX-License-Identifier: GPL-2.0-or-later

extension GuestConfiguration {
    /// How virtual time follows the instruction count (QEMU's `-icount`).
    public struct InstructionClock: Codable, Hashable, Sendable {
        /// One instruction takes 2^shift ns of virtual time; nil chooses by the guest.
        public var shift: Int?
        /// Whether an idle guest waits in real time; nil chooses by the guest.
        public var sleep: Bool?

        /// A clock; settings that are nil are chosen by the guest.
        public init(shift: Int? = nil, sleep: Bool? = nil) {
            self.shift = shift
            self.sleep = sleep
        }

        /// An idle guest does not wait: its time jumps to the next timer. Input from outside comes late or never.
        public static let fast = InstructionClock(shift: 1, sleep: false)
        /// An idle guest waits in real time, so that disks, networks, people and firmware keep pace with it.
        public static let real = InstructionClock(shift: 4, sleep: true)
    }

    /// The clock with every choice made. With the fast clock the input log of an idle guest stays small (one hundredth),
    /// but with a disk the guest hangs in early boot, and input from outside arrives late or never.
    public var resolvedClock: (shift: Int, sleep: Bool) {
        let suitable = needOfRealTime == nil ? InstructionClock.fast : .real
        return (instructionClock.shift ?? suitable.shift ?? 1, instructionClock.sleep ?? suitable.sleep ?? false)
    }

    /// The part of the guest that needs the clock that waits in real time; nil if there is none.
    public var needOfRealTime: String? {
        if !disks.isEmpty { return "a disk" }
        if hasSerialInput { return "serial input" }
        let options = ExtraArguments.options(extraArguments) + devices.map { ("-device", $0) }
        for (name, value) in options {
            let option = OptionValue(value)
            switch name {
            case "-netdev", "-nic", "-net": if value != "none" { return "a network" }
            case "-drive": return option["if"] == "pflash" ? "firmware" : "a disk"
            case "-blockdev": return "a disk"
            case "-bios", "-pflash": return "firmware"
            case "-serial", "-chardev", "-monitor", "-qmp", "-mon", "-vnc", "-spice":
                if !["none", "null"].contains(value), !value.hasPrefix("file") { return "input" }
            case "-device":
                let driver = option.first ?? ""
                if ["kbd", "keyboard", "mouse", "tablet"].contains(where: { driver.contains($0) }) { return "input" }
            default: break
            }
        }
        return nil
    }

    /// `shift=1,sleep=off`, as QEMU's `-icount` has it.
    var clockText: String {
        let clock = resolvedClock
        return "shift=\(clock.shift),sleep=\(clock.sleep ? "on" : "off")"
    }
}

extension GuestConfiguration {
    /// Leaves the HPET out of a PC (``QEMUProgram/losesHPET``), unless an option of the machine is about it. Linux uses the
    /// local APIC's timer then.
    mutating func leaveOutHPET() {
        let parts = machine.split(separator: ",")
        let isPC = parts.first.map { $0.hasPrefix("pc") || $0.hasPrefix("q35") } ?? false
        guard isPC, !parts.contains(where: { $0.hasPrefix("hpet=") }) else { return }
        machine += ",hpet=off"
    }
}
