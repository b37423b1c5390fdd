// SPDX-License-Identifier: GPL-2.0-or-later

import Foundation
import TestSupport

/// The logs that the golden files are about.
enum SampleLogs {
    /// A bit of everything, in small cells so that there are many chunks.
    static let small = """
        options branch-cell-shift=4 event-cell-shift=6 kind=recording nonce=0x1122334455667788 \
            name=sample uuid=00112233445566778899aabbccddeeff features=branches,icount,labels,accesses,access-values
        \(SampleText.loopWithInterrupts)
        """

    /// One event of each kind, an unknown kind, and payloads that are not as their kind has them.
    static let everyKind = """
        options nonce=4 features=branches,icount,labels,rcx,accesses,access-values,state
        branch 0x1020 -> 0x1000 jcc! +4
        event interrupt ip=0x1000 info=32 value=0x2000
        event interrupt ip=0x1000 info=0xffffffff
        event exception ip=0x1000 info=14 address=0xdead value=2
        event discontinuity ip=0x1000 info=13 value=0x2000
        event syscall ip=0x1000 info=1 value=1 value=0x5000 value=6 rcx=0x77
        event software-interrupt ip=0x1000 info=0x80
        access port-read ip=0x1000 info=2 address=0x1f0 value=0xaa55
        access port-read ip=0x1000 info=0x102 address=0x1f0
        access port-write ip=0x1000 info=4 address=0xcf8 value=0x80000000
        access mmio-read ip=0x1000 info=16 address=0xfee00020 value=1 value=2
        access mmio-write ip=0x1000 info=4 address=0xfee000b0 value=0
        access rdtsc ip=0x1000 value=123 tsc=456
        access rdtsc ip=0x1000 info=1
        access cpuid ip=0x1000 address=0x200000004 value=1 value=2
        access rdmsr ip=0x1000 address=0xc0000080 value=0x500
        access wrmsr ip=0x1000 address=0x10 value=0
        access rdrand ip=0x1000 value=42
        access ram-read ip=0x1000 info=8 address=0x5000 value=0xffff8880 value=7
        access ram-write ip=0x1000 info=1 address=0x5008 value=0xffff8888
        event hypercall ip=0x1000 info=29 value=1
        event hypercall-result ip=0x1000 info=29 value=0
        event upcall info=243 value=5
        event time-update value=1 value=2
        event context value=0x1000 value=0xffff8000
        event state info=17 value=0xabc value=0xdef registers=0x99
        event state info=0xff value=1
        event rewound value=100 value=200
        event trace-gap info=1
        event trace-gap info=99
        event kind-77 ip=0x1000 info=5 payload=010203
        event interrupt icount=none info=1 payload=0102
        lost event 3
        annotation words of a user
        run-end hung
        """

    /// Mode digest: most branches are left out.
    static let digest = """
        options mode=digest branch-cell-shift=4 kept=1 nonce=2
        repeat 100 {
            branch 0x1020 -> 0x1000 jcc! +4
        }
        """

    /// Enough records for several sizes of chunk, raw and compressed.
    static func large(codec: String) -> String {
        """
        options codec=\(codec) branch-cell-shift=8 event-cell-shift=8 nonce=3 features=branches,icount,labels,accesses
        attribute guest.kernel=/boot/vmlinuz
        repeat 40 {
            repeat 30 {
                branch 0x401020 -> 0x401000 jcc! +4
                branch 0x401010 -> 0x402000 call! +3
                access rdtsc ip=0x402004 +1
                branch 0x402010 -> 0x401015 ret +5
            }
            event discontinuity ip=0x401008 info=0 value=0x403000 +1
            branch 0x401008 -> 0x403000 none +1
            branch 0x403010 -> 0x401008 iret +2
        }
        comparable-end the end
        run-end guest-shutdown
        """
    }
}

/// A temporary directory with one log.
struct LogFixture {
    let directory: TemporaryDirectory
    let log: String

    init(_ text: String) throws {
        directory = try TemporaryDirectory()
        log = directory.path + "/ttd.log"
        try assemble(text, to: log)
    }

    /// The output with what differs from run to run taken out.
    func normalized(_ text: String) -> String {
        text.replacingOccurrences(of: directory.path, with: "DIR")
            .replacing(/created         .* UTC/, with: "created         TIME")
            .replacing(/"createdUnixNanoseconds" : "[0-9]+"/, with: "\"createdUnixNanoseconds\" : \"TIME\"")
    }
}
