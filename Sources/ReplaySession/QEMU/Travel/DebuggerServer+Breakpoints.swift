// SPDX-License-Identifier: GPL-2.0-or-later

import RunDirectory

/// What a debugger has set in QEMU's gdbstub. It is set again after QEMU was started again.
struct DebuggerState {
    /// A breakpoint or watchpoint.
    struct Breakpoint: Equatable {
        /// The packet that sets it.
        var packet: [UInt8]
        var address: UInt64
        /// Whether it stops at an instruction.
        var isCode: Bool
    }

    var breakpoints: [Breakpoint] = []
    /// The packets that decide what QEMU's answers look like.
    var prelude: [String: [UInt8]] = [:]
}

extension DebuggerServer {
    /// `Z TYPE,ADDRESS,KIND` sets, `z` removes.
    func changeBreakpoint(_ packet: [UInt8], _ text: String) throws -> [UInt8] {
        let parts = text.dropFirst().split(separator: ",")
        guard parts.count >= 3, let address = UInt64(parts[1], radix: 16) else { return Array("E22".utf8) }
        let set = [UInt8(ascii: "Z")] + packet.dropFirst()
        let isSet = state.breakpoints.contains { $0.packet == set }
        let sets = packet.first == UInt8(ascii: "Z")
        // What is so already is no error.
        if sets == isSet { return Array("OK".utf8) }
        let answer = try session.client.request(packet)
        guard answer == Array("OK".utf8) else { return answer }
        state.breakpoints.removeAll { $0.packet == set }
        if sets {
            state.breakpoints.append(.init(packet: set, address: address, isCode: parts[0] == "0" || parts[0] == "1"))
        }
        return answer
    }

    func removeBreakpoints() throws {
        for breakpoint in state.breakpoints {
            _ = try session.client.request([UInt8(ascii: "z")] + breakpoint.packet.dropFirst())
        }
    }

    /// Does something that runs the guest; the debugger's breakpoints do not stop it.
    func withoutBreakpoints<T>(_ body: () throws -> T) throws -> T {
        try removeBreakpoints()
        do {
            let result = try body()
            try setBreakpoints()
            return result
        } catch {
            // QEMU is started again (answerOrReason).
            if session.isSilent { throw error }
            // What ends the server comes while the guest runs: its gdbstub would not answer.
            try? session.side.pause()
            try setBreakpoints()
            throw error
        }
    }

    /// Sets the debugger's breakpoints in QEMU.
    func setBreakpoints() throws {
        for breakpoint in state.breakpoints { _ = try session.client.request(breakpoint.packet) }
    }

    /// Makes a new gdbstub answer as the one before.
    func restore() throws {
        for name in ["supported", "features"] {
            if let packet = state.prelude[name] { _ = try session.client.request(packet) }
        }
    }
}
