// SPDX-License-Identifier: GPL-2.0-or-later

import Foundation
import LogFormat
import TestSupport
import Testing

@Suite("Foreign formats: recognition and import")
struct ImportTests {
    let scratch: TemporaryDirectory

    init() throws { scratch = try temporaryDirectory() }

    private func write(_ name: String, _ bytes: [UInt8]) throws -> String {
        let path = scratch.file(name)
        try ReplayBinEditor.write(bytes, to: path)
        return path
    }

    private func replay(_ text: String, version: UInt32 = 0xe0200c, _ name: String = "replay.bin") throws -> String {
        var editor = try ReplayBinEditor(text: text)
        editor.version = version
        return try write(name, editor.bytes)
    }

    private static func record(_ words: UInt64...) -> [UInt8] { Event.payload(words: words) }

    /// The path of a file of a format. The switch is exhaustive on purpose: a new format does not compile until it has one.
    private func sample(of format: InputFormat) throws -> String {
        let record = ImportTests.record(0x1000, 0x2000, 0)
        return switch format {
        case .log: try LogFixtureFile(scratch.file("log")).path
        case .runDirectory: scratch.file("")
        case .qemuReplay: try replay("instruction 5\nend")
        case .rawBTS: try write("raw", record)
        case .rawBTSExtended: try write("extended", [UInt8](repeating: 0xff, count: 24) + record)
        case .xentrace: try write("xentrace", XenTraceTests.window(0, [XenTraceTests.record(0x81001, [], tsc: 5)]))
        case .xentt: try write("xentt", [])
        case .csv: try write("csv", Array("from,to\n1,2\n".utf8))
        case .jsonl: try write("jsonl", Array("{\"from\":1,\"to\":2}\n".utf8))
        case .perfScript: try write("perf", Array("ls 7 [000] 1.5: branches: call 1000 => 2000\n".utf8))
        }
    }

    /// Records of XenTT have no mark.
    private static let recognized = InputFormat.allCases.filter { $0 != .xentt }

    @Test("each format is recognised by its content", arguments: recognized)
    func recognition(format: InputFormat) throws {
        #expect(try InputFormat.recognize(path: sample(of: format)) == format)
    }

    @Test("docs/import.md or docs/bts-dump.md describes each foreign format", arguments: InputFormat.allCases)
    func documentation(format: InputFormat) throws {
        let pages = try ["docs/import.md", "docs/bts-dump.md"].map {
            try String(contentsOfFile: packageRoot + "/" + $0, encoding: .utf8)
        }
        #expect(pages.contains { $0.contains("`\(format.name)`") }, "\(format.name)")
    }

    @Test("the replay.bin of a killed QEMU has version 0; its entries make it one")
    func killed() throws {
        let path = try replay("checkpoint-init\ninstruction 5\ninterrupt", version: 0)
        #expect(try InputFormat.recognize(path: path) == .qemuReplay)
        #expect(throws: LogError.self) {
            try InputFormat.recognize(path: write("zeros", [UInt8](repeating: 0, count: 12)))
        }
        #expect(throws: LogError.self) {
            try InputFormat.recognize(path: write("codes", [UInt8](repeating: 0, count: 12) + [0xee, 0xee]))
        }
    }

    @Test("content of no format is refused by what it is", arguments: ["\u{7f}ELF and more than 24 bytes", "text", ""])
    func refusal(content: String) throws {
        let path = try write("other", Array(content.utf8))
        let error = #expect(throws: LogError.self) { try LogSource(path: path, needs: .events) }
        #expect(error?.description.contains("not a trace log") == true)
    }

    @Test("a format that lacks what is needed is refused by name")
    func lacking() throws {
        let path = try replay("instruction 5\nend")
        #expect(throws: LogError(file: path, kind: .lacks(format: .qemuReplay, needed: .branches, has: .events))) {
            try LogSource(path: path, needs: .branches)
        }
        let raw = try write("raw", ImportTests.record(0x1000, 0x2000, 0))
        #expect(throws: LogError(file: raw, kind: .lacks(format: .rawBTS, needed: .events, has: .branches))) {
            try LogFile.open(path: raw)
        }
        #expect(try LogSource(path: raw, needs: .branches).branchCount(vcpu: 0) == 1)
    }

    @Test("every entry of a replay.bin becomes an event at its instruction count, in order")
    func everyEntry() throws {
        let path = try replay(QEMUReplayLogTests.everything)
        let log = try LogFile.open(path: path)
        #expect(log.format == .qemuReplay && log.path == path)
        #expect(log.header.clock == .instructions && log.completeness == .closed && log.structuralDamage.isEmpty)
        var events: [Event] = []
        var cursor = log.events([.event])
        while let event = cursor.next() { events.append(event) }
        let lines = QEMUReplayLogTests.everything.split(separator: "\n")
        let isPosition: (Substring) -> Bool = { $0.hasPrefix("instruction") || $0 == "end" }
        #expect(events.count == lines.count { !isPosition($0) })
        #expect(events.map(\.clock) == events.map(\.icount))
        #expect(events.first?.clock == 0 && events.last?.clock == 1500)
        let wanted: Set<EventKind> = [.interrupt, .exception]
        let causes: [EventKind] = events.map(\.kind).filter { wanted.contains($0) }
        #expect(causes == [.interrupt, .exception])
        let details = events.map { $0.details { _ in "" } }
        #expect(details.contains("host, time 123456789"))
        #expect(details.contains("character-read-all, data 00 00 00 05 68 65 6c 6c 6f"))
        #expect(details.contains("guest-shutdown"))
        #expect(log.comparableEnd(vcpu: 0)?.clock == 1500)
        #expect(log.runEnd?.reason == .guestShutdown)
        #expect(log.verify().isIntact)
    }

    @Test("damage of the file is the log's")
    func damage() throws {
        var bytes = try ReplayBinEditor(text: "instruction 5\ninterrupt\nclock-host 7\nend").bytes
        bytes.removeLast(4)
        let log = try LogFile.open(path: write("cut", bytes))
        #expect(log.structuralDamage.count == 1)
        #expect(log.chunks(.event, vcpu: 0).reduce(0) { $0 + $1.count } == 1)
    }

    @Test("an imported log can be sliced: the slice is a log of its own")
    func slicing() throws {
        let log = try LogFile.open(path: replay(QEMUReplayLogTests.everything))
        try slice(log, to: scratch.file("slice"), from: 1000, to: 1400)
        let part = try LogFile(path: scratch.file("slice"))
        #expect(part.chunks(.event, vcpu: 0).reduce(0) { $0 + $1.count } == 21)
    }

    @Test("an import leaves no file")
    func nothingLeft() throws {
        let open = {
            try FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").compactMap {
                try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/fd/\($0)")
            }.filter { $0.contains("(deleted)") }
        }
        // Other tests have such files meanwhile, but not so many.
        let (imports, before) = (100, try open().count)
        let path = try replay("instruction 5\ninterrupt\nend")
        for _ in 0..<imports { #expect(try LogFile.open(path: path).chunks.count == 2) }
        #expect(try open().count < before + imports / 2)
    }

    /// A log with one branch.
    private struct LogFixtureFile {
        let path: String

        init(_ path: String) throws {
            self.path = path
            let writer = try LogWriter(path: path)
            writer.branch(from: 0x1000, to: 0x2000, icount: 1, label: BranchLabel(.jmp, hasStaticTarget: true))
            try writer.close()
        }
    }
}
