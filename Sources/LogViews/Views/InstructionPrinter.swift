// SPDX-License-Identifier: GPL-2.0-or-later

import BranchAnalysis
import Formatting
import LogFormat
import Symbolize

/// Writes the steps of an ``InstructionWalk`` as rows.
struct InstructionPrinter: ~Copyable {
    var walk: InstructionWalk
    var rows: InstructionRows
    /// Only instructions here; all if empty.
    let functions: AddressRanges
    private var hasLabels: Bool
    /// The stretches since the last row that begin where no file has code.
    private var outside = (begin: 0 as UInt64, stretches: 0 as UInt64, instructions: 0 as UInt64)
    /// Stretches that did not decode to their end.
    private(set) var undecoded: UInt64 = 0
    private(set) var stretches: UInt64 = 0

    init(
        _ walk: consuming InstructionWalk, _ rows: consuming InstructionRows, hasLabels: Bool,
        functions: AddressRanges = AddressRanges([])
    ) {
        self.hasLabels = hasLabels
        self.walk = walk
        self.rows = rows
        self.functions = functions
    }

    /// The branches of an input begin.
    mutating func begin(_ input: ViewInput, _ walk: consuming InstructionWalk) {
        finish()
        self.walk = walk
        hasLabels = input.hasLabels
        rows.style = InstructionRows.Style(input, isJSON: rows.style.isJSON)
    }

    /// The branches of a vCPU begin.
    mutating func begin(vcpu: UInt16) {
        endOutside()
        walk.forget()
        rows.vcpu = vcpu
    }

    /// - Parameter isWanted: whether the stretch that this branch ends is to be shown.
    @inline(__always)
    mutating func add(_ batch: borrowing BranchBatch, _ index: Int, isWanted: Bool) {
        let step = walk.step(batch, index)
        if step.isGap { writeGap(missing: step.missing) }
        guard isWanted else { return }
        guard let stretch = step.stretch else { return writeOnlyBranch(step) }
        stretches &+= 1
        if stretch.outcome == .outside { return addOutside(step, stretch) }
        if outside.stretches > 0 { endOutside() }
        write(step, stretch)
    }

    @inline(__always)
    private func isShown(_ address: UInt64) -> Bool {
        functions.isEmpty || functions.contains(address)
    }

    @inline(__always)
    private mutating func write(_ step: InstructionWalk.Step, _ stretch: Stretch) {
        let isWhole =
            stretch.fits(begun: step.begun)
            && (!hasLabels || stretch.last.branchClass == step.branch.label.branchClass)
        if !isWhole, let patched = walk.patched(stretch), patched.fits(begun: step.begun) {
            return writePatched(step, patched)
        }
        let more =
            stretch.isComplete && (step.begun ?? 0) > UInt64(stretch.count)
            ? (step.begun ?? 0) &- UInt64(stretch.count) : 0
        // With one repeated instruction the iterations are its own; with several their shares are not known.
        let isKnown = more == 0 ? stretch.isComplete || stretch.repeatCount == 0 : stretch.repeatCount == 1
        var icount = step.icount
        var isRestart = step.isRestart
        var place = StretchPlace(stretch)
        while let instruction = walk.next(&place) {
            var times: UInt64? = 1
            if instruction.branchClass == .rep { times = isKnown && step.begun != nil ? more &+ 1 : nil }
            if isShown(instruction.address) {
                rows.write(
                    InstructionRows.Row(
                        brctr: step.branch.clock, icount: icount, instruction: instruction, times: times,
                        isRestart: isRestart, branch: place.left == 0 && stretch.isComplete ? step.branch : nil))
            }
            isRestart = false
            if let before = icount { icount = times.map { before &+ $0 } }
        }
        if !stretch.isComplete { writeUndecoded(step, stretch) }
    }

