// SPDX-License-Identifier: GPL-2.0-or-later

import MachineCode
import ReplaySession

/// The zoom of one side, where the other cannot be run: the window before the divergence, what its last decision was made
/// of, and the registers there.
struct OneSide {
    let zoom: ZoomSession
    let side: ReplaySide
    let isOriginal: Bool
    let places: QEMUPlaces
    let limits: Limits
    /// Names the step that progress is about.
    let name: (String) -> Void

    private func run(to place: UInt64, _ step: String) throws -> ReplaySide.Stop {
        name(step)
        try limits.check()
        try side.begin(to: place)
        while true {
            if let stop = try side.poll(seconds: 0.2) { return stop }
            try limits.check()
            if let count = side.progress() { zoom.showProgress(count) }
        }
    }

    /// Explains where a side's path comes from.
    ///
    /// - Parameter branches: branches of the side's log around the divergence.
    /// - Parameter icount: instructions begun before the divergence, as the log counts them.
    func explain(_ icount: UInt64, _ branches: [ZoomSession.Landmark]) throws {
        let (begin, end) = places.window(before: icount, zoom.options)
        let stop = try zoom.timed("running one side to instruction \(begin)") { try run(to: begin, "running one side") }
        guard stop == .reached else { throw ZoomError("it does not reach instruction \(begin): \(stop.text)") }
        if try side.canGoBack() { try side.keepCheckpoint() }
        let registers = try side.registers()
        let kernel = isOriginal ? zoom.options.kernels.original : zoom.options.kernels.replay
        let task = try RunningTask(side, kernel)
        try zoom.timed("logging every instruction up to \(end)") {
            try side.openWindow()
            _ = try run(to: end, "logging every instruction")
            try side.closeWindow()
        }
        let trace = WindowTrace(side.window)
        zoom.result.window = begin..<end
        zoom.result.commonInstructions = trace.count
        let range = places.range(ofLog: icount)
        let faults = range.upperBound - range.lowerBound
        guard let before = trace.instructionsBefore(branches, from: begin, faults: faults),
            icount > before, icount - before <= UInt64(trace.count)
        else { throw ZoomError("the log's branches are not in the window") }
        let decider = Int(icount - before) - 1
        let running = task?.task(at: decider, of: trace, side)
        zoom.result.running = isOriginal ? (running, nil) : (nil, running)
        let table = try EffectsTable(trace, mode: CodeMode(rawValue: UInt8(registers.codeBits)) ?? .bits64)
        var finder = SliceFinder(trace, table)
        let slice = zoom.timed("walking back") { finder.slice(to: decider) }
        zoom.result.outcome = .partial
        if !slice.older.isEmpty {
            zoom.result.originText =
                "older than the window: " + slice.older.prefix(16).joined(separator: ", ")
                + (slice.older.count > 16 ? ", …" : "")
        }
        zoom.result.chain = slice.nodes.map { node in
            link(node, trace, table, icount: before + UInt64(node.index), place: begin + UInt64(node.index))
        }
        try addValues(slice.nodes, trace, begin, decider)
    }

    private func link(
        _ node: SliceFinder.Node, _ trace: WindowTrace, _ table: EffectsTable, icount: UInt64, place: UInt64
    ) -> ZoomResult.Link {
        var link = ZoomResult.Link(
            role: node.role, index: node.index, icount: icount, ip: trace.addresses[node.index],
            instruction: table.text(node.index))
        link.register = node.register.map(\.name)
        link.place = place
        if let access = node.access {
            link.memory = ZoomResult.Memory(virtual: access.virtual, physical: access.physical, size: access.size)
            if !access.isDevice { set(access.value, &link) }
        }
        return link
    }

    private func set(_ value: UInt64, _ link: inout ZoomResult.Link) {
        if isOriginal { link.original = value } else { link.replay = value }
    }

    /// Runs the window again and reads registers after the instructions of the chain, and before the deciding one.
    private func addValues(
        _ nodes: [SliceFinder.Node], _ trace: WindowTrace, _ begin: UInt64, _ decider: Int
    ) throws {
        let wanted = nodes.enumerated().filter { $1.access == nil && $1.role != .decide }
        try zoom.timed("reading registers after \(wanted.count + 1) instructions") {
            if side.checkpoint == nil { try side.restart() } else { try side.goBack() }
            if side.icount < begin { _ = try run(to: begin, "running one side") }
            var last: GuestRegisters?
            for (number, node) in wanted {
                guard let registers = try registers(before: node.index + 1, trace, begin) else { return }
                let register = (node.register ?? .rax).upperName
                if let value = registers[register] { set(value, &zoom.result.chain[number]) }
                last = registers
            }
            if let found = try registers(before: decider, trace, begin) ?? last {
                zoom.result.registers = found.list.filter { ZoomResult.shownRegisters.contains($0.name) }
                    .map { ZoomResult.RegisterItem(name: $0.name, value: $0.value) }
            }
        }
    }

    /// Stops before an instruction of the window. QEMU's count lacks the faults of the window before it.
    private func registers(before index: Int, _ trace: WindowTrace, _ begin: UInt64) throws -> GuestRegisters? {
        guard trace.addresses.indices.contains(index) else { return nil }
        let window = begin..<max(begin, zoom.result.window?.upperBound ?? begin)
        for place in trace.places(before: index, window, from: side.icount) {
            guard try run(to: place, "reading registers") == .reached else { return nil }
            let registers = try side.registers()
            if registers["RIP"] == trace.addresses[index] { return registers }
        }
        return nil
    }
}

extension WindowTrace {
    /// Where QEMU can stop before an instruction of the window: its count lacks the faults of the window before it.
    ///
    /// - Parameter now: where the guest is.
    func places(before index: Int, _ window: Range<UInt64>, from now: UInt64) -> Range<UInt64> {
        let length = UInt64(window.count)
        let faults = UInt64(count) > length ? min(UInt64(count) - length, 4096) : 0
        let latest = window.lowerBound + UInt64(index)
        let first = max(latest > faults ? latest - faults : 1, now)
        return min(first, latest + 1)..<latest + 1
    }

    /// The instructions that began before the window, as a log counts them, from branches of the log in it. nil if no
    /// number fits, or if several do.
    ///
    /// - Parameter faults: the most restored faults before the window: the log counts them, and QEMU does not.
    func instructionsBefore(_ branches: [ZoomSession.Landmark], from begin: UInt64, faults: UInt64) -> UInt64? {
        func fits(_ before: UInt64) -> Bool {
            var inside = 0
            for branch in branches where branch.icount > before {
                let index = Int(clamping: branch.icount - before - 1)
                guard index + 1 < count else { continue }
                guard addresses[index] == branch.from, addresses[index + 1] == branch.to else { return false }
                inside += 1
            }
            return inside > 0
        }
        let found = (begin...begin &+ min(faults, 1 << 24)).filter(fits)
        return found.count == 1 ? found.first : nil
    }
}
