// SPDX-License-Identifier: GPL-2.0-or-later

import MachineCode

/// The effects of the instructions of a trace, each decoded once.
final class EffectsTable {
    /// An instruction of the guest's code.
    struct Entry {
        var instruction = Instruction.none
        var effects = InstructionEffects()
    }

    private let trace: WindowTrace
    private let mode: CodeMode
    private let reader: Disassembler
    private let writer: Disassembler
    private var entries: [Int: Entry] = [:]

    init(_ trace: WindowTrace, mode: CodeMode) throws {
        self.trace = trace
        self.mode = mode
        reader = try Disassembler(syntax: .intel)
        writer = try Disassembler(syntax: .att)
    }

    /// The instruction with this number; one of 0 bytes if it cannot be decoded.
    func entry(_ index: Int) -> Entry {
        let site = trace.site(index)
        if let known = entries[site] { return known }
        let address = trace.addresses[index]
        let decoded = trace.code(index).withUnsafeBytes { reader.effects(of: $0, at: address, mode: mode) }
        let entry = decoded.map { Entry(instruction: $0.instruction, effects: $0.effects) } ?? Entry()
        entries[site] = entry
        return entry
    }

    /// The instruction as text.
    func text(_ index: Int) -> String {
        let code = trace.code(index)
        let isKnown = code.withUnsafeBytes { writer.decode($0, at: trace.addresses[index], mode: mode) != nil }
        if isKnown { return writer.text }
        return ".byte " + code.map { "0x\(String($0, radix: 16))" }.joined(separator: ",")
    }
}
