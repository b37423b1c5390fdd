// SPDX-License-Identifier: GPL-2.0-or-later

/// Texts of logs that the tests of several rooms assemble.
public enum SampleText {
    /// A loop, an interrupt, a page fault and some accesses; a test puts a line of options before it.
    public static let loopWithInterrupts = """
        attribute guest.kernel=sample.elf
        let start = 0xffffffff81000000
        let loop = 0xffffffff81000100
        branch start+0x10 -> loop call! +5
        access port-read ip=loop+4 info=1 address=0x3f8 value=0x41 +2
        repeat 40 {
            branch loop+0x20 -> loop jcc! +7
        }
        event interrupt ip=loop+8 info=32 value=0xffffffff81a00000 +3
        branch loop+8 -> 0xffffffff81a00000 none +3
        access rdtsc ip=0xffffffff81a00004 value=123456789 +1
        branch 0xffffffff81a00010 -> loop+8 iret +9
        event exception ip=loop+0xc info=14 address=0x7fffdeadbeef value=6 +2
        branch loop+0xc -> 0xffffffff81a00100 none +2
        branch 0xffffffff81a00110 -> loop+0x30 jmp-indirect +4
        branch loop+0x40 -> start+0x15 ret +6
        access port-write ip=start+0x20 info=4 address=0xf4 value=0 +2
        annotation the guest is about to power off
        comparable-end the guest powered off
        run-end guest-shutdown power off
        """

    /// Two vCPUs, a gap on one of them.
    public static let twoVCPUs = """
        options vcpus=2 branch-cell-shift=4 nonce=1
        repeat 3 {
            branch 0x1020 -> 0x1000 jcc! +4
        }
        vcpu 1
        branch 0x2020 -> 0x2000 jcc! +4
        epoch 100
        event trace-gap info=2
        branch 0x2020 -> 0x2000 jcc! +4
        """
}
