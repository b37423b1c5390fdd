// SPDX-License-Identifier: GPL-2.0-or-later

import BranchAnalysis
import Formatting
import LogFormat
import MachineCode
import Symbolize

/// Passes the branches of inputs to a view: input after input, vCPU after vCPU, batch after batch.
///
///     var walk = try BranchWalk(paths: ["run1", "run2"]) { print($0.text) }
///     walk.bounds = ClockBounds(from: .at(533_000_000), to: .at(534_000_000))
///     try walk.run(&view)
///
/// Reports damage of the inputs, and symbol files that do not belong to them.
public struct BranchWalk {
    /// The opened files.
    public let inputs: [BranchInput]
    /// The descriptions of ``inputs`` that views receive.
    public private(set) var views: [ViewInput]
    /// Only this vCPU; all if `nil`.
    public var vcpu: UInt16?
    /// The part of each vCPU's branches that is read.
    public var bounds = ClockBounds()
    /// Within ``bounds``, the first clock that is read and the one after the last (`.max`: no end).
    public var limits: (from: UInt64, to: UInt64) = (0, .max)
    /// The selection among the branches in ``bounds``.
    public var selection = BranchSelection()

    private var health: LogHealth
    /// Checks that the files that name addresses belong to the inputs.
    private var check: CodeCheck?
    private var labeler: BranchLabeler?

    /// Opens all inputs, and reports the damage of each as a whole.
    ///
    /// - Parameter report: Receives notices now and during the walk.
    ///
    /// Throws a `LogError` or a ``ViewError`` if an input cannot be read or holds no branches.
    public init(paths: [String], report: @escaping NoticeHandler) throws {
        var health = LogHealth(report: report)
        inputs = try paths.map { try BranchInput(path: $0, health: &health) }
        views = inputs.map { $0.view(isOneOfSeveral: paths.count > 1) }
        self.health = health
    }

    /// The first log among the inputs; symbol files are placed by its branches.
    public var log: LogFile? { firstLog.flatMap { views[$0].log } }

    private var firstLog: Int? { views.firstIndex { $0.log != nil } }

    /// The machine that the inputs ran on; `nil` if no input states it.
    public var machine: Machine? { views.lazy.compactMap(\.machine).first }

    /// Checks these files against the inputs, and labels raw records by the files' code.
    ///
    /// Inputs to which the files do not belong are reported during the walk, except ``log``: placing the files checks that
    /// one. Throws ``ViewError/differentMachines(path:machine:otherPath:other:)`` if the inputs ran on different processors.
    public mutating func use(_ symbolizer: Symbolizer) throws {
        if let machine, let other = views.first(where: { $0.machine ?? machine != machine }) {
            throw ViewError.differentMachines(
                path: other.path, machine: other.machine ?? .unknown, otherPath: views[0].path, other: machine)
        }
        // Code is read for the inputs that have not been checked.
        guard inputs.count > 1 || firstLog == nil else { return }
        var (code, _) = CodeMap.of(symbolizer.modules, machine: machine)
        guard !code.isEmpty else { return }
        if inputs.contains(where: { $0.source.rawBTS != nil }) {
            let disassembler = try Disassembler()
            try code.findPatchSites(disassembler)
            labeler = BranchLabeler(code, disassembler, symbolizer)
            for index in views.indices where views[index].log == nil { views[index].hasLabels = true }
        }
        check = CodeCheck(code)
    }

    /// Hands everything that is selected to a view, and finishes the view.
    ///
    /// Throws, after the last row: what the view throws if it is not complete, ``DamagedInput`` if an input is damaged, and
    /// ``ViewError/allElided(records:)`` if the recorder left out everything.
    ///
    /// - Parameter progress: Receives the number of branches read so far and in all, once for each batch.
    /// - Returns: The number of selected branches. An empty selection is reported.
    @discardableResult
    public mutating func run<View: BranchView & ~Copyable>(
        _ view: inout View, progress: (_ done: UInt64, _ total: UInt64) -> Void = { _, _ in }
    ) throws -> UInt64 {
        try checkVCPU()
        let lanes = inputs.indices.map { index in (input: index, vcpus: vcpu.map { [$0] } ?? views[index].vcpus) }
        let total = lanes.reduce(0 as UInt64) { sum, lane in
            lane.vcpus.reduce(sum) {
                let (from, to) = resolvedBounds(of: lane.input, vcpu: $1)
                return $0 &+ inputs[lane.input].source.branchCount(vcpu: $1, from: from, to: to)
            }
        }
        var (done, selected) = (0 as UInt64, 0 as UInt64)
        for lane in lanes where !view.isOver {
            if lane.input != firstLog { try checkCode(of: inputs[lane.input]) }
            try view.begin(views[lane.input])
            var reached = (from: false, to: false)
            for vcpu in lane.vcpus {
                guard let (from, to, selection) = part(of: lane.input, vcpu: vcpu) else { continue }
                let selectsAll = selection.isEverything
                var selector = BranchSelector(selection)
                view.begin(vcpu: vcpu)
                health.add(
                    inputs[lane.input].source.forEachBranchBatch(vcpu: vcpu, from: from, to: to, label: labeler?.label)
                    {
                        batch, range in
                        done &+= UInt64(range.count)
                        progress(done, total)
                        guard !selectsAll else {
                            view.add(batch, range)
                            return !view.isOver
                        }
                        return selector.feed(batch, range, to: &view) && !view.isOver
                    })
                selected &+= selector.selected
                guard !view.isOver else { break }
                view.end(vcpu: vcpu)
                reached = (reached.from || selector.hasBegun, reached.to || selector.hasEnded)
            }
            if !view.isOver { report(reached, of: views[lane.input]) }
        }
        if selection.isEverything { selected = done }
        do {
            try view.finish()
        } catch {
            try? health.finish()
            throw error
        }
        try health.finish()
        if done == 0 && health.elidedRecords > 0 { throw ViewError.allElided(records: health.elidedRecords) }
        if selected == 0 { reportNothing() }
        return selected
    }

