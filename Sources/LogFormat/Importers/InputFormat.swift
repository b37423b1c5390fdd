// SPDX-License-Identifier: GPL-2.0-or-later

import CTTLog

/// The format of a file or directory, recognised by its content.
public enum InputFormat: Sendable, Hashable, CaseIterable {
    /// A log of our own format.
    case log
    /// A directory that holds, or should hold, a log of our own format.
    case runDirectory
    /// QEMU's replay.bin: events, no branches.
    case qemuReplay
    /// Records of a branch trace store, 24 bytes each: branches, no events. See ``RawBTSFile/Form/plain``.
    case rawBTS
    /// Raw records with branch counters. See ``RawBTSFile/Form/extended``.
    case rawBTSExtended
    /// The text that `perf script` prints of branches. See ``PerfScriptImporter``.
    case perfScript
    /// Rows of branches or events as comma-separated values. See ``RowImporter``.
    case csv
    /// Rows of branches and events as JSON lines.
    case jsonl
    /// Records of XenTT. They have no mark: only ``importLog(_:to:layout:replacing:attributes:progress:)`` reads them,
    /// with their layout.
    case xentt
    /// Xen's trace buffers, as `xentrace` writes them. See ``XenTraceImporter``.
    case xentrace

    /// The format's name in messages and documents.
    public var name: String {
        switch self {
        case .log: "ttlog"
        case .runDirectory: "run-directory"
        case .qemuReplay: "qemu-replay"
        case .rawBTS: "raw-bts"
        case .rawBTSExtended: "raw-bts-extended"
        case .perfScript: "perf-script"
        case .csv: "csv"
        case .jsonl: "jsonl"
        case .xentt: "xentt"
        case .xentrace: "xentrace"
        }
    }

    /// The kinds of records that a file of the format can hold; the header of the log says which it has.
    public var content: LogContent {
        switch self {
        case .log, .runDirectory, .perfScript, .csv, .jsonl, .xentt: [.branches, .events]
        case .qemuReplay, .xentrace: .events
        case .rawBTS, .rawBTSExtended: .branches
        }
    }

    /// Recognises the format of a file or directory.
    ///
    /// Reads at most the first 96 KiB. The formats with a magic number are checked first, then those of text; plain raw
    /// records have none and are checked last.
    ///
    /// - Throws: ``LogError`` with what was found, if the path cannot be opened, is neither a regular file nor a
    ///   directory, or has content of no known format.
    public static func recognize(path: String) throws(LogError) -> InputFormat {
        if isDirectory(path) { return .runDirectory }
        return try recognize(InputFile(path: path))
    }

    static func recognize(_ file: InputFile) throws(LogError) -> InputFormat {
        var buffer = ReusedBuffer()
        let magic = buffer.room(for: 8)
        let start = UnsafeRawBufferPointer(magic).prefixed(try file.read(magic, at: 0))
        // A log first, from its first eight bytes: one that is damaged further on is still a log.
        if start.count == 8, start.loadUnaligned(as: UInt64.self) == TTLOG_FILE_MAGIC { return .log }
        if try QEMUReplayLog.isReplay(file) { return .qemuReplay }
        let room = buffer.room(for: RawBTSFile.sampleCount * RawBTSFile.recordSize)
        let sample = UnsafeRawBufferPointer(room).prefixed(try file.read(room, at: 0))
        if XenTraceImporter.isXenTrace(sample) { return .xentrace }
        if let rows = RowImporter.format(of: sample) { return rows }
        if PerfScriptImporter.isPerfScript(sample) { return .perfScript }
        switch RawBTSFile.form(of: sample) {
        case .plain: return .rawBTS
        case .extended: return .rawBTSExtended
        case nil:
            throw LogError(file: file.path, offset: 0, kind: .foreign(RawBTSFile.refusal(sample, size: file.size)))
        }
    }
}

/// The kinds of records in an input.
public struct LogContent: OptionSet, Sendable, Hashable {
    /// The bits.
    public var rawValue: UInt8

    /// The set of those bits.
    public init(rawValue: UInt8) {
        self.rawValue = rawValue
    }

    /// Branches.
    public static let branches = LogContent(rawValue: 1 << 0)
    /// Events: records of the event, access and meta streams.
    public static let events = LogContent(rawValue: 1 << 1)

    /// The contents in words: `branches and events`.
    public var words: String {
        let words = [(LogContent.branches, "branches"), (.events, "events")].filter { contains($0.0) }.map(\.1)
        return words.isEmpty ? "nothing" : words.joined(separator: " and ")
    }
}
