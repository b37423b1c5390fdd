// SPDX-License-Identifier: GPL-2.0-or-later

import Testing

@testable import ReplaySession

/// Answers of QEMU's `info registers`.
struct GuestRegistersTests {
    private static let long = """

        CPU#0
        RAX=0000000000000017 RBX=0000000000000000 RCX=00000000af6da780 RDX=00000000af6da780
        R8 =0000000000233878 R9 =0000000000233878 R10=00000000000001fe R11=00000000000001ff
        RIP=0000000000201039 RFL=00000206 [-----P-] CPL=0 II=0 A20=1 SMM=0 HLT=0
        CS =0008 0000000000000000 ffffffff 00af9b00 DPL=0 CS64 [-RA]
        GDT=     0000000000209000 0000003f
        CR0=80010033 CR2=0000000040075000 CR3=0000000000203000 CR4=00000020
        XMM00=0000000000000000 0000000000000005 XMM01=00000000000000000000000000000000
        """

    @Test func namesAndValuesAreRead() {
        let registers = GuestRegisters(text: Self.long)
        #expect(registers.codeBits == 64)
        #expect(registers["RAX"] == 0x17 && registers["R8"] == 0x233878 && registers["RIP"] == 0x201039)
        #expect(registers["RFL"] == 0x206 && registers["CR2"] == 0x4007_5000 && registers["HLT"] == 0)
        #expect(registers.list.first { $0.name == "CS" }?.value == "0008 0000000000000000 ffffffff 00af9b00")
        #expect(registers.list.first { $0.name == "XMM00" }?.value == "0000000000000000 0000000000000005")
        #expect(registers["XMM02"] == nil)
    }

    @Test func differencesAreFound() {
        let other = GuestRegisters(text: Self.long.replacing("RBX=0000000000000000", with: "RBX=0000000000000001"))
        let differences = GuestRegisters(text: Self.long).differences(from: other)
        #expect(differences.map(\.name) == ["RBX"])
        #expect(differences.first?.here == "0000000000000000" && differences.first?.there == "0000000000000001")
    }

    @Test func narrowRegistersHaveTheNamesOfWideOnes() {
        let registers = GuestRegisters(
            text: """
                EAX=00000040 EBX=00000000 ECX=03fe0040 EDX=00000000
                EIP=02ff94f1 EFL=00000046 [---Z-P-] CPL=0 II=0 A20=1 SMM=0 HLT=0
                CS =0008 00000000 ffffffff 00cf9b00 DPL=0 CS32 [-RA]
                """)
        #expect(registers["RAX"] == 0x40 && registers["RIP"] == 0x2ff_94f1 && registers.codeBits == 32)
    }

    @Test func textThatIsNoAnswerGivesNothing() {
        for text in ["", "=", "= =", "nonsense", "RAX=", "[]=1\n=2"] {
            #expect(GuestRegisters(text: text)["RAX"] == nil)
        }
    }
}
