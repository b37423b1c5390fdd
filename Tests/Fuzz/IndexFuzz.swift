// SPDX-License-Identifier: GPL-2.0-or-later
// A libFuzzer harness for indexes of strangers, built by index.sh together with the sources of TraceIndex.
//
// An input is a byte that selects views, and a list of changes to a sound index: 3 bytes of offset (little-endian), a byte of length (modulo 16), as many
// bytes. If the top bit of the length is set, the offset counts from the first byte after the schema's page. An index that
// is still taken for that of the log is queried: a quarter of the views and the functions, alone or beside another run.

import CSQLite
import Glibc

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzOneInput(_ data: UnsafePointer<UInt8>?, _ size: Int) -> Int32 {
    guard size >= 1, let data else { return 0 }
    let selection = data[0]
    let input = UnsafeBufferPointer(start: data + 1, count: size - 1)
    let subject = Subject.shared
    var bytes = subject.index
    var place = 0
    while place + 4 <= input.count {
        let offset = Int(input[place]) | Int(input[place + 1]) << 8 | Int(input[place + 2]) << 16
        let start = input[place + 3] >> 7 == 1 ? 16384 : 0
        let length = min(Int(input[place + 3] & 15), input.count - place - 4)
        for index in 0..<length { bytes[(start + offset + index) % bytes.count] = input[place + 4 + index] }
        place += 4 + length
    }
    bytes.withUnsafeBytes { FuzzFile.shared.write($0) }
    guard case .current = ExistingIndex.look(at: FuzzFile.shared.path, key: subject.key) else { return 0 }
    var options = LogIndex.Options()
    options.output = FuzzFile.shared.path
    let names = selection & 8 == 0 ? ["main"] : ["orig", "replay"]
    query(names.map { .init(name: $0, log: subject.log, options: options) }, part: Int(selection & 3))
    return 0
}

private func query(_ runs: [QuerySession.Run], part: Int) {
    guard let session = try? QuerySession(runs, divergence: { [] }) else { return }
    let prefix = runs.count == 1 ? "" : "orig."
    for (number, view) in session.views.enumerated() where number % 4 == part && !view.stages.contains(.console) {
        let name = ComparisonSchema.views.contains { $0.name == view.name } ? view.name : prefix + view.name
        read("SELECT * FROM \(name) LIMIT 300", session)
    }
    read("SELECT * FROM \(prefix)branch WHERE \"to\" = (SELECT max(\"to\") FROM \(prefix)edge)", session)
    read("SELECT symbol(ip), source(ip), at_icount(icount), hex(brctr) FROM \(prefix)event LIMIT 300", session)
}

/// Reads all values of a query. An error is an answer.
private func read(_ sql: String, _ session: QuerySession) {
    try? session.run(sql) { row in
        for column in 0..<row.count { Subject.shared.sum &+= row.text(column)?.utf8.count ?? 0 }
    }
}

/// A log and its sound index.
private final class Subject: @unchecked Sendable {
    static let shared = Subject()

    let log: LogFile
    let key: String
    let index: [UInt8]
    /// A sum over everything that was read, so that reading is not optimised away.
    var sum = 0

    private init() {
        let path = FuzzFile.shared.path + ".log"
        do {
            var sample = SampleLog(branches: 400)
            sample.isAbandoned = false
            try sample.write(to: path)
            log = try LogFile(path: path)
            var options = LogIndex.Options()
            options.output = path + ".ttidx"
            options.hasAccessRows = true
            let index = try LogIndex.prepare(log, stages: [.events, .edges, .places, .calls], options: options)
            key = index.key
            self.index = Subject.bytes(of: index.path)
        } catch {
            fatalError("\(error)")
        }
        guard !index.isEmpty else { fatalError("no index") }
        atexit { for suffix in [".log", ".log.ttidx"] { unlink(FuzzFile.shared.path + suffix) } }
    }

    private static func bytes(of path: String) -> [UInt8] {
        guard let file = fopen(path, "r") else { return [] }
        defer { fclose(file) }
        fseek(file, 0, SEEK_END)
        var bytes = [UInt8](repeating: 0, count: ftell(file))
        rewind(file)
        return fread(&bytes, 1, bytes.count, file) == bytes.count ? bytes : []
    }
}
