// SPDX-License-Identifier: GPL-2.0-or-later

import LogFormat
import MachineCode
import Symbolize

/// Turns the branches of one vCPU, as a cursor returns them, into stretches.
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
/// A stretch whose beginning is not known (the first of a log, the first after a gap) is a step without a stretch.
public struct InstructionWalk: ~Copyable {
    /// A branch, and the instructions that led to it.
    public struct Step: BitwiseCopyable {
        /// The branch that ended the stretch.
        public var branch: Branch
        /// The instructions up to and with the branch; `nil` if it is not known where they began.
        public var stretch: Stretch?
        /// Instructions begun before the one at the stretch's beginning; `nil` in a log without counts, and where the
        /// beginning is not known.
        public var icount: UInt64?
        /// Instructions that began in the stretch; `nil` if `icount` is.
        public var begun: UInt64?
        /// The stretch begins with an instruction that an interrupt, an exception or a fault had left, and that begins
        /// again.
        public var isRestart: Bool
        /// The number of branches that are missing before this one: left out by the recorder, or damaged. In a gap of
        /// the recording the number is not known; it is 0, and `isGap` is true.
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
    /// The branch before was a near one out of a known stretch: the mode stays the same.
    private var keepsMode = false
    private var epoch: UInt32 = 0
    private var resumptions = Resumptions()

    /// - Parameters:
    ///   - hasIcount: whether the branches have instruction counts.
    ///   - mode: the mode of the first stretch, if known; else it depends on the log: one that begins with a
    ///     processor's
    ///     reset begins with 16-bit code.
    public init(hasIcount: Bool, _ code: CodeMap, _ disassembler: Disassembler, mode: CodeMode? = nil) {
        decoder = StretchDecoder(code, disassembler, mode: mode)
        self.hasIcount = hasIcount
    }

    /// The same for the branches of a log.
    public init(_ log: LogFile, _ code: CodeMap, _ disassembler: Disassembler, mode: CodeMode? = nil) {
        self.init(hasIcount: log.header.features.contains(.icount), code, disassembler, mode: mode)
    }

    /// Forgets the last branch: the next one does not follow from it.
    public mutating func forget() {
        hasPrevious = false
        keepsMode = false
        resumptions.forget()
        decoder.setMode(nil)
    }

    /// The step of a branch. The caller passes each branch of a batch in order.
    @inline(__always)
    public mutating func step(_ batch: borrowing BranchBatch, _ index: Int) -> Step {
        let branch = batch[index]
        var step = Step(
            branch: branch, stretch: nil, icount: nil, begun: nil, isRestart: false, missing: 0, isGap: false)
        if hasPrevious, previous.clock &+ 1 == branch.clock, epoch == batch.epoch {
            if hasIcount {
                step.icount = previous.icount
                step.begun = branch.icount &- previous.icount
            }
            let stretch = decoder.decode(
                begin: previous.to, end: branch.from, begun: step.begun, keepsMode: keepsMode)
            step.stretch = stretch
            keepsMode =
                stretch.outcome == .complete
                && BranchClass.jcc.rawValue...BranchClass.ret.rawValue ~= branch.label.classNumber
                && !branch.label.isDiscontinuity
        } else {
            beginAnew(at: branch, batch.epoch, &step)
        }
        let label = branch.label
        if resumptions.isReturning || label.isDiscontinuity || Resumptions.isReturn(label) { resume(&step) }
        hasPrevious = true
        previous = branch
        return step
    }

    /// The next instruction of a stretch; `nil` after the end, or where decoding stopped. A repeated instruction is
    /// returned once.
    ///
    ///     var place = StretchPlace(stretch)
    ///     while let instruction = walk.next(&place) { … }
    @inline(__always)
    public mutating func next(_ place: inout StretchPlace) -> Instruction? { decoder.next(&place) }

    /// The stretch without the code that a kernel patched, as ``StretchDecoder/decodePatched(begin:end:)`` returns it.
    public mutating func patched(_ stretch: Stretch) -> Stretch? {
        stretch.mode == .bits64 ? decoder.decodePatched(begin: stretch.begin, end: stretch.end) : nil
    }

    /// The instruction at an address, read as the stretch that was last decoded; `nil` if there is none.
    public mutating func instruction(at address: UInt64) -> Instruction? {
        decoder.instruction(at: address, mode: address > UInt64(UInt32.max) ? .bits64 : decoder.mode)
    }

    /// Records the instructions that begin again.
    @inline(never)
    private mutating func resume(_ step: inout Step) {
        step.isRestart = resumptions.begins(at: step.stretch?.begin)
        if step.branch.label.isDiscontinuity {
            resumptions.left(step.branch.from)
        } else if Resumptions.isReturn(step.branch.label) {
            resumptions.returned()
        }
    }

    @inline(never)
    private mutating func beginAnew(at branch: Branch, _ epoch: UInt32, _ step: inout Step) {
        if hasPrevious {
            step.isGap = true
            decoder.setMode(nil)
            step.missing =
                self.epoch == epoch && branch.clock > previous.clock ? branch.clock &- previous.clock &- 1 : 0
        } else if branch.clock == 0, InstructionWalk.isFirmware(branch.from) {
            decoder.setMode(.bits16)
        }
        keepsMode = false
        resumptions.forget()
        self.epoch = epoch
    }

    /// Whether a processor's first instructions are at this address.
    private static func isFirmware(_ address: UInt64) -> Bool {
        0xf0000...0xfffff ~= address || 0xffff_0000...0xffff_ffff ~= address
    }
}
