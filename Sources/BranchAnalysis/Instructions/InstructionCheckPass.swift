// SPDX-License-Identifier: GPL-2.0-or-later

import LogFormat
import MachineCode
import Symbolize

/// The check of one vCPU's branches.
struct InstructionCheckPass: ~Copyable {
    private(set) var result = InstructionCheck()
    private var walk: InstructionWalk
    private let vcpu: UInt16
    private let hasLabels: Bool
    private let keeping: Int

    init(_ log: LogFile, _ vcpu: UInt16, _ code: CodeMap, _ disassembler: Disassembler, keeping: Int) {
        self.vcpu = vcpu
        self.keeping = keeping
        hasLabels = log.header.features.contains(.labels)
        walk = InstructionWalk(log, code, disassembler)
    }

    mutating func feed(_ batch: borrowing BranchBatch, _ range: Range<Int>) {
        // Counted in locals: what is reached through `self` is loaded and stored for each branch.
        var (equal, equalInstructions) = (0 as UInt64, 0 as UInt64)
        var modes = (bits64: 0 as UInt64, others: [:] as [CodeMode: UInt64])
        let hasLabels = hasLabels
        result.stretches &+= UInt64(range.count)
        for index in range {
            let step = walk.step(batch, index)
            let label = step.branch.label
            guard let stretch = step.stretch else {
                result.withoutBeginning &+= 1
                continue
            }
            guard stretch.outcome != .outside else {
                result.outside &+= 1
                result.outsideInstructions &+= step.begun ?? 0
                continue
            }
            if stretch.mode == .bits64 { modes.bits64 &+= 1 } else { modes.others[stretch.mode, default: 0] &+= 1 }
            if step.isRestart { result.restarted &+= 1 }
            if stretch.outcome == .complete, step.begun == UInt64(stretch.count), !label.isDiscontinuity,
                !hasLabels || InstructionCheckPass.labelFits(step.branch, stretch)
            {
                equal &+= 1
                equalInstructions &+= UInt64(stretch.count)
            } else {
                look(step, stretch)
            }
        }
        result.equal &+= equal
        result.instructions &+= equalInstructions
        result.checked &+= equal
        modes.others[.bits64] = modes.bits64
        result.modes.merge(modes.others, uniquingKeysWith: &+)
    }

    /// Whether the label is that of the instruction that the stretch ends with.
    @inline(__always)
    private static func labelFits(_ branch: Branch, _ stretch: Stretch) -> Bool {
        branch.label.branchClass == stretch.last.branchClass
            && (!branch.label.hasStaticTarget || explains(stretch.last.target, branch.to))
    }

    /// Whether a branch with this static target can go there: code of 16 and 32 bits wraps, and the address of 16-bit
    /// code holds its segment's base.
    @inline(__always)
    private static func explains(_ target: UInt64, _ to: UInt64) -> Bool {
        target == to || (to < 0x110000 && (to ^ target) & 0xffff == 0)
            || (to <= 0xffff_ffff && target & 0xffff_ffff == to)
    }

    /// A stretch that is not simply equal.
    @inline(never)
    private mutating func look(_ step: InstructionWalk.Step, _ stretch: Stretch) {
        let (branch, label) = (step.branch, step.branch.label)
        result.checked &+= 1
        result.instructions &+= step.begun ?? 0
        if label.isDiscontinuity { result.discontinued &+= 1 }
        guard stretch.isComplete else { return contradict(step, stretch, .decoding(stretch.outcome)) }
        let isUnseen = hasLabels && label.branchClass == .unknown
        if hasLabels, !isUnseen {
            guard label.branchClass == stretch.last.branchClass else {
                return contradict(step, stretch, .label)
            }
            guard InstructionCheckPass.labelFits(branch, stretch) else { return contradict(step, stretch, .target) }
        }
        guard let begun = step.begun else {
            result.uncounted &+= 1
            return
        }
        let count = UInt64(stretch.count)
        if begun == count {
            result.equal &+= 1
        } else if begun > count, stretch.repeatCount > 0 {
            result.repeated &+= 1
            result.iterations &+= begun &- count
        } else if isUnseen, begun &+ 1 == count {
            result.unseen &+= 1
        } else {
            contradict(step, stretch, .count)
        }
    }

    private mutating func contradict(
        _ step: InstructionWalk.Step, _ stretch: Stretch, _ reason: InstructionCheck.Reason
    ) {
        if let patched = walk.patched(stretch), patched.fits(begun: step.begun),
            !hasLabels || patched.last.size == 0 || InstructionCheckPass.labelFits(step.branch, patched)
        {
            result.patched &+= 1
            let fewest = UInt64(patched.count) &+ UInt64(patched.patchedRange.lowerBound)
            if patched.repeatCount == 0, step.begun == fewest || patched.patchedRange.count == 1 {
                result.patchedExactly &+= 1
            }
            return
        }
        result.contradicted[reason, default: 0] &+= 1
        if result.places.count < InstructionCheck.placeLimit { result.places.insert(stretch.stop) }
        guard result.contradictions.count < keeping,
            !result.contradictions.contains(where: { $0.stretch.stop == stretch.stop && $0.reason == reason })
        else { return }
        result.contradictions.append(
            InstructionCheck.Contradiction(
                vcpu: vcpu, branch: step.branch, stretch: stretch, begun: step.begun, reason: reason))
    }
}
