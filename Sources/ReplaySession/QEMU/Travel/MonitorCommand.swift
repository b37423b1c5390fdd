// SPDX-License-Identifier: GPL-2.0-or-later

/// A line for QEMU's monitor that comes from a debugger. Only commands that are known to look and to change nothing are passed
/// on: all others may change the run, its speed, or files.
struct MonitorCommand: Equatable {
    /// The command, without its format.
    let word: Substring
    /// What follows `/`, as in `x /4xw ADDRESS`.
    let format: Substring
    /// The rest of the line.
    let argument: Substring

    init(_ line: String) {
        // QEMU ends a command's name at a space or at `/` (monitor/hmp.c, get_command_name).
        let text = line.drop(while: \.isWhitespace)
        word = text.prefix { !$0.isWhitespace && $0 != "/" }
        let rest = text.dropFirst(word.count).drop(while: \.isWhitespace)
        format = rest.first == "/" ? rest.dropFirst().prefix { !$0.isWhitespace } : ""
        argument = (rest.first == "/" ? rest.dropFirst(1 + format.count) : rest).drop(while: \.isWhitespace)
    }

    /// The commands that are passed on; of `info`, only the topics below.
    static let words: Set<Substring> = ["?", "gpa2hva", "gva2gpa", "gva2hva", "help", "info", "p", "print", "x", "xp"]

    /// The topics of `info` that show the guest, its devices and the replay.
    static let topics: Set<Substring> = [
        "block", "block-jobs", "blockstats", "chardev", "cpus", "history", "hotpluggable-cpus", "iothreads", "irq",
        "jit",
        "lapic", "mem", "memdev", "memory-devices", "memory_size_summary", "mice", "mtree", "name", "network", "numa",
        "opcount", "pci", "pic", "qom-tree", "qtree", "ramblock", "registers", "replay", "roms", "snapshots",
        "status", "tlb", "trace-events", "usb", "uuid", "version", "virtio", "virtio-status", "virtio-queue-status",
        "vm-generation-id",
    ]

    /// Whether it reads memory: virtual (`x`) or physical (`xp`).
    var readsMemory: Bool { word == "x" || word == "xp" }

    /// Why it is not passed to QEMU; nil if it is.
    var refusal: String? {
        guard MonitorCommand.words.contains(word) else {
            return "\(word) is not passed to QEMU: it may change the run; \(MonitorCommand.known)\n"
        }
        let topic = argument.prefix { !$0.isWhitespace }
        guard word != "info" || topic.isEmpty || MonitorCommand.topics.contains(topic) else {
            return "info \(topic) is not passed to QEMU: it is not known to change nothing; known are "
                + MonitorCommand.topics.sorted().joined(separator: ", ") + "\n"
        }
        return nil
    }

    private static let known =
        "info, x, xp, print, gva2gpa, gva2hva, gpa2hva and help are, and tt help lists the ways through the run"

    /// Bytes that a command that reads memory reads at most: an instruction is longer than any number.
    var bytes: UInt64? {
        let digits = format.prefix { $0.isNumber }
        guard let count = digits.isEmpty ? 1 : UInt64(digits), count <= MonitorCommand.mostItems else { return nil }
        return count * 16
    }

    /// Numbers or instructions that a command shows at most.
    static let mostItems: UInt64 = 4096
}
