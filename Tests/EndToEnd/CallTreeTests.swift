// SPDX-License-Identifier: GPL-2.0-or-later

import CallTree
import LogFormat
import RunDirectory
import TestSupport
import Testing

@testable import ReplaySession

/// Compares the call tree of a recorded run with the one that the guest wrote down itself: every call, interrupt, fault
/// and system call.
private func compareWithTheGuestsNotes(_ more: [String]) throws {
    let scratch = try temporaryDirectory()
    let guest = try Products.guest("tiny-truth", rounds: 3, in: scratch)
    let result = try record(guest, into: scratch.file("run"), more)
    try #require(result.status == 0, "\(result)")
    let symbols = try GuestSymbols(guest)
    let truth = try CallHistory(serial: scratch.file("run/serial.log"), symbols: symbols)
    var marks: [Resynchronisation] = []
    let tree = try CallHistory(log: LogFile(path: scratch.file("run")), symbols: symbols, marks: &marks)

    #expect(truth.main.count > 50_000)
    #expect(tree.main.count == truth.main.count)
    let difference = zip(tree.main, truth.main).enumerated().first { $0.element.0 != $0.element.1 }
    #expect(difference == nil, "\(String(describing: difference))")
    // leave_user leaves the system call and the user code without a return.
    #expect(marks == [.unwound])
    for kind in [6, 14, 128] as [UInt64] {
        #expect(truth.main.contains { $0.kind == .interruption && $0.what == kind })
    }
    #expect(truth.main.count { $0.kind == .systemCall } == 20)

    #expect(truth.interrupts.count > 40)
    #expect(tree.interrupts.count == truth.interrupts.count)
    var placed = 0
    for (found, noted) in zip(tree.interrupts, truth.interrupts) {
        #expect(found.vector == noted.vector && found.ip == noted.ip && found.entries == noted.entries)
        #expect(!noted.entries.isEmpty)
        // Between a call and the note of it, the log knows one entry more.
        #expect(found.place == noted.place || found.place == noted.place + 1)
        guard let function = found.function else { continue }
        placed += 1
        #expect(function == symbols.function(of: noted.ip), "\(found)")
    }
    #expect(placed * 2 > truth.interrupts.count)
}

extension EndToEndTests {
    @Test func theCallTreeIsTheGuestsOwn() throws {
        try compareWithTheGuestsNotes([])
    }
}

extension EndToEndTests.QEMU10 {
    @Test func theCallTreeIsTheGuestsOwn() throws {
        try compareWithTheGuestsNotes(["--qemu", #require(Products.qemu10)])
    }
}
