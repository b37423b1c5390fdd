// SPDX-License-Identifier: GPL-2.0-or-later

/// Makes the links of a result from the nodes of a chain.
struct LinkMaker {
    let pair: TracePair
    let table: EffectsTable
    /// The instruction that the chain leads to.
    let decider: Int
    /// Where the window begins, in QEMU's count.
    let begin: UInt64
    /// Instructions begun after it, as the logs count them; nil if that is unknown.
    let icount: UInt64?
    /// Registers after instructions.
    let values: RegisterValues

    func link(_ node: ChainFinder.Node) -> ZoomResult.Link {
        var link = ZoomResult.Link(
            role: node.role, index: node.index, icount: nil, ip: pair.original.addresses[node.index],
            instruction: table.text(node.index))
        if let icount { link.icount = icount &- UInt64(decider - node.index) &- 1 }
        link.place = begin + UInt64(node.index)
        link.register = node.register.map { "\($0)" }
        if let access = node.access {
            link.memory = ZoomResult.Memory(
                virtual: access.original.virtual, physical: access.original.physical, size: access.original.size)
            link.original = access.original.value
            link.replay = access.replay.value
        } else if let (original, replay) = values[node] {
            link.register = link.register ?? "rax"
            (link.original, link.replay) = (original, replay)
        }
        return link
    }
}

/// Says where the first different value of a chain came from.
struct OriginMaker {
    let window: Search.Window
    let places: QEMUPlaces
    let initial: Set<UInt64>
    /// Words that differ because a device filled them, as far as that is known.
    var filled: Set<UInt64> = []

    func describe(_ end: ChainFinder.End, _ result: inout ZoomResult) {
        result.outcome = .explained
        switch end {
        case .input(let index):
            result.origin = .input
            result.originText = "the instruction reads \(inputName(index))"
        case .device:
            result.origin = .input
            result.originText = "the instruction reads the memory of a device"
        case .code:
            result.origin = .code
            result.originText = "the two sides have different instructions there"
        case .memoryAtStart(let place) where initial.isSuperset(of: place.words):
            result.origin = .file
            result.originText = "the memory differs since before the first instruction: the files of the runs differ"
        case .memoryAtStart(let place) where filled.isSuperset(of: place.words):
            result.origin = .device
            result.originText = "no instruction wrote the memory: a device did, from a file or disk of the guest"
        case .memoryAtStart:
            result.origin = .memory
            result.outcome = .partial
            result.reason = "the memory differs already at the window's start"
        case .registerAtStart(let register):
            result.origin = .register
            result.outcome = .partial
            result.reason = "the register \(register) differs already at the window's start"
        case .notWritten(let place):
            result.origin = .device
            result.originText = "no instruction wrote the memory: a device did" + block(before: place.index)
        case .none:
            describeNothing(&result)
        }
    }

    private func inputName(_ index: Int) -> String {
        switch window.table.entry(index).effects.input {
        case .port: "a port"
        case .timestamp: "the time-stamp counter"
        case .cpuid: "the processor's description"
        case .msr: "a model-specific register"
        case .random: "a random number"
        case .control, nil: "a control register"
        }
    }

    /// The last request of a disk that was completed before an instruction.
    private func block(before index: Int) -> String {
        guard let block = places.lastBlock(upTo: window.range.lowerBound &+ UInt64(index)),
            block >= window.range.lowerBound
        else { return "" }
        return "; the last request of a disk before that was completed at instruction \(block)"
    }

    private func describeNothing(_ result: inout ZoomResult) {
        result.outcome = .unexplained
        let last = window.pair.commonCount - 1
        guard window.pair.hasPathDifference, last >= 0 else { return }
        let instruction = window.table.entry(last).instruction
        let next = instruction.fallThrough
        let (first, second) = (window.pair.original.addresses[last + 1], window.pair.replay.addresses[last + 1])
        if instruction.branchClass == .none, first == next || second == next {
            result.outcome = .explained
            result.origin = .event
            let side = first == next ? "replay" : "original"
            result.originText = "an interrupt or exception comes after the instruction in the \(side) only"
        } else {
            result.reason = "the logged values do not explain the difference"
        }
    }
}
