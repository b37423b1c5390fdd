// SPDX-License-Identifier: GPL-2.0-or-later

/// A loop of five instructions under a timer that interrupts at fixed instruction counts, as QEMU's does.
///
/// A page fault or a lost tick shifts everything that follows: the clocks by the handler's branches, and the
/// addresses at which the next ticks come.
public struct TimedLoop {
    /// The turn of the loop in which an instruction faults once; nil for none.
    public var fault: Int?
    /// The instruction counts at which the timer interrupts, ascending.
    public var ticks = TimedLoop.ticks
    /// Number of branches from state digest to state digest; 0 for none.
    public var statesEvery: UInt64 = 0
    /// The turns of the loop.
    public var turns = 300

    /// The usual instruction counts of the timer.
    public static let ticks: [UInt64] = (1...20).map { 97 * UInt64($0) }
    /// The address of the instruction that can fault.
    public static let faultAddress: UInt64 = 0x1008

    private var lines = ["options features=branches,icount,labels,causes,state"]
    private var icount: UInt64 = 0
    private var lastBranch: UInt64 = 0
    private var clock: UInt64 = 0

    /// A loop with the usual ticks.
    public init(fault: Int? = nil) { self.fault = fault }

    private mutating func branch(_ from: UInt64, _ to: UInt64, _ label: String) {
        lines.append("branch \(from) -> \(to) \(label) +\(icount - lastBranch)")
        lastBranch = icount
        clock += 1
        if statesEvery > 0, clock % statesEvery == 0 {
            lines.append("event state ip=\(to) info=1 value=\(icount ^ to)")
        }
    }

    /// Leaves the instruction that began last for a handler of some instructions, and comes back.
    private mutating func interrupt(_ last: UInt64, back: UInt64, handler: UInt64, length: UInt64) {
        lines.append("event discontinuity ip=\(last) info=0 value=\(handler) icount=\(icount - 1)")
        branch(last, handler, "none")
        icount += length / 2
        branch(handler + 0x10, handler + 0x40, "jmp!")
        icount += length - length / 2
        branch(handler + 0x50, back, "iret")
    }

    /// The log of the loop as text for the assembler.
    public mutating func text() -> String {
        for turn in 0..<turns {
            var step: UInt64 = 0
            while step < 5 {
                let ip = 0x1000 + 4 * step
                if turn == fault, step == 2 {
                    fault = nil
                    icount += 1
                    interrupt(ip, back: ip, handler: 0x8000, length: 12)
                    continue
                }
                icount += 1
                step += 1
                if let tick = ticks.first, icount >= tick, step < 5 {
                    ticks.removeFirst()
                    interrupt(ip, back: ip + 4, handler: 0x9000, length: 8)
                }
            }
            branch(0x1010, 0x1000, "jcc!")
        }
        return lines.joined(separator: "\n")
    }
}
