// SPDX-License-Identifier: GPL-2.0-or-later

import Foundation
import LogFormat

/// Tests/SecondReader: a reader in Python that was written from docs/log-format.md alone.
public enum SecondReader {
    /// Its output for each of the logs, line by line; the last line of each is its summary, or the reason of a refusal.
    ///
    /// - Parameter output: a file for its output.
    public static func read(_ paths: [String], output: String) throws -> [[Substring]] {
        let script = URL(fileURLWithPath: #filePath)
            .deletingLastPathComponent().deletingLastPathComponent()
            .appendingPathComponent("SecondReader/ttlog_reader.py").path
        _ = FileManager.default.createFile(atPath: output, contents: nil)
        let handle = try FileHandle(forWritingTo: URL(fileURLWithPath: output))
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = ["python3", script, "--check"] + paths
        process.standardOutput = handle
        process.standardError = FileHandle.nullDevice
        try process.run()
        process.waitUntilExit()
        try handle.close()
        let text = String(decoding: try Data(contentsOf: URL(fileURLWithPath: output)), as: UTF8.self)
        var logs: [[Substring]] = [[]]
        for line in text.split(separator: "\n") {
            logs[logs.count - 1].append(line)
            if line.hasPrefix(#"{"type":"summary""#) || line.hasPrefix(#"{"type":"refused""#) { logs.append([]) }
        }
        logs.removeLast()
        return logs
    }
}

/// What LogFormat reads, in the words of the second reader.
public struct FirstReader {
    /// The header and every record, in the order of the chunks.
    public private(set) var lines: [String] = []
    /// Records in chunks whose bodies were left out, or cannot be read.
    public private(set) var elided = 0
    public private(set) var unreadable = 0

    public init(_ log: LogFile) {
        lines.append(FirstReader.line(log.header))
        var branches = BranchBatch()
        var events = EventBatch()
        for chunk in log.chunks {
            do {
                if chunk.stream == .branch {
                    try log.decode(chunk, into: &branches)
                    append(branches, of: chunk, hasIcounts: log.header.features.contains(.icount))
                } else {
                    try log.decode(chunk, into: &events)
                    append(events, of: chunk)
                }
            } catch {
                if chunk.isElided { elided += chunk.count } else { unreadable += chunk.count }
            }
        }
    }

    private static func line(_ header: FileHeader) -> String {
        let uuid = header.uuid.bytes.isEmpty ? [UInt8](repeating: 0, count: 16) : header.uuid.bytes
        let fields: [(String, String)] = [
            ("version", "\(header.version)"), ("machine", "\(header.machine.rawValue)"),
            ("run_kind", "\(header.runKind.rawValue)"), ("clock", "\(header.clock.rawValue)"),
            ("nonce", quotedHex(header.nonce)), ("recording_uuid", "\"\(digits(uuid))\""),
            ("features", quotedHex(header.features.rawValue)), ("vcpu_count", "\(header.vcpuCount)"),
            ("mode", "\(header.mode.rawValue)"), ("branch_cell_shift", "\(header.branchCellShift)"),
            ("event_cell_shift", "\(header.eventCellShift)"), ("branch_chunk_max", "\(header.branchChunkMax)"),
            ("event_chunk_max", "\(header.eventChunkMax)"), ("access_chunk_max", "\(header.accessChunkMax)"),
            ("recorder", "\(header.recorder.rawValue)"), ("recorder_generation", "\(header.recorderGeneration)"),
            ("clock_base", "\"\(header.clockBase)\""), ("icount_base", "\"\(header.icountBase)\""),
            ("created_unix_ns", "\"\(header.createdUnixNanoseconds)\""),
            ("recorder_name", "\"\(header.recorderName)\""),
        ]
        return #"{"type":"header","# + fields.map { "\"\($0)\":\($1)" }.joined(separator: ",") + "}"
    }

    private static func head(_ chunk: Chunk, _ index: Int) -> String {
        """
        {"type":"\(chunk.stream.name)","vcpu":\(chunk.vcpu),"epoch":\(chunk.epoch),"cell":"\(chunk.cell)",\
        "part":\(chunk.part),"ordinal":"\(chunk.firstOrdinal + UInt64(index))"
        """
    }

    private mutating func append(_ batch: borrowing BranchBatch, of chunk: Chunk, hasIcounts: Bool) {
        for index in 0..<batch.count {
            let branch = batch[index]
            let icount = hasIcounts ? "\"\(branch.icount)\"" : "null"
            lines.append(
                """
                \(FirstReader.head(chunk, index)),"clock":"\(branch.clock)","icount":\(icount),\
                "from":\(quotedHex(branch.from)),"to":\(quotedHex(branch.to)),"label":\(branch.label.rawValue)}
                """)
        }
    }

    private mutating func append(_ batch: borrowing EventBatch, of chunk: Chunk) {
        for index in 0..<batch.count {
            let event = batch[index]
            let icount = event.validity.contains(.icount) ? "\"\(event.icount)\"" : "null"
            let ip = event.validity.contains(.ip) ? quotedHex(event.ip) : "null"
            let hasAux = !event.validity.isDisjoint(with: [.rcx, .registers])
            let tsc = event.validity.contains(.tsc) ? "\"\(event.tsc)\"" : "null"
            lines.append(
                """
                \(FirstReader.head(chunk, index)),"clock":"\(event.clock)","icount":\(icount),\
                "kind":\(event.kind.rawValue),"validity":\(event.validity.rawValue),"ip":\(ip),"info":\(event.info),\
                "aux":\(hasAux ? quotedHex(event.aux) : "null"),"payload":"\(digits(event.payload))",\
                "ticket":"\(event.ticket)","tsc":\(tsc),"private":"\(digits(event.privatePayload))"}
                """)
        }
    }
}

private func quotedHex(_ value: UInt64) -> String { "\"0x" + String(value, radix: 16) + "\"" }

private func digits(_ bytes: [UInt8]) -> String {
    let hexadecimal = Array("0123456789abcdef".utf8)
    return String(decoding: bytes.flatMap { [hexadecimal[Int($0 >> 4)], hexadecimal[Int($0 & 15)]] }, as: UTF8.self)
}
