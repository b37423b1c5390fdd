// SPDX-License-Identifier: GPL-2.0-or-later

/// The data that an instruction reads and writes, as the search for a decision needs it: whole registers, and memory as the
/// GNU tools write it. ``InstructionEffects`` describes the same with the parts of registers, for traces of values.
///
/// Registers have the names of their full width: `rax` for `al` too, `flags` for the arithmetic flags.
struct DataEffects: Hashable, Sendable {
    /// Registers whose values the results depend on.
    var reads: Set<String> = []
    /// Registers that are replaced as a whole.
    var writes: Set<String> = []
    /// Registers that keep a part of their value, or keep it under a condition.
    var changes: Set<String> = []
    /// Memory that is read.
    var loads: [MemoryOperand] = []
    /// Whether the result comes from outside: a port, a clock, the processor's identification, a random number.
    var isInput = false

    /// No effects.
    init() {}
}

/// A place in memory as an instruction names it.
public struct MemoryOperand: Hashable, Sendable {
    /// As the GNU tools write it: `0x8(%rdi,%rcx,4)`.
    public var text: String
    /// The address, if no register but the instruction pointer is part of it.
    public var address: UInt64?
    /// The registers that are part of the address.
    public var registers: Set<String>
    /// The number of bytes.
    public var size: Int

    /// Makes an operand.
    public init(text: String, address: UInt64? = nil, registers: Set<String> = [], size: Int) {
        self.text = text
        self.address = address
        self.registers = registers
        self.size = size
    }
}