    /// Writes a stretch with places that the kernel changes, where the code that ran is not known. If one instruction at
    /// each place makes up the count, that is assumed; otherwise the counts after the first place are not known.
    @inline(never)
    private mutating func writePatched(_ step: InstructionWalk.Step, _ stretch: Stretch) {
        let isCertain = step.begun == UInt64(stretch.count) &+ UInt64(stretch.patchedRange.lowerBound)
        var icount = step.icount
        var isRestart = step.isRestart
        var place = StretchPlace(stretch)
        var expected = stretch.begin
        while let instruction = walk.next(&place) {
            if instruction.address != expected {
                writePatch(expected..<instruction.address, step, icount, branch: nil)
                icount = isCertain ? icount.map { $0 &+ 1 } : nil
            }
            expected = instruction.fallThrough
            if isShown(instruction.address) {
                rows.write(
                    InstructionRows.Row(
                        brctr: step.branch.clock, icount: icount, instruction: instruction,
                        times: instruction.branchClass == .rep ? nil : 1, isRestart: isRestart,
                        branch: instruction.address == stretch.end ? step.branch : nil))
            }
            isRestart = false
            if instruction.branchClass == .rep { icount = nil } else if let before = icount { icount = before &+ 1 }
        }
        if stretch.last.size == 0, expected <= stretch.end {
            // The instruction that branched is the last that began.
            if stretch.end == expected { icount = step.branch.icount &- 1 }
            writePatch(expected..<stretch.end &+ 1, step, icount, branch: step.branch)
        }
    }

    private mutating func writePatch(
        _ range: Range<UInt64>, _ step: InstructionWalk.Step, _ icount: UInt64?, branch: Branch?
    ) {
        guard isShown(range.lowerBound) else { return }
        rows.writePatch(
            range, brctr: step.branch.clock, icount: rows.style.hasIcount ? icount : nil, branch: branch)
    }

    /// The instructions before it are not known; the one that branched is.
    @inline(never)
    private mutating func writeOnlyBranch(_ step: InstructionWalk.Step) {
        endOutside()
        let branch = step.branch
        guard isShown(branch.from), let instruction = walk.instruction(at: branch.from) else { return }
        let icount =
            rows.style.hasIcount && branch.icount > 0 && instruction.branchClass != .rep ? branch.icount &- 1 : nil
        rows.write(
            InstructionRows.Row(
                brctr: branch.clock, icount: icount, instruction: instruction,
                times: instruction.branchClass == .rep ? nil : 1, isRestart: false, branch: branch))
    }

    @inline(never)
    private mutating func writeUndecoded(_ step: InstructionWalk.Step, _ stretch: Stretch) {
        undecoded &+= 1
        guard isShown(stretch.stop) else { return }
        let begun = step.begun.map { "; \(stretch.count) of \($0) instructions are shown" } ?? ""
        rows.writeNote(
            "undecoded",
            "the stretch up to \(RowText.hex(stretch.end)) does not decode, at \(RowText.hex(stretch.stop)): "
                + stretch.outcome.explanation + begun
        ) { fields in
            fields.counter("brctr", step.branch.clock)
            fields.address("begin", stretch.begin)
            fields.address("end", stretch.end)
            fields.address("at", stretch.stop)
            fields.string("reason", stretch.outcome.name)
            fields.counter("shown", UInt64(stretch.count))
            fields.counter("begun", step.begun)
            fields.address("to", step.branch.to)
        }
    }

    @inline(__always)
    private mutating func addOutside(_ step: InstructionWalk.Step, _ stretch: Stretch) {
        if outside.stretches == 0 { outside.begin = stretch.begin }
        outside.stretches &+= 1
        outside.instructions &+= step.begun ?? 0
    }

    /// Writes the number of instructions that ran where no file has code.
    @inline(never)
    mutating func endOutside() {
        guard outside.stretches > 0 else { return }
        let run = outside
        outside = (0, 0, 0)
        guard functions.isEmpty else { return }
        let hasIcount = rows.style.hasIcount
        let instructions = hasIcount ? "\(run.instructions) instructions, " : ""
        rows.writeNote(
            "outside",
            "\(instructions)\(run.stretches) branches where no file has code, from \(RowText.hex(run.begin)) on"
        ) { fields in
            fields.address("from", run.begin)
            fields.counter("branches", run.stretches)
            fields.counter("instructions", hasIcount ? run.instructions : nil)
        }
    }

    @inline(never)
    private mutating func writeGap(missing: UInt64) {
        endOutside()
        rows.writeNote(
            "gap", missing > 0 ? "\(missing) branches are missing here" : "something is missing here"
        ) { fields in
            fields.counter("branches", missing > 0 ? missing : nil)
        }
    }

    mutating func finish() {
        endOutside()
        rows.flush()
    }
}
