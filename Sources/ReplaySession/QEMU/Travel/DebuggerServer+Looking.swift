// SPDX-License-Identifier: GPL-2.0-or-later

import RunDirectory

/// What a debugger may ask QEMU for: registers, memory and descriptions. Nothing that it sends changes the run.
extension DebuggerServer {
    /// The answer to a packet that writes registers or memory. gdb shows the text after `E.` for a register. For memory it says
    /// that it cannot access the address.
    static let writeRefusal = Array(
        "E.the run is the recorded one: its registers and its memory cannot be written".utf8)

    /// QEMU's error for memory that is not mapped.
    private static let noMemory = Array("E14".utf8)

    /// The packets that QEMU answers without a change. Another one, such as `Qqemu.PhyMemMode` or `qqemu.sstep`, is answered as
    /// one that is not known.
    private static let packets = [
        "g", "p", "H", "T", "qC", "qfThreadInfo", "qsThreadInfo", "qThreadExtraInfo,", "qAttached",
        "qXfer:features:read:",
        "vCont?",
    ]

    /// The answer to a packet. If a signal has ended QEMU, the error says so instead of naming a closed connection. If QEMU has
    /// fallen silent, the packet is answered by another QEMU, with the guest at the same place.
    func answerOrReason(_ packet: [UInt8]) throws -> [UInt8] {
        let (origin, code) = (session.current, codeAtStepBack)
        do {
            return try answer(packet)
        } catch let error as RunError {
            if !session.isSilent { try session.side.checkProcess(patience: 1) }
            guard try session.startAfterSilence(error) else { throw error }
            try session.go(to: origin)
            try setBreakpoints()
            codeAtStepBack = code
            return try answer(packet)
        }
    }

    /// Finds out where the guest is after a way that failed. If the run has ended, it is made again from its beginning.
    func lookAgain() throws {
        guard session.side.hasEnded else { return try session.look() }
        try session.side.checkProcess()
        try session.go(to: EnginePlace(icount: 0))
    }

    /// Passes a packet on that looks.
    func look(_ packet: [UInt8], _ text: String) throws -> [UInt8] {
        if text.hasPrefix("m") {
            let numbers = text.dropFirst().split(separator: ",").map { UInt64($0, radix: 16) }
            guard numbers.count == 2, let address = numbers[0], let count = numbers[1],
                try isMemory(virtual: address, count: count)
            else { return DebuggerServer.noMemory }
            return try session.client.request(packet)
        }
        guard DebuggerServer.packets.contains(where: { text.hasPrefix($0) }) else { return [] }
        return try session.client.request(packet)
    }

    /// Passes a line on to QEMU's monitor if it looks only.
    func look(_ line: String) throws -> String {
        let command = MonitorCommand(line)
        if let refusal = command.refusal { return refusal }
        if command.readsMemory, !command.argument.isEmpty {
            // QEMU's own value of the expression; a text if it has none.
            let value = try session.side.monitor("print /x \(command.argument)")
            guard let address = MonitorCommand.address(value) else { return value }
            guard let count = command.bytes else { return "\(MonitorCommand.mostItems) numbers at a time at most\n" }
            let isReadable =
                try command.word == "x"
                ? isMemory(virtual: address, count: count)
                : session.isMemory(physical: address, count: count)
            guard isReadable else {
                return
                    "0x\(String(address, radix: 16)) is not read: it is a device's, and a read may change the device\n"
            }
        }
        return try session.side.monitor(line)
    }

    /// Whether none of these virtual addresses is a device's. Addresses that are not mapped are none.
    private func isMemory(virtual address: UInt64, count: UInt64) throws -> Bool {
        guard count <= 16 * MonitorCommand.mostItems else { return false }
        var page = address & ~4095
        while true {
            if let physical = try session.side.physicalAddress(of: page),
                !session.isMemory(physical: physical & ~4095, count: 4096)
            {
                return false
            }
            page &+= 4096
            guard page &- (address & ~4095) < (address & 4095) + count else { return true }
        }
    }
}

extension MonitorCommand {
    /// The number that `print /x` shows.
    static func address(_ text: String) -> UInt64? {
        let word = text.prefix { !$0.isWhitespace }
        // QEMU prints 0 without a prefix.
        return word == "0" ? 0 : word.hasPrefix("0x") ? UInt64(word.dropFirst(2), radix: 16) : nil
    }
}
