// SPDX-License-Identifier: GPL-2.0-or-later

import BranchAnalysis
import Formatting
import LogFormat
import MachineCode
import Symbolize

/// Hands the branches of inputs to a view: input after input, vCPU after vCPU, batch after batch.
///
///     var walk = try BranchWalk(paths: ["run1", "run2"])
///     walk.bounds = (533_000_000, 534_000_000)
///     try walk.run(&view)
///
/// Shows progress, says what is wrong with the inputs on stderr, and warns of symbol files that do not belong to them.
public struct BranchWalk {
    public let inputs: [BranchInput]
    /// What views are told of ``inputs``.
    public private(set) var views: [ViewInput]
    /// Only this vCPU; all when `nil`.
    public var vcpu: UInt16?
    /// The first clock that is read, and the one behind the last (`.max`: no end).
    public var bounds: (from: UInt64, to: UInt64) = (0, .max)
    /// Which of the branches in ``bounds`` are wanted.
    public var selection = BranchSelection()
    /// Progress is not shown: rows that come out on a terminal show it themselves.
    public var isQuiet = Output.standard.isTerminal

    private var health = LogHealth()
    /// Looks whether the files that name addresses belong to the inputs.
    private var check: CodeCheck?
    private var labeler: BranchLabeler?

    /// Opens all inputs, and says what is wrong with them as a whole.
    public init(paths: [String]) throws {
        var health = LogHealth()
        inputs = try paths.map { try BranchInput(path: $0, health: &health) }
        views = inputs.map { $0.view(isOneOfSeveral: paths.count > 1) }
        self.health = health
    }

    /// The first log among the inputs, which tells where the files of `--symbols` stood.
    public var log: LogFile? { firstLog.flatMap { views[$0].log } }

    private var firstLog: Int? { views.firstIndex { $0.log != nil } }

    /// The processor that the inputs ran on; `nil` when none says it.
    public var machine: UInt16? { views.lazy.compactMap(\.machine).first }

    /// Names addresses after these files: inputs to which they do not belong are warned of, but for ``log``, of which who
    /// placed the files knows it; and raw records get their labels from the files' code.
    ///
    /// Throws when the inputs ran on different processors.
    public mutating func use(_ symbolizer: Symbolizer) throws {
        if let machine, let other = views.first(where: { $0.machine ?? machine != machine }) {
            throw RuntimeError(
                "\(other.path): ran on machine \(other.machine ?? 0), \(views[0].path) on \(machine); --symbols holds for "
                    + "all inputs: give them one at a time")
        }
        // Code is read for the inputs that nobody has checked.
        guard inputs.count > 1 || firstLog == nil else { return }
        var (code, _) = CodeMap.of(symbolizer.modules, machine: machine)
        guard !code.isEmpty else { return }
        if inputs.contains(where: { if case .raw = $0 { true } else { false } }) {
            let disassembler = try Disassembler()
            try code.findPatchSites(disassembler)
            labeler = BranchLabeler(code, disassembler, symbolizer)
            for index in views.indices where views[index].log == nil { views[index].hasLabels = true }
        }
        check = CodeCheck(code)
    }

    /// Shows everything that is selected.
    ///
    /// Throws the exit status 2 behind the last row when an input is damaged, or when the recorder left out all there was to show.
    public mutating func run<View: BranchView & ~Copyable>(_ view: inout View) throws {
        try checkVCPU()
        let (from, to) = bounds
        let lanes = inputs.indices.map { index in (input: index, vcpus: vcpu.map { [$0] } ?? views[index].vcpus) }
        let total = lanes.reduce(0 as UInt64) { sum, lane in
            lane.vcpus.reduce(sum) { $0 &+ inputs[lane.input].branchCount(vcpu: $1, from: from, to: to) }
        }
        let progress = Progress("reading", unit: "branches", total: total, isQuiet: isQuiet)
        var done: UInt64 = 0
        let selectsAll = selection.isEverything
        var selector = BranchSelector(selection)
        for lane in lanes where !view.isOver {
            if lane.input != firstLog {
                switch inputs[lane.input] {
                case .log(let log): try check?.notices(for: log).forEach(Diagnostics.report)
                case .raw(let raw): try check?.notices(for: raw).forEach(Diagnostics.report)
                }
            }
            try view.begin(views[lane.input])
            var reached = (from: false, to: false)
            for vcpu in lane.vcpus {
                view.begin(vcpu: vcpu)
                selector.begin()
                health.add(
                    inputs[lane.input].forEachBatch(vcpu: vcpu, from: from, to: to, labeler: labeler) {
                        batch, range in
                        done &+= UInt64(range.count)
                        progress.update(done)
                        guard !selectsAll else {
                            view.add(batch, range)
                            return !view.isOver
                        }
                        return selector.feed(batch, range, to: &view) && !view.isOver
                    })
                guard !view.isOver else { break }
                view.end(vcpu: vcpu)
                reached = (reached.from || selector.hasBegun, reached.to || selector.hasEnded)
            }
            if !view.isOver { say(reached, of: views[lane.input]) }
        }
        progress.finish()
        try view.finish()
        try health.finish()
        if done == 0 && health.elidedRecords > 0 { throw ToolStatus.trouble }
    }

    /// Names the places that were never reached.
    private func say(_ reached: (from: Bool, to: Bool), of input: ViewInput) {
        if let place = selection.from, !reached.from {
            Diagnostics.warning("\(input.path): no branch comes to \(place.text): nothing is selected")
        } else if let place = selection.to, !reached.to {
            Diagnostics.warning(
                "\(input.path): no branch comes to \(place.text) afterwards: everything up to the end is selected")
        }
    }

    private func checkVCPU() throws {
        guard let vcpu else { return }
        for view in views where !view.vcpus.contains(vcpu) {
            let present = view.vcpus.map(String.init).joined(separator: ", ")
            throw RuntimeError("\(view.path): has no vCPU \(vcpu); it has \(present)")
        }
    }
}
