// SPDX-License-Identifier: GPL-2.0-or-later

import TestSupport
import Testing

/// gdb's commands that go back, against a forward run of the small guest, with both versions of QEMU.
extension EndToEndTests {
    @Suite(.serialized, .timeLimit(.minutes(4)))
    struct TravelCommandTests {
        @Test(arguments: TravelTests.Version.allCases) func commandsGoWhereAForwardRunWas(
            version: TravelTests.Version
        ) throws {
            let scratch = try temporaryDirectory()
            let directory = try TravelTests.recorded(scratch, version)
            let function = "call_through_table"
            let address = try GoingBackTruth.address(of: function, in: Products.guest("tiny"))
            var truth = try GoingBackTruth(directory, address: address)
            (truth.lines, truth.commands) = (.scattered, 8)
            try truth.takeStates(from: truth.quietEntry(200), count: 300)
            try truth.check(function, [])
        }
    }
}
