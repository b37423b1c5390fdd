// SPDX-License-Identifier: GPL-2.0-or-later

import LogFormat
import Symbolize

/// Walks through the branches of one vCPU, stretch by stretch, as they come out of a cursor.
///
///     var walk = InstructionWalk(log, code, try Disassembler())
///     var branches = log.branches(vcpu: 0)
///     while branches.nextBatch({ batch, range in
///         for index in range {
///             let step = walk.step(batch, index)
///             …
///         }
///     }) {}
///
/// A stretch whose beginning is not known (the first of a log, the first behind a gap) comes as a step without one.
public struct InstructionWalk: ~Copyable {
    /// A branch, and the instructions that led to it.
    public struct Step: BitwiseCopyable {
        /// The branch that ended the stretch.
        public var branch: Branch
        /// The instructions up to and with the branch; `nil` when it is not known where they began.
        public var stretch: Stretch?
        /// Instructions begun before the one at the stretch's beginning; `nil` in a log without counts, and where the
        /// beginning is not known.
        public var icount: UInt64?
        /// Instructions that began in the stretch; `nil` where `icount` is.
        public var begun: UInt64?
        /// Branches that are missing before this one: left out by the recorder, damaged, or in a gap of the recording
        /// where nobody counts them (then 0 with `isGap`).
        public var missing: UInt64
        /// The beginning is not known because something is missing in the log here.
        public var isGap: Bool
    }

    // Not public: the 6.3.1 compiler crashes over the setter.
    var decoder: StretchDecoder
    private let hasIcount: Bool
    /// The branch before; its `to` is where the next stretch begins.
    private var previous = Branch(clock: 0, from: 0, to: 0, icount: 0, label: BranchLabel(rawValue: 0))
    private var hasPrevious = false
    /// The branch before was a near one out of a stretch that is known: code goes on in the same mode.
    private var keepsMode = false
    private var epoch: UInt32 = 0

    /// - Parameter mode: How the first stretch is read, when it is known; else by the log: one that begins with a
    ///   processor's reset begins with 16-bit code.
    public init(_ log: LogFile, _ code: CodeMap, _ disassembler: Disassembler, mode: CodeMode? = nil) {
        decoder = StretchDecoder(code, disassembler, mode: mode)
        hasIcount = log.header.features.contains(.icount)
    }

    /// The step that a branch of a batch makes; to be called for each in order.
    @inline(__always)
    public mutating func step(_ batch: borrowing BranchBatch, _ index: Int) -> Step {
        let branch = batch[index]
        var step = Step(branch: branch, stretch: nil, icount: nil, begun: nil, missing: 0, isGap: false)
        if hasPrevious, previous.clock &+ 1 == branch.clock, epoch == batch.epoch {
            if hasIcount {
                step.icount = previous.icount
                step.begun = branch.icount &- previous.icount
            }
            let stretch = decoder.decode(
                begin: previous.to, end: branch.from, begun: step.begun, keepsMode: keepsMode)
            step.stretch = stretch
            let label = branch.label.rawValue
            keepsMode =
                stretch.outcome == .complete && BranchClass.jcc.rawValue...BranchClass.ret.rawValue ~= label & 0x1f
                && !branch.label.isDiscontinuity
        } else {
            beginAnew(at: branch, batch.epoch, &step)
        }
        hasPrevious = true
        previous = branch
        return step
    }

    /// The instructions of a step's stretch in order, as ``StretchDecoder/forEachInstruction(of:_:)``.
    public mutating func forEachInstruction(of stretch: Stretch, _ body: (Instruction) -> Bool) {
        decoder.forEachInstruction(of: stretch, body)
    }

    /// The instruction in words; `nil` where there is none.
    public mutating func text(of instruction: Instruction) -> String? {
        decoder.text(of: instruction)
    }

    @inline(never)
    private mutating func beginAnew(at branch: Branch, _ epoch: UInt32, _ step: inout Step) {
        if hasPrevious {
            step.isGap = true
            step.missing =
                self.epoch == epoch && branch.clock > previous.clock ? branch.clock &- previous.clock &- 1 : 0
        } else if branch.clock == 0, InstructionWalk.isFirmware(branch.from) {
            decoder.mode = .bits16
        }
        keepsMode = false
        self.epoch = epoch
    }

    /// Where a processor's first instructions stand.
    private static func isFirmware(_ address: UInt64) -> Bool {
        0xf0000...0xfffff ~= address || 0xffff_0000...0xffff_ffff ~= address
    }
}
