// SPDX-License-Identifier: GPL-2.0-or-later

import Alignment
import LogFormat
import RunDirectory
import TestSupport
import Testing

@testable import ReplaySession

extension EndToEndTests.QEMU10 {
    /// What accesses read and wrote, and where the address space and the stack were switched.
    @Suite(.serialized, .timeLimit(.minutes(2)))
    struct Values {
        private func recorded(_ scratch: TemporaryDirectory, _ more: [String] = []) throws -> String {
            let qemu = try #require(Products.qemu10)
            let directory = scratch.file("run")
            let result = try record(Products.guest("tiny"), into: directory, ["--qemu", qemu] + more)
            try #require(result.status == 0, "\(result)")
            return directory
        }

        private func diverge(_ original: String, _ replay: String) throws -> ToolResult {
            try run(Products.tool("tt-analyze"), ["diverge", original, replay])
        }

        /// The events of a log that come from the guest's own code, not the BIOS's.
        private func guestEvents(_ log: LogFile, _ stream: LogStream, _ kinds: Set<EventKind>) -> [Event] {
            var result: [Event] = []
            var events = log.events([stream])
            while let event = events.next() {
                if kinds.contains(event.kind), (0x200000..<0x300000).contains(event.ip) { result.append(event) }
            }
            return result
        }

        /// The number after `name=` in the output of the guest.
        private func printed(_ name: String, _ serial: String) -> UInt64? {
            serial.split { $0 == "\n" || $0 == "\r\n" || $0 == "\r" }.first { $0.hasPrefix("\(name)=") }
                .flatMap { UInt64($0.dropFirst(name.count + 1), radix: 16) }
        }

        /// Five replays are the recording, and its branches those of a replay that looks at nothing else.
        @Test func fiveReplaysAreIdenticalAndTheBranchesThoseOfABareRun() throws {
            let scratch = try temporaryDirectory()
            let directory = try recorded(scratch, EndToEndTests.QEMU10.everything)
            let original = try LogFile(path: directory)
            #expect(
                original.header.features.isSuperset(of: [
                    .causes, .accesses, .mmio, .accessValues, .mmioValues, .context, .state,
                ]))
            let end = try #require(original.comparableEnd(vcpu: 0)).clock
            for number in 1...5 {
                #expect(try replay(directory).status == 0)
                let report = try diverge(directory, "\(directory)/replays/\(number)")
                #expect(report.status == 0 && report.out.hasPrefix("identical\n"), "\(report)")
            }
            let off = ["--causes", "--registers", "--values", "--context"].flatMap { [$0, "off"] }
            let bareRun = try replay(directory, ["--name", "bare", "--mmio", "off", "--access", "off"] + off)
            #expect(bareRun.status == 0, "\(bareRun)")
            let bare = try LogFile(path: "\(directory)/replays/bare")
            #expect(bare.header.features == [.branches, .icount, .labels])
            let whole = (original.chunks(.branch, vcpu: 0), bare.chunks(.branch, vcpu: 0))
            #expect(end >> 16 > 20)
            for (chunk, copy) in zip(whole.0, whole.1) where chunk.cell < end >> 16 {
                #expect(chunk.digests == copy.digests, "cell \(chunk.cell)")
            }
            // A feature that only one log has is no difference.
            #expect(try replay(directory, ["--name", "blind", "--values", "off"]).status == 0)
            for name in ["bare", "blind"] {
                let report = try diverge(directory, "\(directory)/replays/\(name)")
                #expect(report.status == 0, "\(report)")
            }
        }

