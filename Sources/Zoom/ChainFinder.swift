// SPDX-License-Identifier: GPL-2.0-or-later

import MachineCode

/// Walks back through a window from the place where two runs part to the first value that differs.
///
/// It follows registers by what instructions read and write, and memory by the logged addresses and values. A load with
/// equal values on both sides cannot be the cause and ends its branch of the search. A load with different values is
/// part of the cause: all other branches are dropped, and the search goes on with the memory that it read. What remains
/// without a load at the end is an input, or a state that differed at the window's start.
struct ChainFinder {
    /// The place where a chain begins.
    enum End: Equatable {
        /// An instruction read it from outside.
        case input(index: Int)
        /// A device's memory was read.
        case device(index: Int)
        /// No instruction of the window wrote it, and it was equal at the window's start.
        case notWritten(TraceMemory)
        /// It differed at the window's start.
        case memoryAtStart(TraceMemory)
        case registerAtStart(RegisterUse.Register)
        /// The instruction itself differs.
        case code(index: Int)
        /// Nothing that differs was found.
        case none
    }

    /// Memory that an instruction read or wrote.
    struct TraceMemory: Equatable {
        var physical: UInt64
        var virtual: UInt64
        var size: Int
        /// The bytes that differ, a bit each.
        var bytes: UInt8
        /// The instruction that read it.
        var index: Int

        /// Physical addresses of the 8-byte words in which it differs.
        var words: Set<UInt64> {
            Set((0..<size).filter { bytes >> UInt8($0) & 1 != 0 }.map { (physical &+ UInt64($0)) & ~7 })
        }

        /// The bytes of an access that are among the differing ones, a bit each of the access.
        func covered(by access: WindowTrace.Access) -> UInt8 {
            guard access.overlaps(physical, size) else { return 0 }
            var covered: UInt8 = 0
            for byte in 0..<access.size {
                let distance = access.physical &+ UInt64(byte) &- physical
                if distance < UInt64(size), bytes >> UInt8(distance) & 1 != 0 { covered |= 1 << UInt8(byte) }
            }
            return covered
        }
    }

    /// An instruction of the chain.
    struct Node {
        var index: Int
        var role: ZoomResult.Link.Role
        /// The node that needed it; -1 for none.
        var parent = -1
        var register: RegisterUse.Register?
        var access: TracePair.AccessPair?
    }

    /// The earliest inputs of a chain that are distinguished.
    private static let inputLimit = 64

    let pair: TracePair
    let table: EffectsTable
    /// State that differs at the window's start.
    let startRegisters: Set<RegisterUse.Register>
    let startWords: Set<UInt64>
    /// Registers after some of the instructions, where they are known.
    let values: RegisterValues

    private(set) var nodes: [Node] = []
    private var registers: [RegisterUse.Register: (bytes: UInt8, parent: Int)] = [:]
    private var memory: [(place: TraceMemory, parent: Int)] = []
    private var inputs: [(end: End, node: Int)] = []
    /// Wishes that take effect again before this instruction: those of an interrupted place.
    private var suspended: [Int: [(register: RegisterUse.Register, bytes: UInt8, parent: Int)]] = [:]
    /// Instructions that began and were undone.
    private var undone: Set<Int> = []

    init(
        _ pair: TracePair, _ table: EffectsTable, startRegisters: Set<RegisterUse.Register>, startWords: Set<UInt64>,
        values: RegisterValues = RegisterValues()
    ) {
        self.values = values
        self.pair = pair
        self.table = table
        self.startRegisters = startRegisters
        self.startWords = startWords
    }

    // MARK: Beginning

    /// Nodes from the first different value to the last, and where they begin.
    typealias Chain = (nodes: [Node], end: End)

    /// The chains to an instruction after which the paths differ.
    ///
    /// - Returns: one chain; several if it is open which of several inputs differs, in the order of the inputs.
    mutating func chains(to index: Int) -> [Chain] {
        let entry = table.entry(index)
        nodes = [Node(index: index, role: .decide)]
        if pair.original.code(index) != pair.replay.code(index) { return [(nodes, .code(index: index))] }
        addSources(of: index, entry, bytes: 0xff, isCopy: false, parent: 0)
        // A string instruction repeats as often as rcx says.
        if entry.effects.isRepeated, memory.isEmpty { want(RegisterUse(.rcx), parent: 0) }
        // The instruction may have faulted: its addresses decide.
        if registers.isEmpty, memory.isEmpty { wantAddresses(entry, parent: 0) }
        return walk(from: index - 1)
    }

