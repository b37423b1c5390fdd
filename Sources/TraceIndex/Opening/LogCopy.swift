// SPDX-License-Identifier: GPL-2.0-or-later

import CSQLite
import Glibc
import LogFormat

/// The log inside an index, so that one file can be mailed: its bytes in parts of a megabyte.
public enum LogCopy {
    private static let partSize = 1 << 20

    /// Copies a log into the index that is being made.
    static func write(_ log: LogFile, to database: Database) throws {
        guard log.completeness == .closed else { throw IndexError(file: log.path, kind: .unclosedLog) }
        let descriptor = open(log.path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw IndexError(file: log.path, kind: .cannotRead(errno: errno)) }
        defer { close(descriptor) }
        let insert = try database.prepare("INSERT INTO _log VALUES (?, ?)")
        var buffer = [UInt8](repeating: 0, count: partSize)
        var offset: UInt64 = 0
        while offset < log.fileSize {
            let count = pread(descriptor, &buffer, min(partSize, Int(log.fileSize - offset)), off_t(offset))
            guard count > 0 else { throw IndexError(file: log.path, kind: .cannotRead(errno: count < 0 ? errno : EIO)) }
            insert.bind(1, Int64(offset / UInt64(partSize)))
            buffer.withUnsafeBytes { insert.bind(2, blob: UnsafeRawBufferPointer(rebasing: $0[..<count])) }
            try insert.run()
            offset += UInt64(count)
        }
    }

    /// The log inside an index; nil when the file is no index, or has no log inside.
    ///
    /// The log is copied to a temporary file without a name, which is freed when the log is no longer used.
    public static func log(in path: String) throws -> LogFile? {
        guard path.hasSuffix(IndexLocation.suffix), let database = try? Database(path: path, .read),
            (try? database.integer("SELECT count(*) FROM _log")) ?? 0 != 0
        else { return nil }
        return try log(in: database.handle, schema: "main", path: path)
    }

    static func log(in connection: OpaquePointer, schema: String, path: String) throws -> LogFile {
        let directory = getenv("TMPDIR").map { String(cString: $0) } ?? "/tmp"
        var template = Array("\(directory)/tt-index-XXXXXX".utf8CString)
        let descriptor = mkstemp(&template)
        guard descriptor >= 0 else { throw IndexError(file: directory, kind: .cannotCreate(errno: errno)) }
        defer { close(descriptor) }
        _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
        template.withUnsafeBufferPointer { if let name = $0.baseAddress { unlink(name) } }
        var statement: OpaquePointer?
        let sql = "SELECT bytes FROM \(schema)._log ORDER BY part"
        guard sqlite3_prepare_v2(connection, sql, -1, &statement, nil) == SQLITE_OK else { throw SQLError(connection) }
        defer { sqlite3_finalize(statement) }
        while sqlite3_step(statement) == SQLITE_ROW {
            let count = Int(sqlite3_column_bytes(statement, 0))
            guard Glibc.write(descriptor, sqlite3_column_blob(statement, 0), count) == count else {
                throw IndexError(file: directory, kind: .cannotWrite(errno: errno))
            }
        }
        do throws(LogError) {
            return try LogFile(path: "/proc/self/fd/\(descriptor)")
        } catch {
            // The temporary file's name does not help the user.
            throw LogError(file: path, offset: error.offset, kind: error.kind)
        }
    }
}