    private func resolvedBounds(of input: Int, vcpu: UInt16) -> (from: UInt64, to: UInt64) {
        let (from, to) = bounds.resolved(in: views[input].clocks(vcpu: vcpu))
        return (max(from, limits.from), min(to, limits.to))
    }

    /// The clocks and the selection of a vCPU's part; `nil` if the vCPU never reaches the place before which the part
    /// is.
    private func part(
        of input: Int, vcpu: UInt16
    ) -> (from: UInt64, to: UInt64, selection: BranchSelection)? {
        var (from, to) = resolvedBounds(of: input, vcpu: vcpu)
        var selection = selection
        guard let before = selection.before else { return (from, to, selection) }
        if let place = selection.from ?? selection.to {
            guard let clock = firstVisit(of: place, input: input, vcpu: vcpu, from: from, to: to) else {
                health.report(.warning("\(views[input].path): no branch reaches \(place.text): nothing is selected"))
                return nil
            }
            if selection.from == nil {
                to = clock == .max ? clock : clock + 1
                selection.to = nil
            } else {
                selection.from = nil
                let next = clock == .max ? clock : clock + 1
                if let to = selection.to, to.brctr < next { selection.to?.brctr = next }
            }
            from = max(from, clock > before ? clock - before : 0)
        } else if to != .max {
            from = max(from, to > before ? to - before : 0)
        }
        return (from, to, selection)
    }

    /// The clock of a vCPU's first branch that reaches a place.
    private func firstVisit(
        of place: BranchSelection.Place, input: Int, vcpu: UInt16, from: UInt64, to: UInt64
    ) -> UInt64? {
        var finder = PlaceFinder()
        var found: UInt64?
        // Damage is reported when the part is shown.
        _ = inputs[input].source.forEachBranchBatch(vcpu: vcpu, from: from, to: to) { batch, range in
            if let index = finder.visit(of: place, batch, range) { found = batch.clockFirst &+ UInt64(index) }
            return found == nil
        }
        return found
    }

    private func checkCode(of input: BranchInput) throws {
        if let log = input.source.log { try check?.notices(for: log).forEach(health.report) }
        if let raw = input.source.rawBTS { try check?.notices(for: raw).forEach(health.report) }
    }

    /// Warns about selection bounds that no branch reached.
    private func report(_ reached: (from: Bool, to: Bool), of input: ViewInput) {
        guard selection.before == nil else { return }
        if let place = selection.from, !reached.from {
            health.report(.warning("\(input.path): no branch reaches \(place.text): nothing is selected"))
        } else if let place = selection.to, !reached.to {
            health.report(
                .warning(
                    "\(input.path): no branch reaches \(place.text) afterwards: everything up to the end is selected"))
        }
    }

    /// Reports that nothing was selected, with the range of the inputs' branches.
    private func reportNothing() {
        for view in views {
            let clocks = (vcpu.map { [$0] } ?? view.vcpus).map { vcpu in
                let clocks = view.clocks(vcpu: vcpu)
                let range = clocks.isEmpty ? "none" : "\(clocks.lowerBound):\(clocks.upperBound)"
                return view.vcpus.count > 1 ? "vcpu \(vcpu) \(range)" : range
            }
            health.report(.note("\(view.path): no branch is selected; it holds \(clocks.joined(separator: ", "))"))
        }
    }

    private func checkVCPU() throws {
        guard let vcpu else { return }
        for view in views where !view.vcpus.contains(vcpu) {
            throw ViewError.noVCPU(path: view.path, vcpu: vcpu, present: view.vcpus)
        }
    }
}
