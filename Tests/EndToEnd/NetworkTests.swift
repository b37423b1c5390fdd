// SPDX-License-Identifier: GPL-2.0-or-later

@preconcurrency import Glibc
import RunDirectory
import TestSupport
import Testing

@testable import ReplaySession

/// Network cards that record and replay: iPXE asks QEMU's own network for an address.
private enum NetworkCases {
    static let cards = ["e1000", "rtl8139"]
    static let roms = "/usr/lib/ipxe/qemu"

    /// Records until packets have come from outside, replays, and compares the runs and their packets.
    static func expectReplay(_ card: String, qemu: String, _ scratch: TemporaryDirectory) throws {
        let directory = scratch.file("run")
        let packets = scratch.file("packets")
        let recording = try RunningTool(
            Products.tool("tt-record"),
            [
                "--qemu", qemu, "--memory", "64M", "--plugin", Products.plugin, "--timeout", "50", directory, "--",
                "-netdev", "user,id=n", "-object", "filter-replay,id=r,netdev=n",
                "-object", "filter-dump,id=d,netdev=n,file=\(packets)",
                "-device", "\(card),netdev=n,romfile=\(roms)/pxe-\(card).rom",
            ])
        // A request for an address, and the answer.
        try wait(until: { Files.size(packets) > 1000 || !recording.isRunning }, "packets come")
        recording.signal(SIGINT)
        let recorded = try recording.wait()
        #expect(recorded.status == 0, "\(recorded)")
        let original = try Files.contents(packets)
        #expect(original.count > 1000)

        // The dump of packets is an argument that only its own user may ask for.
        #expect(try replay(directory).status == 2)
        let replayed = try replay(directory, ["--trust"])
        #expect(replayed.status == 0, "\(replayed)")
        for result in [recorded, replayed] {
            #expect(result.out.contains("left over: 0 transitions, 0 events"), "\(result)")
        }
        let report = try run(Products.tool("tt-analyze"), ["diverge", directory, "\(directory)/replays/1"])
        #expect(report.status == 0, "\(report)")
        // A packet that comes while the recording ends is dumped and does not reach the guest.
        let repeated = try Files.contents(packets)
        #expect(repeated.count > 1000 && original.starts(with: repeated), "\(original.count), \(repeated.count) bytes")
    }
}

extension EndToEndTests {
    @Test(.enabled(if: Files.exists(NetworkCases.roms)), arguments: NetworkCases.cards)
    func packetsRepeat(card: String) throws {
        try NetworkCases.expectReplay(card, qemu: Products.qemu7, temporaryDirectory())
    }

    /// The same under QEMU 10.0.
    @Suite(.serialized, .timeLimit(.minutes(4)))
    struct QEMU10Networks {
        @Test(.enabled(if: Files.exists(NetworkCases.roms)), arguments: NetworkCases.cards)
        func packetsRepeat(card: String) throws {
            try NetworkCases.expectReplay(card, qemu: try #require(Products.qemu10), temporaryDirectory())
        }
    }
}
