// SPDX-License-Identifier: GPL-2.0-or-later

import CallTree
import TestSupport
import Testing

/// Interrupts, exceptions and system calls.
@Suite struct InterruptionTests {
    @Test func interruptsNest() throws {
        let result = try Tracking.of(
            """
            branch 0x1000 -> 0x2000 call!
            branch 0x2003 -> 0x9000 none        # an interrupt after 0x2003
            branch 0x9010 -> 0x9100 call!
            branch 0x9108 -> 0xa000 none        # another in its handler
            branch 0xa010 -> 0xa100 call!
            branch 0xa120 -> 0xa015 ret
            branch 0xa020 -> 0x910b iret
            branch 0x9110 -> 0x9015 ret
            branch 0x9020 -> 0x2006 iret
            branch 0x2010 -> 0x1005 ret
            """)
        #expect(result.depths == [1, 2, 3, 4, 5, 4, 3, 2, 1, 0])
        #expect(result.marks == [] && result.statistics.interruptions == 2)
    }

    @Test func haltsAndRepeatedInstructionsAreInterrupted() throws {
        let result = try Tracking.of(
            """
            branch 0x2003 -> 0x9000 hlt
            branch 0x9020 -> 0x2004 iret
            branch 0x2010 -> 0x9000 rep
            branch 0x9020 -> 0x2010 iret
            branch 0x2010 -> 0x9000 rep
            branch 0x9020 -> 0x2012 iret
            """)
        #expect(result.depths == [1, 0, 1, 0, 1, 0] && result.marks == [])
    }

    /// The stack has no page, so the call faults and is repeated.
    @Test func aCallThatFaultsIsRepeated() throws {
        let result = try Tracking.of(
            """
            branch 0x1000 -> 0x9000 call
            branch 0x9020 -> 0x1000 iret
            branch 0x1000 -> 0x2000 call!
            branch 0x2010 -> 0x1005 ret
            """)
        #expect(result.depths == [1, 0, 1, 0] && result.marks == [])
    }

    /// The interrupt comes after the call and before its target begins.
    @Test func anInterruptAfterACall() throws {
        let result = try Tracking.of(
            """
            branch 0x1000 -> 0x9000 call
            branch 0x9020 -> 0x2000 iret
            branch 0x2010 -> 0x1005 ret
            branch 0x1010 -> 0x9000 call-indirect
            branch 0x9020 -> 0x3000 iret
            branch 0x3010 -> 0x1013 ret
            """)
        #expect(result.depths == [1, 1, 0, 1, 1, 0])
        #expect(result.marks == [])
    }

    /// The log has one transition from the return to the handler, which another interrupt makes known.
    @Test(arguments: [true, false]) func anInterruptAfterAReturn(knowsHandlers: Bool) throws {
        let result = try Tracking.of(
            """
            event interrupt ip=0x1000 info=32 value=0x9000
            branch 0x1000 -> 0x9000 none
            branch 0x9020 -> 0x1003 iret
            branch 0x1010 -> 0x2000 call!
            branch 0x2010 -> 0x9000 ret         # ret, and at once an interrupt
            branch 0x9010 -> 0x9100 call!
            branch 0x9110 -> 0x9015 ret
            branch 0x9020 -> 0x1015 iret
            branch 0x1018 -> 0x9000 jmp-indirect
            branch 0x9020 -> 0x1040 iret
            """, knowsHandlers: knowsHandlers)
        #expect(result.depths == [1, 0, 1, 2, 3, 2, 0, 1, 0])
        #expect(result.marks == [])
    }

    /// The fetch of the instruction that an iret returns to faults many times in a row.
    @Test func aFaultAfterAnInterruptReturn() throws {
        let result = try Tracking.of(
            """
            branch 0x1000 -> 0x9000 none
            repeat 50000 {
            branch 0x9020 -> 0x9000 iret
            }
            branch 0x9020 -> 0x1002 iret
            """)
        #expect(result.open == [] && result.marks == [])
    }

    /// A handler that resumes at another place: a skipped ud2, a repaired fault.
    @Test func aHandlerMayResumeElsewhere() throws {
        let result = try Tracking.of(
            """
            branch 0x1000 -> 0x2000 call!
            branch 0x2003 -> 0x9000 none
            branch 0x9020 -> 0x2800 iret
            branch 0x2810 -> 0x1005 ret
            """)
        #expect(result.depths == [1, 2, 1, 0])
        #expect(result.marks == [] && result.statistics.redirections == 1)
    }

    @Test func systemCallsReturn() throws {
        let user = "0x400000"
        let kernel = "0xffffffff81000000"
        let result = try Tracking.of(
            """
            let u = \(user)
            let k = \(kernel)
            branch u+0x10 -> u+0x100 call!
            branch u+0x110 -> k syscall
            branch k+0x40 -> k+0x1000 call!
            branch k+0x1010 -> k+0x45 ret
            branch k+0x60 -> u+0x112 sysret
            branch u+0x120 -> k+0x80 int
            branch k+0x90 -> u+0x122 iret
            branch u+0x130 -> u+0x15 ret
            """)
        #expect(result.depths == [1, 2, 3, 2, 1, 2, 1, 0])
        #expect(result.marks == [])
        #expect(result.statistics.userReturns == 2 && result.statistics.levelUserReturns == 2)
    }

    /// The kernel starts a handler, which returns to code that calls sigreturn.
    @Test func aSignalHandlerReturnsToTheInterruptedCode() throws {
        let result = try Tracking.of(
            """
            let u = 0x400000
            let k = 0xffffffff81000000
            branch u+0x10 -> u+0x100 call!
            branch u+0x110 -> k none            # an interrupt; a signal is pending
            branch k+0x60 -> u+0x800 iret       # the handler
            branch u+0x804 -> u+0x900 call!
            branch u+0x910 -> u+0x809 ret
            branch u+0x820 -> u+0x700 ret       # to the restorer
            branch u+0x707 -> k+0x80 syscall
            branch k+0xa0 -> u+0x113 iret       # sigreturn: after what was interrupted
            branch u+0x130 -> u+0x15 ret
            """)
        #expect(result.depths == [1, 2, 2, 3, 2, 2, 3, 1, 0])
        #expect(result.marks == [])
        #expect(result.statistics.userReturns == 2 && result.statistics.levelUserReturns == 2)
    }

    /// An entry from user code while an earlier entry is open: the earlier one has returned.
    @Test func aMissingReturnIsDetectedAtTheNextEntry() throws {
        let result = try Tracking.of(
            """
            let u = 0x400000
            let k = 0xffffffff81000000
            branch u+0x10 -> u+0x100 call!
            branch u+0x110 -> k syscall
            branch k+0x40 -> k+0x1000 call!
            branch u+0x120 -> k syscall
            branch k+0x60 -> u+0x122 sysret
            branch u+0x130 -> u+0x15 ret
            """)
        #expect(result.depths == [1, 2, 3, 2, 1, 0])
        #expect(result.marks == [.missedReturn])
    }

    @Test func callsLeftOpenByAHandlerAreCounted() throws {
        let result = try Tracking.of(
            """
            branch 0x1000 -> 0x9000 none
            branch 0x9010 -> 0x9100 call!
            branch 0x9020 -> 0x1003 iret
            """)
        #expect(result.open == [] && result.marks == [.leftOpen])
    }
}
