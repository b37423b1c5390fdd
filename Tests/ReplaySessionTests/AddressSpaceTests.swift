// SPDX-License-Identifier: GPL-2.0-or-later

import LogFormat
import RunDirectory
import TestSupport
import Testing

@testable import ReplaySession

/// Which process runs at a position, from the context events of a log.
struct AddressSpaceTests {
    /// Two processes, which take turns every four transitions. A chunk of events has the records of 64 transitions.
    private func log(_ scratch: TemporaryDirectory) throws -> String {
        let path = scratch.file("ttd.log")
        try assemble(
            """
            options codec=raw features=icount,context event-cell-shift=6
            repeat 40 {
                event context value=0x1000
                repeat 4 {
                    branch 0x400000 -> 0x400000
                }
                event context value=0x2000018
                repeat 4 {
                    branch 0x500000 -> 0x500000
                }
            }
            """, to: path)
        return path
    }

    @Test func eachTurnIsFound() throws {
        let scratch = try TemporaryDirectory()
        let spaces = try AddressSpaces(LogFile(path: log(scratch)))
        #expect(spaces.warning == nil)
        #expect(spaces.space(at: 0) == 0x1000 && spaces.space(at: 3) == 0x1000 && spaces.space(at: 4) == 0x200_0000)
        #expect(spaces.space(at: 191) == 0x200_0000 && spaces.space(at: 192) == 0x1000)
        #expect(spaces.lastEnd(of: 0x1000, before: 200) == 196)
        #expect(spaces.nextStart(of: 0x1000, from: 65) == 72)
    }

    /// An answer from a log with a damaged chunk names it.
    @Test func damageIsNamed() throws {
        let scratch = try TemporaryDirectory()
        let path = try log(scratch)
        let chunk = try LogFile(path: path).chunks(.event, vcpu: 0)[1]
        var bytes = try Files.contents(path)
        // In its body, after the 192 bytes of its header.
        bytes[Int(chunk.offset) + 192] ^= 0xff
        try Files.replace(path, with: bytes)
        let spaces = try AddressSpaces(LogFile(path: path))
        let warning = try #require(spaces.warning)
        #expect(warning.contains("a part of the log is damaged") && warning.contains("\(path): offset \(chunk.offset)"))
        // What it says of the stretch is what the chunk before it says.
        #expect(spaces.space(at: 64) == 0x200_0000 && spaces.space(at: 130) == 0x1000)
    }

    @Test func aLogWithoutContextIsRefused() throws {
        let scratch = try TemporaryDirectory()
        let path = scratch.file("ttd.log")
        try assemble("branch 0x400000 -> 0x400000", to: path)
        let log = try LogFile(path: path)
        #expect(throws: PlaceError.self) { try AddressSpaces(log) }
    }
}
