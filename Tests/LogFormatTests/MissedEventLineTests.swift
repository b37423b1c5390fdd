// SPDX-License-Identifier: GPL-2.0-or-later

import Testing

@testable import LogFormat

@Suite struct MissedEventLineTests {
    private static let text =
        "TT_LOG:(cpu(1): ttd_replay_current_events) Error:Replay missed event:TTD_EXCEPTION(16),info:do_page_fault(14):"
        + "now (brctr:533717718, ip:0xc029ec30), event (brctr:533717582, ip:0xc029ec31),"

    @Test(arguments: ["", "(XEN) "], ["", "\n"]) func line(before: String, inside: String) throws {
        let pieces = Self.text.split(separator: ":now", omittingEmptySubsequences: false)
        let found = try #require(MissedEventLine("\(before)\(pieces[0]):\(inside)now\(pieces[1])\n"))
        #expect(found.event == "TTD_EXCEPTION(16)")
        #expect(found.processor == 1)
        #expect(found.now == MissedEventLine.Place(brctr: 533_717_718, ip: 0xc029_ec30))
        #expect(found.expected == MissedEventLine.Place(brctr: 533_717_582, ip: 0xc029_ec31))
    }

    /// The line of hypervisor/xen/src/replay.c, as Xen's console had it: an exit came at another instruction.
    @Test func ofThePatchedXen() throws {
        let found = try #require(
            MissedEventLine(
                "(XEN) TT_LOG:(cpu(0): ttd_replay) Error:Replay missed event:TTD_EXIT(1),info:rdtsc(1):now (brctr:651, "
                    + "ip:0xffffffff8103b172), event (brctr:651, ip:0xffffffff8103b150), domain 2, reason 1, exit 0x6e, hash "
                    + "db767eaa, expected exit 0, hash ff83c35d"))
        #expect(found.event == "TTD_EXIT(1)")
        #expect(found.now == MissedEventLine.Place(brctr: 651, ip: 0xffff_ffff_8103_b172))
        #expect(found.expected == MissedEventLine.Place(brctr: 651, ip: 0xffff_ffff_8103_b150))
    }

    @Test func withoutInstructions() throws {
        let found = try #require(MissedEventLine("Replay missed event:X, now (brctr: 20), event (brctr:0x10)"))
        #expect(found.event == "X")
        #expect(found.now == MissedEventLine.Place(brctr: 20, ip: nil))
        #expect(found.expected == MissedEventLine.Place(brctr: 16, ip: nil))
    }

    @Test(arguments: [
        "", "missed event", "Replay missed event:X: now (brctr:5, ip:1), event (brctr:, ip:1)",
        "now (brctr:5), event (brctr:6)", "Replay missed event:X now (brctr:99999999999999999999), event (brctr:1)",
        "Replay missed event:\u{0}\u{1b}[2J: now (", "missed event event (brctr:1) now",
    ]) func otherText(_ text: String) {
        #expect(MissedEventLine(text) == nil)
    }

    /// No text traps.
    @Test func mutated() {
        var numbers = Numbers(3)
        let bytes = Array(Self.text.utf8)
        for _ in 0..<3000 {
            var changed = bytes
            for _ in 0...Int.random(in: 0...4, using: &numbers) {
                let place = Int.random(in: 0..<changed.count, using: &numbers)
                if Bool.random(using: &numbers) {
                    changed[place] = UInt8.random(in: 0...255, using: &numbers)
                } else {
                    changed.removeSubrange(place..<min(changed.count, place + 7))
                    if changed.isEmpty { changed = bytes }
                }
            }
            _ = MissedEventLine(String(decoding: changed, as: UTF8.self))
        }
    }
}
