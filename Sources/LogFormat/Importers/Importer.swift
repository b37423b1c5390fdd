// SPDX-License-Identifier: GPL-2.0-or-later

import CTTLog

/// Receives the share of an import that is done, 0 to 1, from time to time.
public typealias ImportProgress = (_ share: Double) -> Void

/// A foreign format whose records become branches and events of a log.
protocol Importer {
    /// The input's format.
    var format: InputFormat { get }
    /// The file that is imported.
    var path: String { get }
    /// The header that the imported log has: only what the input is known to hold.
    var options: LogWriter.Options { get }
    /// Writes the records in order. Returns the damage that was skipped.
    func write(to writer: LogWriter, progress: ImportProgress) throws(LogError) -> [Damage]
}

extension Importer {
    /// Writes a whole log to a file that has no name yet. Returns the damage that was skipped.
    func write(
        to file: PendingFile, named name: String, attributes: [(key: String, value: String)],
        progress: ImportProgress
    ) throws(LogError) -> [Damage] {
        var options = options
        options.recorder = .synthetic
        options.createdUnixNanoseconds = 1  // Not known, and never compared.
        let writer = try LogWriter(nameless: file.descriptor, name: name, options: options)
        let damage = try write(to: writer, progress: progress)
        writer.attribute("import.format", format.name)
        for (key, value) in attributes { writer.attribute(key, value) }
        try writer.close()
        return damage
    }
}

extension LogFile {
    /// Imports a foreign format into a temporary log without a name, which only this process can read, and opens it.
    ///
    /// The log takes disk space in `TMPDIR` or `/tmp` until it is released.
    convenience init(importing importer: some Importer) throws(LogError) {
        let temporary = try PendingFile.temporary()
        let damage = try importer.write(to: temporary, named: importer.path, attributes: []) { _ in }
        let file = try InputFile(duplicating: temporary.descriptor, path: importer.path)
        try self.init(importedInto: file, from: importer.format, damage: damage)
    }
}

extension InputFormat {
    /// The importer of a file of this format.
    func importer(_ file: InputFile, progress: ImportProgress = { _ in }) throws(LogError) -> any Importer {
        switch self {
        case .log, .runDirectory:
            throw LogError(file: file.path, kind: .invalidRequest("is a log already: nothing to import"))
        case .rawBTS, .rawBTSExtended: RawBTSImporter(try RawBTSFile(file: file))
        case .qemuReplay: try QEMUReplayImporter(path: file.path)
        case .perfScript: try PerfScriptImporter(file, progress: progress)
        case .csv, .jsonl: try RowImporter(file, format: self, progress: progress)
        case .xentrace: try XenTraceImporter(file, progress: progress)
        case .xentt:
            throw LogError(file: file.path, kind: .invalidRequest("records of XenTT cannot be read without a layout"))
        }
    }
}
