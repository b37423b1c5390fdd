// SPDX-License-Identifier: GPL-2.0-or-later

import CTTLog

/// A foreign format whose records become events.
protocol EventImporter {
    /// The input's format.
    var format: InputFormat { get }
    /// The file that is imported.
    var path: String { get }
    /// The header that the imported log has.
    var options: LogWriter.Options { get }
    /// Writes the records in order. Returns the damage that was skipped.
    func write(to writer: LogWriter) throws(LogError) -> [Damage]
}

/// Imports a foreign format into a log that only this process can read.
enum EventImport {
    /// Writes the importer's records to a temporary file without a name, and opens that.
    ///
    /// The file takes disk space in `TMPDIR` or `/tmp` until the log is released.
    static func log(of importer: some EventImporter) throws(LogError) -> LogFile {
        let temporary = try PendingFile.temporary()
        let writer = try LogWriter(nameless: temporary.descriptor, name: importer.path, options: importer.options)
        let damage = try importer.write(to: writer)
        try writer.close()
        let file = try InputFile(duplicating: temporary.descriptor, path: importer.path)
        return try LogFile(importedInto: file, from: importer.format, damage: damage)
    }
}
