// SPDX-License-Identifier: GPL-2.0-or-later

import TestSupport
import Testing

/// gdb's commands that go back, against a forward run: in the kernel, and in a program that two processes run.
extension EndToEndTests.QEMU10.Linux {
    @Test(.enabled(if: LinuxGuest.hasVmlinux, "the kernel's vmlinux is not here: scripts/fetch-vmlinux"))
    func commandsGoBackInTheKernel() throws {
        let vmlinux = try #require(try LinuxGuest.vmlinux())
        let address = try GoingBackTruth.address(of: "vsnprintf", in: vmlinux)
        var truth = try GoingBackTruth(LinuxRecording.current, address: address)
        truth.lines = .scattered
        try truth.takeStates(from: truth.quietEntry(400), count: 260)
        try truth.check("vsnprintf", ["--symbols", vmlinux])
    }

    /// Two processes run the same code at the same addresses, in turns.
    @Test func commandsGoBackInAProcess() throws {
        let program = try LinuxGuest.file("walk")
        let address = try GoingBackTruth.address(of: "climb", in: program)
        var truth = try GoingBackTruth(LinuxRecording.current, address: address)
        let entries = truth.entries
        try #require(Set(entries.map(\.space)).count == 2 && entries.count == 2 * 42)
        // Between two turns of one come calls of the other.
        let own = entries[0].space
        let first = try #require(entries.indices.filter { entries[$0].space == own }.dropFirst(3).first)
        #expect(entries[..<first].contains { $0.space != own })
        (truth.isProcess, truth.lines) = (true, .exact)
        try truth.takeStates(from: first, count: 260)
        try truth.check("climb", ["--user", program])
    }
}
