// SPDX-License-Identifier: GPL-2.0-or-later

import Formatting
import Glibc
import LogFormat

/// A description of a log for people, one property a line.
public struct LogInfoText {
    private let log: LogFile
    private let summary: LogSummary
    private let damageCount: Int
    private let header: FileHeader
    private let sink: any TextSink

    /// Describes a log.
    ///
    /// - Parameters:
    ///   - damageCount: The damaged parts that were found in opening and summarising it.
    ///   - sink: Receives the lines.
    public init(_ log: LogFile, _ summary: LogSummary, damageCount: Int, to sink: any TextSink) {
        self.sink = sink
        self.log = log
        self.summary = summary
        self.damageCount = damageCount
        header = log.header
    }

    /// Writes the description.
    public func write() {
        line("log", log.path)
        line("size", "\(log.fileSize) bytes in \(log.chunks.count) chunks, \(LogInfoText.words(log.completeness))")
        line("run", "\(LogInfoText.words(header.runKind)) \(header.uuid)")
        line("recorder", recorder)
        line("created", LogInfoText.time(header.createdUnixNanoseconds))
        line(
            "guest",
            "\(header.machine), \(header.vcpuCount) vCPU\(header.vcpuCount == 1 ? "" : "s")")
        line("clock", "\(LogInfoText.words(header.clock)), from \(header.clockBase)")
        line("mode", "\(header.mode)")
        line("features", header.features.names.joined(separator: ", "))
        for vcpu in summary.vcpus { write(vcpu) }
        if let meta = summary.meta { line("meta", describe(meta)) }
        if let rates { line("rates", rates) }
        for vcpu in log.vcpus {
            guard let end = log.comparableEnd(vcpu: vcpu) else { continue }
            let icount = end.icount.map { ", icount \($0)" } ?? ""
            line("comparable end", "vcpu \(vcpu): brctr \(end.clock)\(icount): \(end.reason)")
        }
        if let causes { line("causes", causes) }
        let end = log.runEnd
        line("run end", end.map { $0.text.isEmpty ? $0.reason.name : "\($0.reason): \($0.text)" } ?? "not recorded")
        line("lost", "\(log.lostRecords) records")
        line(
            "damage",
            damageCount == 0 ? "none" : "\(damageCount) part\(damageCount == 1 ? "" : "s")"
        )
        list("kinds", summary.kinds.sorted { $0.key.rawValue < $1.key.rawValue }.map { ($0.key.name, "\($0.value)") })
        list("attributes", log.attributes.sorted { $0.key < $1.key }.map { ($0.key, $0.value) })
    }

    private func write(_ vcpu: LogSummary.VCPU) {
        var range = "no records"
        if let clocks = vcpu.clocks {
            range = "brctr \(clocks.lowerBound):\(clocks.upperBound)"
            if let icounts = vcpu.icounts { range += ", icount \(icounts.lowerBound) ... \(icounts.upperBound)" }
            if vcpu.epochs > 1 { range += ", \(vcpu.epochs) epochs" }
        }
        line("vcpu \(vcpu.vcpu)", range)
        for stream in vcpu.streams { line("  \(LogInfoText.plural(stream.stream))", describe(stream)) }
    }

    private func describe(_ stream: LogSummary.Stream) -> String {
        var text = "\(stream.records) in \(stream.chunks) chunk\(stream.chunks == 1 ? "" : "s")"
        if stream.elidedRecords > 0 { text += ", \(stream.elidedRecords) more left out" }
        text += ", \(stream.storedBytes) bytes"
        if let each = stream.bytesPerRecord { text += " (\(LogInfoText.hundredths(each)) each)" }
        return text
    }

    private var recorder: String {
        let name = header.recorderName.isEmpty ? "\(header.recorder)" : header.recorderName
        return header.recorderGeneration == 0 ? name : "\(name), generation \(header.recorderGeneration)"
    }

    /// The causes that the join with the run's input log found, counted as in the summary of the run.
    private var causes: String? {
        let kinds = [
            ("join.interrupts", "interrupts"), ("join.exceptions", "exceptions"), ("join.faults", "faults"),
            ("join.software-interrupts", "software interrupts"),
        ]
        let attributes = log.attributes
        let counts = kinds.compactMap { key, name in attributes[key].map { "\($0) \(name)" } }
        return counts.isEmpty ? nil : counts.joined(separator: ", ") + " (joined with the run's input log)"
    }

    /// Records per 1,000 instructions, which makes two guests comparable.
    private var rates: String? {
        let instructions = summary.instructions
        guard instructions > 0 else { return nil }
        func rate(_ count: UInt64) -> String { LogInfoText.hundredths(Double(count) * 1000 / Double(instructions)) }
        return "\(rate(summary.records(.branch))) branches, \(rate(summary.records(.event))) events, "
            + "\(rate(summary.records(.access))) accesses, \(rate(log.fileSize)) bytes per 1,000 instructions"
    }

    private func line(_ title: String, _ text: String) {
        sink.line(LogInfoText.padded(title, 16) + text.onOneLine)
    }

    private func list(_ title: String, _ rows: [(String, String)]) {
        guard !rows.isEmpty else { return }
        sink.line(title)
        let width = (rows.map(\.0.count).max() ?? 0) + 2
        for (name, text) in rows {
            sink.line("  " + LogInfoText.padded(name.onOneLine, max(width, 14)) + text.onOneLine)
        }
    }

    private static func padded(_ text: String, _ width: Int) -> String {
        text + String(repeating: " ", count: max(1, width - text.count))
    }

    /// Two decimals, without Foundation.
    static func hundredths(_ value: Double) -> String {
        let scaled = UInt64(min(max(value * 100, 0).rounded(), 1e18))
        let rest = scaled % 100
        return "\(scaled / 100).\(rest < 10 ? "0" : "")\(rest)"
    }

    private static func time(_ unixNanoseconds: UInt64) -> String {
        guard unixNanoseconds > 0 else { return "not recorded" }
        var seconds = time_t(unixNanoseconds / 1_000_000_000)
        var parts = tm()
        guard gmtime_r(&seconds, &parts) != nil else { return "\(seconds) s after 1970" }
        var text = [CChar](repeating: 0, count: 64)
        let count = strftime(&text, text.count, "%Y-%m-%d %H:%M:%S UTC", &parts)
        return String(decoding: text.prefix(count).map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    private static func plural(_ stream: LogStream) -> String {
        switch stream {
        case .branch: "branches"
        case .event: "events"
        case .access: "accesses"
        default: stream.name
        }
    }

    private static func words(_ clock: FileHeader.Clock) -> String {
        switch clock {
        case .unknown: "unknown"
        case .transitions: "transitions (brctr)"
        case .retiredBranches: "retired branches"
        case .synchronousEntries: "synchronous entries"
        case .instructions: "instructions"
        }
    }

    private static func words(_ kind: FileHeader.RunKind) -> String {
        switch kind {
        case .unknown: "of unknown kind, recording"
        case .recording: "recording"
        case .replay: "replay of"
        case .plain: "neither recorded nor replayed,"
        }
    }

    private static func words(_ completeness: LogFile.Completeness) -> String {
        switch completeness {
        case .closed: "closed"
        case .beingWritten: "being written"
        case .unclosed(openFileFound: true): "not closed, recovered from its open file"
        case .unclosed(openFileFound: false): "not closed, its open file is missing"
        }
    }
}
