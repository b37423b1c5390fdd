// SPDX-License-Identifier: GPL-2.0-or-later

import CQEMUPlugin
import CTTLog
import Testing

/// The meaning of a block's entry, after a number of instructions of the previous block.
struct TransitionTests {
    /// A block of three instructions of four bytes at 0x1000; the last one is `last`.
    private func step(
        last branchClass: ttlog_branch_class, target: UInt64? = nil, done: UInt64, hasStored: Bool = true, to: UInt64
    ) -> (step: ttd_step, transition: ttd_transition) {
        let size = MemoryLayout<ttd_block>.size
        let memory = UnsafeMutableRawPointer.allocate(
            byteCount: size + 3 * MemoryLayout<ttd_site>.size, alignment: 64)
        defer { memory.deallocate() }
        let block = memory.bindMemory(to: ttd_block.self, capacity: 1)
        block.initialize(to: ttd_block())
        block.pointee.address = 0x1000
        block.pointee.last = 0x1008
        block.pointee.fall_through = 0x100c
        block.pointee.target = target ?? 0x100c
        block.pointee.has_target = target == nil ? 0 : 1
        block.pointee.count = 3
        block.pointee.label = UInt8(branchClass.rawValue) | (target == nil ? 0 : UInt8(TTLOG_LABEL_STATIC))
        let sites = (memory + size).bindMemory(to: ttd_site.self, capacity: 3)
        for index in 0..<3 {
            sites[index] = ttd_site(
                offset: UInt16(4 * index), size: 4, branch_class: index == 2 ? UInt8(branchClass.rawValue) : 0)
        }
        var transition = ttd_transition()
        let step = ttd_step_between(block, 0, done, hasStored ? 1 : 0, to, 77, &transition)
        return (step, transition)
    }

    @Test func fallingThroughIsNoTransition() {
        #expect(step(last: TTLOG_BRANCH_JCC, target: 0x2000, done: 3, to: 0x100c).step == TTD_STEP_SEQUENTIAL)
        #expect(step(last: TTLOG_BRANCH_NONE, done: 3, to: 0x100c).step == TTD_STEP_SEQUENTIAL)
        // A block that QEMU ended after two instructions.
        #expect(step(last: TTLOG_BRANCH_JCC, target: 0x2000, done: 2, to: 0x1008).step == TTD_STEP_SEQUENTIAL)
    }

    @Test func takenBranchesHaveTheStaticBitWhenTheirBytesExplainThem() {
        let taken = step(last: TTLOG_BRANCH_JCC, target: 0x2000, done: 3, to: 0x2000)
        #expect(taken.step == TTD_STEP_TRANSITION)
        #expect(taken.transition.from == 0x1008 && taken.transition.to == 0x2000 && taken.transition.icount == 77)
        #expect(UInt32(taken.transition.label) == TTLOG_BRANCH_JCC.rawValue | TTLOG_LABEL_STATIC)
        let interrupted = step(last: TTLOG_BRANCH_JCC, target: 0x2000, done: 3, to: 0x9000)
        #expect(interrupted.step == TTD_STEP_TRANSITION)
        #expect(UInt32(interrupted.transition.label) == TTLOG_BRANCH_JCC.rawValue)
        let returned = step(last: TTLOG_BRANCH_RET, done: 3, to: 0x9000)
        #expect(UInt32(returned.transition.label) == TTLOG_BRANCH_RET.rawValue)
        let wrapped = step(last: TTLOG_BRANCH_JMP, target: 0x1_0500, done: 3, to: 0x500)
        #expect(UInt32(wrapped.transition.label) == TTLOG_BRANCH_JMP.rawValue | TTLOG_LABEL_STATIC)
    }

    @Test func aFaultInTheMiddleComesFromTheInstructionThatFaulted() {
        let fault = step(last: TTLOG_BRANCH_JMP, target: 0x2000, done: 2, to: 0xe000)
        #expect(fault.step == TTD_STEP_TRANSITION)
        #expect(fault.transition.from == 0x1004 && fault.transition.to == 0xe000)
        #expect(UInt32(fault.transition.label) == TTLOG_BRANCH_NONE.rawValue)
    }

    @Test func aRepeatedInstructionGoesToItselfWithoutATransition() {
        #expect(step(last: TTLOG_BRANCH_REP, done: 3, to: 0x1008).step == TTD_STEP_SEQUENTIAL)
        #expect(step(last: TTLOG_BRANCH_REP, done: 3, to: 0x100c).step == TTD_STEP_SEQUENTIAL)
        #expect(step(last: TTLOG_BRANCH_REP, done: 3, hasStored: false, to: 0x100c).step == TTD_STEP_SEQUENTIAL)
        let interrupted = step(last: TTLOG_BRANCH_REP, done: 3, to: 0x9000)
        #expect(interrupted.step == TTD_STEP_TRANSITION)
        #expect(UInt32(interrupted.transition.label) == TTLOG_BRANCH_REP.rawValue)
    }

    @Test func anInstructionThatQEMUBeginsAgainIsNoTransition() {
        #expect(step(last: TTLOG_BRANCH_NONE, done: 2, to: 0x1004).step == TTD_STEP_RESTARTED)
        #expect(step(last: TTLOG_BRANCH_NONE, done: 3, to: 0x1008).step == TTD_STEP_RESTARTED)
        // A repeated store that goes to itself without a store.
        #expect(step(last: TTLOG_BRANCH_REP, done: 3, hasStored: false, to: 0x1008).step == TTD_STEP_RESTARTED)
        // A jump to itself is one.
        let loop = step(last: TTLOG_BRANCH_JMP, target: 0x1008, done: 3, to: 0x1008)
        #expect(loop.step == TTD_STEP_TRANSITION)
        #expect(step(last: TTLOG_BRANCH_JMP_INDIRECT, done: 3, to: 0x1008).step == TTD_STEP_TRANSITION)
    }

    @Test(arguments: [0, 4] as [UInt64]) func executionOutsideTheRulesHasAnUnknownLabel(done: UInt64) {
        let unknown = step(last: TTLOG_BRANCH_JMP, target: 0x2000, done: done, to: 0x2000)
        #expect(unknown.step == TTD_STEP_TRANSITION)
        #expect(UInt32(unknown.transition.label) == TTLOG_BRANCH_UNKNOWN.rawValue)
    }
}