    /// The chains to a different access: the instruction that reads or writes other values than on the other side.
    mutating func chains(toAccessOf index: Int) -> [Chain] {
        let entry = table.entry(index)
        let different = pair.accesses(index).first { !$0.hasSameAddress || $0.differs() }
        let isStore = different?.original.isStore == true
        nodes = [Node(index: index, role: isStore ? .store : .load, access: different)]
        if let different, different.hasSameAddress, !isStore {
            want(different, index, parent: 0)
        } else if different?.hasSameAddress == false {
            wantAddresses(entry, parent: 0)
        } else {
            addSources(of: index, entry, bytes: 0xff, isCopy: false, parent: 0)
        }
        return walk(from: index - 1)
    }

    /// The chains to memory that differs at the window's end.
    mutating func chains(toMemory place: TraceMemory) -> [Chain] {
        nodes = []
        memory = [(place, -1)]
        return walk(from: pair.commonCount - 1)
    }

    /// The chains to a register that differs at the window's end.
    mutating func chains(toRegister register: RegisterUse.Register) -> [Chain] {
        nodes = []
        registers = [register: (0xff, -1)]
        return walk(from: pair.commonCount - 1)
    }

    // MARK: Walking back

    private mutating func walk(from last: Int) -> [Chain] {
        var index = last
        while index >= 0, !registers.isEmpty || !memory.isEmpty || !suspended.isEmpty {
            if let wishes = suspended.removeValue(forKey: index) {
                for wish in wishes {
                    want(RegisterUse(wish.register, bytes: wish.bytes), parent: wish.parent)
                }
            }
            if let chain = takeStore(index) { return [chain] }
            if !registers.isEmpty { takeRegisters(index) }
            index -= 1
        }
        return finish()
    }

    private mutating func finish() -> [Chain] {
        for (place, parent) in memory {
            let differed = place.words.contains { startWords.contains($0) }
            return [(path(to: parent), differed ? .memoryAtStart(place) : .notWritten(place))]
        }
        let suspects = registers.filter { startRegisters.contains($0.key) }
        if let (register, wish) = suspects.max(by: { $0.value.parent < $1.value.parent }) {
            return [(path(to: wish.parent), .registerAtStart(register))]
        }
        guard !inputs.isEmpty else { return [(path(to: 0), .none)] }
        return inputs.suffix(ChainFinder.inputLimit).reversed().map { (path(to: $0.node), $0.end) }
    }

    /// The nodes from this one to the first, which decides.
    private func path(to node: Int) -> [Node] {
        var list: [Node] = []
        var next = node
        while nodes.indices.contains(next) {
            list.append(nodes[next])
            next = nodes[next].parent
        }
        return list
    }

    /// Looks for a store to the wanted memory. Returns the answer if the store's instruction differs.
    private mutating func takeStore(_ index: Int) -> Chain? {
        guard let wanted = memory.first, pair.original.hasAccesses(index) else { return nil }
        let place = wanted.place
        let store = pair.accesses(index).last { access in
            [access.original, access.replay].contains { $0.isStore && place.covered(by: $0) != 0 }
        }
        guard let store else { return nil }
        let node = add(Node(index: index, role: .store, parent: wanted.parent, access: store))
        memory.removeAll()
        let entry = table.entry(index)
        if pair.original.code(index) != pair.replay.code(index) { return (path(to: node), .code(index: index)) }
        guard store.hasSameAddress else {
            wantAddresses(entry, parent: node)
            return nil
        }
        // Equal values: a device or the processor wrote the word after this.
        guard store.differs(in: place.covered(by: store.original)) else {
            nodes.removeLast()
            return (path(to: wanted.parent), .notWritten(place))
        }
        addSources(of: index, entry, bytes: 0xff, isCopy: entry.effects.isCopy, parent: node)
        if entry.effects.isAtomic, memory.isEmpty { want(store, index, parent: node) }
        return nil
    }