        /// A replay leaves out the same records as its recording, unless others are requested.
        @Test func aReplayRepeatsWhatTheRecordingChose() throws {
            let scratch = try temporaryDirectory()
            let chosen = ["--values", "off", "--context", "off", "--causes", "off", "--registers", "off", "--check"]
            let directory = try recorded(scratch, chosen)
            #expect(try replay(directory).status == 0)
            #expect(try replay(directory, ["--name", "more", "--values", "on", "--check", "off"]).status == 0)
            let bare: FileHeader.Features = [.branches, .icount, .labels, .accesses]
            for (run, features) in [
                (directory, bare), ("\(directory)/replays/1", bare),
                ("\(directory)/replays/more", bare.union(.accessValues)),
            ] {
                let log = try LogFile(path: run)
                #expect(log.header.features == features, "\(run)")
                #expect((log.attributes["recorder.check"] == nil) == run.hasSuffix("more"), "\(run)")
            }
            let plugin = try #require(
                try QEMUDetails(Manifest.read("\(directory)/replays/1/manifest.json")).plugin)
            #expect([plugin.values, plugin.context, plugin.causes, plugin.registers] == [false, false, false, false])
            #expect(plugin.check == true && plugin.options.isEmpty)
            #expect(try diverge(directory, "\(directory)/replays/more").status == 0)
        }

        /// Against the values that the guest reports, and the bytes that QEMU's serial line has received.
        @Test func valuesAreThoseThatTheGuestAndTheDevicesSaw() throws {
            let scratch = try temporaryDirectory()
            let directory = try recorded(scratch)
            let log = try LogFile(path: directory)
            let serial = String(decoding: try Files.contents("\(directory)/serial.log"), as: UTF8.self)

            let ports = guestEvents(log, .access, [.portRead, .portWrite])
            let written = ports.filter { $0.kind == .portWrite && $0.address == 0x3f8 }
            let line = written.compactMap { $0.values.first.map { UInt8(truncatingIfNeeded: $0) } }
            #expect(serial.utf8.suffix(line.count).elementsEqual(line) && line.count > 300)
            let second = try #require(ports.first { $0.kind == .portRead && $0.address == 0x71 })
            #expect(second.values == [try #require(printed("clock-seconds", serial))])

            let stamps = guestEvents(log, .access, [.rdtsc]).compactMap(\.values.first)
            #expect(stamps.count == 2)
            #expect(stamps.last! &- stamps.first! == printed("timestamps", serial))

            let processor = try #require(guestEvents(log, .access, [.cpuid]).first)
            #expect(processor.address == 1 && processor.values.count == 2)
            #expect(processor.values.first.map { $0 & 0xffff_ffff } == printed("processor", serial))

            // STAR, LSTAR, SFMASK as traps.c sets them.
            let registers = guestEvents(log, .access, [.wrmsr]).suffix(3)
            #expect(registers.map(\.address) == [0xc000_0081, 0xc000_0082, 0xc000_0084])
            #expect(registers.first?.values == [0x1b << 48 | 8 << 32])
            #expect(registers.last?.values == [0x200])
        }

        /// The tiny guest loads cr3 once; each of its twenty system calls switches to a stack of the kernel's and back.
        @Test func contextsAreTheSwitchesOfTheGuest() throws {
            let scratch = try temporaryDirectory()
            let log = try LogFile(path: recorded(scratch))
            let contexts = guestEvents(log, .event, [.context])
            #expect(contexts.allSatisfy { $0.values.count == 2 })
            let tables = Set(contexts.compactMap(\.values.first).filter { $0 != 0 })
            #expect(tables.count == 1 && tables.allSatisfy { $0 % 4096 == 0 })
            let bySite = Dictionary(grouping: contexts, by: \.ip)
            let ofCalls = bySite.values.filter { $0.count == 20 }
            #expect(ofCalls.count == 2)
            let stacks = ofCalls.map { Set($0.map { $0.values[1] }) }
            #expect(stacks.allSatisfy { $0.count == 1 } && Set(stacks.joined()).count == 2)
            #expect(bySite.values.allSatisfy { $0.count == 20 || $0.count == 1 })
        }

        /// A number that reaches no branch is written to a port: its first byte that differs is named.
        @Test func aValueThatReachesNoBranchDiffersInItsPayload() throws {
            let scratch = try temporaryDirectory()
            let directory = try recorded(scratch, ["--registers", "off"])
            _ = try replay(directory, ["--name", "data", "--force", "--kernel", Products.guest("tiny-data")])
            let report = try diverge(directory, "\(directory)/replays/data")
            #expect(report.status == 1 && report.out.hasPrefix("payload differs\n"), "\(report)")
            let alignment = try align(LogFile(path: directory), LogFile(path: "\(directory)/replays/data"))
            #expect(alignment.verdict == .payload)
            let firsts = try #require(alignment.vcpus.first)
            let first = try #require(firsts[.payload])
            #expect(firsts[.path] == nil && firsts[.event] == nil && first.fields.map(\.name) == ["value"])
        }
    }
}
