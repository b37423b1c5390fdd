// SPDX-License-Identifier: GPL-2.0-or-later

import MachineCode
import ReplaySession
import RunDirectory

/// The registers of both sides after some instructions of a window.
struct RegisterValues {
    fileprivate(set) var states: [Int: (original: GuestRegisters, replay: GuestRegisters)] = [:]

    /// The values of a node's register after its instruction; of rax for an input. nil if they are unknown.
    subscript(node: ChainFinder.Node) -> (original: UInt64, replay: UInt64)? {
        guard node.role == .compute || node.role == .input, let state = states[node.index] else { return nil }
        let name = (node.register ?? .rax).upperName
        guard let original = state.original[name], let replay = state.replay[name] else { return nil }
        return (original, replay)
    }

    /// Whether a register is known to be equal on both sides after an instruction, in the bytes of a mask.
    func areEqual(_ register: RegisterUse.Register, bytes: UInt8, after index: Int) -> Bool {
        guard let state = states[index], let original = state.original[register.upperName],
            let replay = state.replay[register.upperName]
        else { return false }
        let difference = original ^ replay
        return (0..<8).allSatisfy { bytes >> UInt8($0) & 1 == 0 || difference >> UInt64(8 * $0) & 0xff == 0 }
    }

    /// Whether the results of an input instruction are known to be equal: rdtsc, rdmsr and cpuid have more than one.
    func areInputsEqual(after index: Int) -> Bool {
        guard let state = states[index] else { return false }
        return ["RAX", "RBX", "RCX", "RDX"].allSatisfy { state.original[$0] == state.replay[$0] }
    }

    /// Instructions after which registers are known.
    var count: Int { states.count }

    /// Whether a node is known to carry no difference, so that the chain does not lead through it.
    func isEqual(_ node: ChainFinder.Node) -> Bool {
        switch node.role {
        case .input: areInputsEqual(after: node.index)
        case .compute: node.register.map { areEqual($0, bytes: 0xff, after: node.index) } ?? false
        case .load, .store, .decide: false
        }
    }
}

extension Search {
    /// Instructions after which the registers are read in one round, at most: of a long chain the first and the last ones.
    private static let stopLimit = 96

    /// Reads the registers of both sides after the instructions of chains that leave values open: both sides go back to
    /// the window's start and stop after each.
    func values(
        of chains: [ChainFinder.Chain], _ window: Window, known: RegisterValues
    ) throws -> RegisterValues {
        var result = known
        let open = chains.flatMap(\.nodes).filter { $0.access == nil && $0.role != .decide }.map(\.index)
        var indexes = Set(open).subtracting(known.states.keys).sorted().filter { $0 + 1 < window.pair.commonCount }
        if indexes.count > Search.stopLimit {
            indexes = Array(indexes.prefix(Search.stopLimit / 2) + indexes.suffix(Search.stopLimit / 2))
        }
        guard !indexes.isEmpty else { return result }
        try zoom.timed("reading registers after \(indexes.count) instructions") {
            do {
                try goBack(to: window.range.lowerBound)
                for index in indexes { result.states[index] = try registers(after: index, of: window) }
            } catch let error as RunError {
                // The chain is worth its report without these values.
                zoom.result.warnings.append("the registers could not be read: \(error)")
            }
        }
        return result
    }

    /// Puts both sides back to a place: to the checkpoint if it is not after the place, or to the beginning; and from there
    /// on to the place.
    func goBack(to place: UInt64) throws {
        if let checkpoint = sides.checkpoint, checkpoint <= place {
            try sides.goBack()
        } else {
            try sides.restart()
        }
        if sides.original.icount < place { try run(to: place, "running both sides") }
    }

    /// Keeps a checkpoint of both sides where the engine can go back to one.
    func keepCheckpoint() throws {
        guard sides.checkpoint != sides.original.icount, try sides.canGoBack() else { return }
        try zoom.timed("keeping a checkpoint of both sides at \(sides.original.icount)") {
            try sides.keepCheckpoint(zoom.limits)
        }
    }

    /// Stops both sides after an instruction of the window and reads their registers; nil if they do not get there. QEMU's
    /// count lacks the faults of the window before it.
    private func registers(
        after index: Int, of window: Window
    ) throws -> (original: GuestRegisters, replay: GuestRegisters)? {
        let trace = window.pair.original
        let next = trace.addresses[index + 1]
        for place in trace.places(before: index + 1, window.range, from: sides.original.icount) {
            let stops = try sides.run(to: place)
            guard stops.original == .reached, stops.replay == .reached else { return nil }
            let state = (original: try sides.original.registers(), replay: try sides.replay.registers())
            if state.original["RIP"] == next, state.replay["RIP"] == next { return state }
        }
        return nil
    }
}