    /// Looks for instructions that write wanted registers.
    private mutating func takeRegisters(_ index: Int) {
        let entry = table.entry(index)
        let effects = entry.effects
        if effects.isInterruptReturn { suspend(index) }
        guard !undone.contains(index) else { return }
        for written in effects.writes {
            guard let wish = registers[written.register], wish.bytes & written.bytes != 0 else { continue }
            // A pointer or a counter that the instruction moves on by itself.
            if effects.advances.contains(written.register) { continue }
            let left = wish.bytes & ~written.bytes
            registers[written.register] = left == 0 ? nil : (left, wish.parent)
            if values.areEqual(written.register, bytes: wish.bytes & written.bytes, after: index) { continue }
            let node = add(Node(index: index, role: .compute, parent: wish.parent, register: written.register))
            addSources(of: index, entry, bytes: wish.bytes & written.bytes, isCopy: effects.isCopy, parent: node)
            // A load with different values has taken the place of everything else.
            if !memory.isEmpty { return }
        }
    }

    /// At a return from an interrupt: flags and stack pointer are those of the interrupted instruction.
    private mutating func suspend(_ index: Int) {
        guard index + 1 < pair.commonCount, let place = pair.original.interruptedPlace(of: index, table) else { return }
        let target = pair.original.addresses[index + 1]
        let isUndone = pair.original.addresses[place] == target
        if isUndone { undone.insert(place) }
        for register in [RegisterUse.Register.flags, .rsp] {
            guard let wish = registers.removeValue(forKey: register) else { continue }
            suspended[place, default: []].append((register, wish.bytes, wish.parent))
        }
    }

    // MARK: Sources

    /// Wants what an instruction's result was made of.
    private mutating func addSources(
        of index: Int, _ entry: EffectsTable.Entry, bytes: UInt8, isCopy: Bool, parent: Int
    ) {
        let effects = entry.effects
        if effects.isConstant { return }
        for access in pair.accesses(index) where !access.original.isStore {
            guard access.hasSameAddress else {
                clear()
                wantAddresses(entry, parent: parent)
                return
            }
            if access.original.isDevice, access.differs() || access.original.value == 0 {
                inputs.append((.device(index: index), parent))
            } else if access.differs(in: isCopy ? bytes : 0xff) {
                clear()
                want(access, index, parent: note(load: access, index, parent))
                return
            }
        }
        if effects.input != nil, !values.areInputsEqual(after: index) {
            nodes[parent].role = nodes[parent].role == .compute ? .input : nodes[parent].role
            inputs.append((.input(index: index), parent))
        }
        for read in effects.reads where read.register != .control {
            want(RegisterUse(read.register, bytes: isCopy ? read.bytes & bytes : read.bytes), parent: parent)
        }
    }

    /// Notes the load of an instruction. One that also stores has two nodes.
    private mutating func note(load access: TracePair.AccessPair, _ index: Int, _ node: Int) -> Int {
        if nodes[node].role == .store {
            return add(Node(index: index, role: .load, parent: node, access: access))
        }
        if nodes[node].role == .compute { nodes[node].role = .load }
        if nodes[node].access == nil { nodes[node].access = access }
        return node
    }

    private mutating func clear() {
        registers.removeAll()
        memory.removeAll()
        suspended.removeAll()
    }

    private mutating func want(_ use: RegisterUse, parent: Int) {
        guard use.bytes != 0 else { return }
        let known = registers[use.register]?.bytes ?? 0
        registers[use.register] = (known | use.bytes, parent)
    }

    private mutating func wantAddresses(_ entry: EffectsTable.Entry, parent: Int) {
        for use in entry.effects.addresses { want(use, parent: parent) }
    }

    private mutating func want(_ access: TracePair.AccessPair, _ index: Int, parent: Int) {
        let place = access.original
        let wanted = TraceMemory(
            physical: place.physical, virtual: place.virtual, size: place.size, bytes: access.differingBytes,
            index: index)
        memory = [(wanted, parent)]
    }

    private mutating func add(_ node: Node) -> Int {
        nodes.append(node)
        return nodes.count - 1
    }
}
