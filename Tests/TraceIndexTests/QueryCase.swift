// SPDX-License-Identifier: GPL-2.0-or-later

import Formatting
import Glibc
import LogFormat
import TestSupport
import Testing
import TraceIndex

/// A log in a folder of its own, and the indexes that queries make of it.
struct QueryCase {
    let directory: TemporaryDirectory
    let log: LogFile

    init(_ text: String) throws {
        _ = QueryCase.cache
        directory = try TemporaryDirectory()
        try assemble(text, to: directory.file("ttd.log"))
        log = try LogFile(path: directory.path)
    }

    /// The cache directory of all tests.
    private static let cache: TemporaryDirectory? = {
        let directory = try? TemporaryDirectory()
        if let directory { setenv("XDG_CACHE_HOME", directory.path, 1) }
        return directory
    }()

    var index: String { directory.file("ttd.log.ttidx") }

    func session(_ options: LogIndex.Options = .init()) throws -> QuerySession {
        try QuerySession([.init(name: "main", log: log, options: options)])
    }

    /// The rows of a query as CSV, without the header.
    func rows(_ sql: String, _ options: LogIndex.Options = .init()) throws -> String {
        try session(options).csv(sql)
    }

    /// A log, a query, and the rows that it must have.
    static func expect(
        _ text: String, _ sql: String, _ rows: String, sourceLocation: SourceLocation = #_sourceLocation
    ) throws {
        let found = try QueryCase(text).rows(sql)
        #expect(found == rows, sourceLocation: sourceLocation)
    }
}

extension QuerySession {
    /// The rows of a query as CSV, without the header.
    func csv(_ sql: String) throws -> String {
        let sink = MemorySink()
        let writer = ResultWriter(.csv, to: sink)
        try run(sql, begin: writer.begin, row: writer.write)
        writer.finish()
        return sink.text.split(separator: "\n", omittingEmptySubsequences: false).dropFirst().dropLast()
            .joined(separator: "\n")
    }
}

/// The logs that several tests query.
enum Logs {
    /// A loop, an interrupt, a page fault and some accesses.
    static let small = """
        options branch-cell-shift=4 event-cell-shift=6 kind=recording nonce=0x1122334455667788 name=sample \
            features=branches,icount,labels,accesses,access-values,causes
        \(SampleText.loopWithInterrupts)
        """

    /// One event of each kind, an unknown kind, and payloads that are not as their kind has them.
    static let everyKind = """
        options nonce=4 features=branches,icount,labels,rcx,accesses,access-values,state
        branch 0x1020 -> 0x1000 jcc! +4
        event interrupt ip=0x1000 info=32 value=0x2000
        event interrupt ip=0x1000 info=0xffffffff
        event exception ip=0x1000 info=14 address=0xdead value=2
        event exception ip=0x1000 info=0xffffffff
        event discontinuity ip=0x1000 info=13 value=0xffffffff81000000
        event discontinuity ip=0x1000 info=200
        event syscall ip=0x1000 info=1 value=1 value=0x5000 value=6 rcx=0x77
        event syscall ip=0x1000 info=0xffffffff value=1 value=2 value=3 value=4 value=5 value=6 value=7 value=8
        event software-interrupt ip=0x1000 info=0x80
        access port-read ip=0x1000 info=2 address=0x1f0 value=0xaa55
        access port-read ip=0x1000 info=0x102 address=0x1f0
        access port-write ip=0x1000 info=4 address=0xcf8 value=0x80000000
        access mmio-read ip=0x1000 info=16 address=0xfee00020 value=1 value=2
        access mmio-write ip=0x1000 info=1 address=0xfee000b0 value=0
        access rdtsc ip=0x1000 value=123 tsc=456
        access rdtsc ip=0x1000 info=1
        access cpuid ip=0x1000 address=0x200000004 value=0xffffffff00000001 value=2
        access rdmsr ip=0x1000 address=0xc0000080 value=0x500
        access wrmsr ip=0x1000 address=0x10 value=0
        access rdrand ip=0x1000 value=42
        event hypercall ip=0x1000 info=29 value=1
        event hypercall-result ip=0x1000 info=29 value=0 value=0xffffffffffffffff
        event upcall info=243 value=5
        event time-update value=1 value=2
        event exit ip=0x1000 info=0x1010005 value=0x75bcd15 value=3 value=2 registers=0x99
        event exit ip=0x1002 info=0x060900ff value=0 value=1 value=2 value=3 value=4 value=5 value=6 value=7 value=0x10080 registers=0x99
        event exit ip=0x1002 info=0x20 registers=0x99
        event exit ip=0x1002 info=0xff800000 registers=0x99
        event foreign-write info=0x803 address=0x10 value=0x1122334455667788
        event foreign-write info=0x100 address=0xffffffffffffffff value=1 private=01 ip=0x1000 registers=5
        event page-digests address=0x40 value=1 value=0 value=3
        event context value=0x1000 value=0xffff8000
        event context value=0x1000
        event state info=17 value=0xabc value=0xdef registers=0x99
        event state info=31 value=1 value=2 value=3 value=4 value=5
        event state info=0xff value=1
        event rewound value=100 value=200
        event rewound value=0xfffffffffffffff0
        event trace-gap info=1
        event trace-gap info=99
        event kind-77 ip=0x1000 info=5 payload=010203
        event kind-77 ip=0x1000 info=5 address=0xffffffffffffffff value=7
        event kind-78 ip=0x1000 info=5
        event interrupt icount=none info=1 payload=0102
        event interrupt info=2 address=1 payload=0102
        event attribute payload=6162006364
        lost event 3
        annotation words of a user
        comparable-end why
        run-end hung
        """
}
