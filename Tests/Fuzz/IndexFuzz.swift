// SPDX-License-Identifier: GPL-2.0-or-later
//
// A libFuzzer harness for index files, built by index.sh together with the sources of TraceIndex and what it imports.
//
// An input is an index file for the log FUZZ_LOG. It is looked at, and queried if it is taken for the log's index. Nothing may
// trap, and nothing may be written but indexes.

import Glibc

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzOneInput(_ data: UnsafePointer<UInt8>?, _ size: Int) -> Int32 {
    guard size >= 100, let data, let harness = IndexHarness.shared else { return 0 }
    harness.query(UnsafeRawBufferPointer(start: data, count: size))
    return 0
}

private final class IndexHarness: @unchecked Sendable {
    static let shared = IndexHarness()

    private let log: LogFile
    private let path: String

    private init?() {
        guard let name = getenv("FUZZ_LOG"), let log = try? LogFile(path: String(cString: name)) else { return nil }
        self.log = log
        let directory = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp"
        path = "\(directory)/tt-index-fuzz-\(getpid()).ttidx"
        atexit { if let harness = IndexHarness.shared { unlink(harness.path) } }
    }

    func query(_ bytes: UnsafeRawBufferPointer) {
        guard let file = fopen(path, "w") else { return }
        fwrite(bytes.baseAddress, 1, bytes.count, file)
        fclose(file)
        // Only a file that is taken for the log's index is of interest: another one would be made anew.
        guard case .current = ExistingIndex.look(at: path, key: IndexKey.text(log)) else { return }
        var options = TraceIndex.Options()
        options.output = path
        guard let session = try? QuerySession([.init(name: "main", log: log, options: options)]) else { return }
        for view in session.views where view.stages == [.events] {
            try? session.run("SELECT * FROM \(view.name) LIMIT 100") { row in
                for column in 0..<row.count { _ = row.text(column) }
            }
        }
        try? session.run(#"SELECT count(*) FROM branch WHERE "to" IN (SELECT "to" FROM _edge LIMIT 5)"#) { _ in }
        try? session.run("SELECT symbol(ip), source(ip), at_icount(icount) FROM event LIMIT 20") { _ in }
    }
}
