// SPDX-License-Identifier: GPL-2.0-or-later

import LogFormat
import RunDirectory
import TestSupport
import Testing

@testable import ReplaySession

extension EndToEndTests.QEMU10 {
    /// The reader that was written from docs/log-format.md alone, on real logs with all that QEMU 10.0 shows.
    @Suite(.serialized, .timeLimit(.minutes(2)))
    struct BothReaders {
        /// Record by record: header, branches, events, accesses, meta.
        @Test(arguments: ["tiny", "accesses"]) func readTheSame(guest: String) throws {
            let scratch = try temporaryDirectory()
            let directory = scratch.file("run")
            // The tiny guest with branches, for a short while; the other without.
            let kernel = guest == "tiny" ? try Products.guest(rounds: 1, in: scratch) : Products.guest(guest)
            let mode = ["--mode", guest == "tiny" ? "branches" : "events"]
            let qemu = try #require(Products.qemu10)
            let result = try record(kernel, into: directory, ["--qemu", qemu] + mode + EndToEndTests.QEMU10.everything)
            try #require(result.status == 0, "\(result)")

            let log = try LogFile(path: directory)
            var kinds: [EventKind: (records: Int, withValues: Int)] = [:]
            var events = log.events([.event, .access])
            while let event = events.next() {
                kinds[event.kind, default: (0, 0)].records += 1
                if !event.values.isEmpty { kinds[event.kind]?.withValues += 1 }
            }
            let valued: [EventKind] = [
                .portRead, .portWrite, .mmioRead, .mmioWrite, .cpuid, .wrmsr, .context, .interrupt,
            ]
            for kind in valued + (guest == "tiny" ? [.state, .rdtsc] : [.rdmsr]) {
                #expect((kinds[kind]?.withValues ?? 0) > 0, "\(kind): \(kinds)")
            }
            if guest == "accesses" {
                // Reads that did not complete.
                let reads = try #require(kinds[.portRead])
                #expect(reads.records > reads.withValues)
            }

            let second = try #require(
                try SecondReader.read(["\(directory)/ttd.log"], output: scratch.file("second")).first)
            let first = FirstReader(log)
            #expect(first.unreadable == 0 && first.elided == 0)
            #expect(first.lines.count > 5000)
            #expect(first.lines.count == second.count - 1)
            let unequal = zip(first.lines, second).first { $0 != $1 }
            #expect(unequal == nil, "LogFormat, second reader")
            let summary = try #require(second.last)
            #expect(summary.contains("\"state\":\"closed\""), "\(summary)")
            #expect(summary.contains("\"unknown_kinds\":0") && summary.contains("\"damage\":[]"), "\(summary)")
        }
    }
}
