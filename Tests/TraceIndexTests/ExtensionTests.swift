// SPDX-License-Identifier: GPL-2.0-or-later

import Foundation
import TestSupport
import Testing
import TraceIndex

/// The index in other programs: Python's SQLite, without and with the loadable extension.
@Suite struct ExtensionTests {
    /// The extension, as the build made it.
    private static let library = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
        .deletingLastPathComponent().appendingPathComponent("libttlog_sqlite.so").path

    /// The output of a Python program, with `index` connected to the file. It runs the system's Python: another one may
    /// have a SQLite of its own.
    private func python(_ lines: String, _ index: String, loads: Bool) throws -> String {
        let load = "index.enable_load_extension(True)\nindex.load_extension('\(ExtensionTests.library)')\n"
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/python3")
        process.arguments = [
            "-c", "import sqlite3\nindex = sqlite3.connect('\(index)')\n\(loads ? load : "")\(lines)",
        ]
        let pipe = Pipe()
        process.standardOutput = pipe
        process.standardError = pipe
        try process.run()
        let data = pipe.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        return String(decoding: data, as: UTF8.self)
    }

    @Test func viewsOfEventsNeedNoExtension() throws {
        let test = try QueryCase(Logs.small)
        _ = try test.rows("SELECT count(*) FROM edge, function")
        let output = try python(
            """
            print(index.execute("SELECT kind, details FROM event").fetchall())
            print(index.execute("SELECT calls FROM function WHERE address = 0xffffffff81000100").fetchall())
            print(index.execute("SELECT count FROM edge ORDER BY count DESC LIMIT 1").fetchall())
            """, test.index, loads: false)
        #expect(
            output == """
                [('interrupt', 'vector 32 -> 0xffffffff81a00000'), ('exception', 'vector 14, address 0x7fffdeadbeef, error code 0x6')]
                [(1,)]
                [(40,)]

                """)
    }

    @Test func theExtensionReadsBranchesAndAccesses() throws {
        let test = try QueryCase(Logs.small)
        _ = try test.rows("SELECT count(*) FROM edge")
        let output = try python(
            """
            print(index.execute("SELECT count(*), max(brctr) FROM branch").fetchone())
            print(index.execute('SELECT brctr, kind FROM branch WHERE "to" = 0xffffffff81000100 ORDER BY brctr DESC LIMIT 1').fetchone())
            print(index.execute("SELECT port, value FROM io").fetchall())
            print(index.execute("SELECT addr(-1), at_icount(290)").fetchone())
            """, test.index, loads: true)
        #expect(output == "(46, 45)\n(40, 'jcc!')\n[(1016, 65), (244, 0)]\n('0xffffffffffffffff', 42)\n")
    }

    @Test func theExtensionRefusesALogThatChanged() throws {
        let test = try QueryCase(Logs.small)
        _ = try test.rows("SELECT count(*) FROM event")
        try assemble(Logs.everyKind, to: test.directory.file("ttd.log"))
        let output = try python("index.execute('SELECT * FROM branch').fetchall()", test.index, loads: true)
        #expect(output.contains("has changed since this index was made"), "\(output)")
    }

    /// The name of the log in an index that a stranger made.
    @Test(arguments: ["../secret/ttd.log", "/etc/passwd", "", ".."])
    func theExtensionFollowsNoNameToAnotherFolder(_ name: String) throws {
        let test = try QueryCase(Logs.small)
        _ = try test.rows("SELECT count(*) FROM event")
        _ = try python(
            "index.execute(\"UPDATE _meta SET value = ? WHERE key = 'log'\", ['\(name)']); index.commit()", test.index,
            loads: false)
        let output = try python("index.execute('SELECT * FROM branch').fetchall()", test.index, loads: true)
        #expect(output.contains("names a log that is not beside it"), "\(output)")
    }
}
