// SPDX-License-Identifier: GPL-2.0-or-later

import Formatting
import MachineCode

/// Walks back through the window of one side from an instruction, and collects the instructions that made the data of its
/// decision.
///
/// With one side nothing shows which value is the different one: all data is followed, addresses are not. The walk ends at
/// inputs, at constants, at the window's start, and after a number of instructions.
struct SliceFinder {
    /// An instruction of the slice.
    struct Node {
        var index: Int
        var role: ZoomResult.Link.Role
        var register: RegisterUse.Register?
        var access: WindowTrace.Access?
    }

    /// Instructions of a slice, and places of memory that are looked for at a time.
    private static let (limit, memoryLimit) = (64, 64)

    let trace: WindowTrace
    let table: EffectsTable
    private var nodes: [Node] = []
    private var registers: [RegisterUse.Register: UInt8] = [:]
    private var memory: [WindowTrace.Access] = []
    /// Flags that are those before this instruction: an interrupt came after it.
    private var suspended: [Int: UInt8] = [:]

    init(_ trace: WindowTrace, _ table: EffectsTable) {
        self.trace = trace
        self.table = table
    }

    /// The instructions in the order of execution, the deciding one last; and what of their data is older than the window.
    mutating func slice(to index: Int) -> (nodes: [Node], older: [String]) {
        nodes = [Node(index: index, role: .decide)]
        addSources(of: index, node: 0)
        var at = index - 1
        while at >= 0, nodes.count < SliceFinder.limit, !registers.isEmpty || !memory.isEmpty || !suspended.isEmpty {
            if let bytes = suspended.removeValue(forKey: at) { registers[.flags, default: 0] |= bytes }
            takeStores(at)
            takeRegisters(at)
            at -= 1
        }
        let places = memory.map { "memory at \(RowText.hex($0.virtual))" }
        let names = registers.keys.filter { $0 != .control }.map(\.name).sorted()
        return (nodes.sorted { $0.index < $1.index }, at < 0 ? names + places : [])
    }

    private mutating func takeStores(_ index: Int) {
        guard !memory.isEmpty, trace.hasAccesses(index) else { return }
        for store in trace.accesses(index) where store.isStore {
            let wanted = memory.count
            memory.removeAll { store.overlaps($0.physical, $0.size) }
            guard memory.count < wanted else { continue }
            nodes.append(Node(index: index, role: .store, access: store))
            addSources(of: index, node: nodes.count - 1)
        }
    }

    private mutating func takeRegisters(_ index: Int) {
        let effects = table.entry(index).effects
        if effects.isInterruptReturn, let flags = registers.removeValue(forKey: .flags),
            let place = trace.interruptedPlace(of: index, table)
        {
            suspended[place] = flags
        }
        for written in effects.writes where !effects.advances.contains(written.register) {
            guard let wanted = registers[written.register], wanted & written.bytes != 0 else { continue }
            let left = wanted & ~written.bytes
            registers[written.register] = left == 0 ? nil : left
            nodes.append(Node(index: index, role: .compute, register: written.register))
            addSources(of: index, node: nodes.count - 1)
        }
    }

    private mutating func addSources(of index: Int, node: Int) {
        let effects = table.entry(index).effects
        if effects.isConstant { return }
        if effects.input != nil, nodes[node].role == .compute { nodes[node].role = .input }
        for load in trace.accesses(index) where !load.isStore {
            if nodes[node].role == .compute { nodes[node].role = load.isDevice ? .input : .load }
            if nodes[node].access == nil { nodes[node].access = load }
            if !load.isDevice, memory.count < SliceFinder.memoryLimit { memory.append(load) }
        }
        for read in effects.reads where read.register != .control { registers[read.register, default: 0] |= read.bytes }
        if effects.isRepeated { registers[.rcx, default: 0] |= 0xff }
    }
}

extension WindowTrace {
    /// For a return from an interrupt: the instruction after which the interrupt came; nil if it is not in the window.
    func interruptedPlace(of index: Int, _ table: EffectsTable) -> Int? {
        guard index + 1 < count else { return nil }
        let target = addresses[index + 1]
        return (0..<index).last { place in
            let address = addresses[place]
            let isNext = address &+ UInt64(table.entry(place).instruction.size) == target
            return (isNext || address == target) && addresses[place + 1] != target
        }
    }
}
