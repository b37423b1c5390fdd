// SPDX-License-Identifier: GPL-2.0-or-later

import MachineCode
import Symbolize

/// The instructions between two branches: from the target of one to the source of the next, both included, without a
/// taken branch between them.
public struct Stretch: Hashable, Sendable, BitwiseCopyable {
    /// Where the branch before went.
    public var begin: UInt64
    /// The instruction that the next branch left.
    public var end: UInt64
    /// How the code is read at `begin`.
    public var mode: CodeMode
    /// How code is read after the first far jump, call or return in the stretch: its target may be the next instruction,
    /// in another mode. Without one, `mode`.
    public var modeAfterFar: CodeMode
    /// Whether there is such a jump before `end`.
    public var passesFar = false
    /// Whether the stretch was decoded, or why not.
    public var outcome: Outcome
    /// The number of instructions from `begin` to `end`, or to `stop` if decoding stopped before `end`. A repeated
    /// instruction counts once.
    public var count: UInt32
    /// How many of these are string instructions with a repeat prefix.
    public var repeatCount: UInt32
    /// The number of places in the stretch that the kernel patches. Only ``StretchDecoder/decodePatched(begin:end:)``
    /// sets it; the instructions at these places are not in `count`.
    public var patchCount: UInt32 = 0
    /// How many instructions can have been at the patched places.
    public var patchedRange: ClosedRange<UInt32> { patchedLow...max(patchedLow, patchedHigh) }
    var patchedLow: UInt32 = 0
    var patchedHigh: UInt32 = 0
    /// Where decoding stopped; `end` if it reached the end.
    public var stop: UInt64
    /// The instruction at `end`, if decoding reached it.
    public var last: Instruction

    /// The result of decoding.
    public enum Outcome: UInt8, Hashable, Sendable, CaseIterable, BitwiseCopyable {
        /// Every instruction was decoded, and one begins at `end`.
        case complete
        /// No file has code at `begin`.
        case outside
        /// `end` is before `begin`.
        case backwards
        /// The code of the files ends at `stop`.
        case leavesCode
        /// capstone knows no instruction at `stop`.
        case unknownInstruction
        /// The instruction at `stop` overlaps `end`.
        case missesEnd
        /// The instruction at `stop` always branches, so that the next one cannot follow it.
        case passesBranch
        /// More than ``StretchDecoder/sizeLimit`` bytes.
        case tooLong
    }

    /// Whether it decodes to its end.
    public var isComplete: Bool { outcome == .complete }

    /// Whether this number of instructions can have begun in the stretch. `nil` (not known) always can.
    @inline(__always)
    public func fits(begun: UInt64?) -> Bool {
        guard outcome == .complete else { return false }
        guard let begun else { return true }
        let low = UInt64(count) &+ UInt64(patchedLow)
        return begun == low || (begun > low && (repeatCount > 0 || begun <= low &+ UInt64(patchedHigh &- patchedLow)))
    }

    /// How the code is read at `end`.
    var modeAtEnd: CodeMode { passesFar ? modeAfterFar : mode }

    init(begin: UInt64, end: UInt64, mode: CodeMode, afterFar: CodeMode, outcome: Outcome) {
        self.begin = begin
        self.end = end
        self.mode = mode
        modeAfterFar = afterFar
        self.outcome = outcome
        count = 0
        repeatCount = 0
        stop = begin
        last = .none
    }
}

extension Stretch.Outcome {
    /// The outcome in words, for rows and tables.
    public var name: String {
        switch self {
        case .complete: "complete"
        case .outside: "outside"
        case .backwards: "backwards"
        case .leavesCode: "leaves-code"
        case .unknownInstruction: "unknown-instruction"
        case .missesEnd: "misses-end"
        case .passesBranch: "passes-branch"
        case .tooLong: "too-long"
        }
    }

    /// The outcome as a sentence about the stretch.
    public var explanation: String {
        switch self {
        case .complete: "decodes to its end"
        case .outside: "no file has code at its beginning"
        case .backwards: "it ends before it begins"
        case .leavesCode: "it continues where no file has code"
        case .unknownInstruction: "no known instruction is there"
        case .missesEnd: "the instruction there overlaps the branch"
        case .passesBranch: "the instruction there never lets the next one begin"
        case .tooLong: "it is longer than \(StretchDecoder.sizeLimit) bytes"
        }
    }
}
