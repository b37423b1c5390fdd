// SPDX-License-Identifier: GPL-2.0-or-later

import LogFormat
import TestSupport
import Testing

/// A log, its rows as the tools print them, and the log that is imported from these rows: the same records.
@Suite struct RowRoundTripTests {
    private let directory: TemporaryDirectory

    init() throws { directory = try TemporaryDirectory() }

    private func imported(_ log: String, _ format: String) throws -> LogFile {
        // Events first: after a gap, no event of before can follow.
        let events = try Tool.analyze.run(["events", "--stream", "all", "--no-causes", "--format", format, log])
        let branches = try Tool.dump.run(["--format", format, log])
        #expect(events.status == 0 && branches.status == 0, "\(events.errors)\(branches.errors)")
        return try LogFile.open(path: directory.write("rows", events.output + branches.output))
    }

    /// The digests of a log's chunks of a vCPU.
    private func digests(_ log: LogFile, _ stream: LogStream, _ vcpu: UInt16) -> [Digests] {
        log.chunks(stream, vcpu: vcpu).map(\.digests)
    }

    @Test(
        arguments: ["jsonl", "csv"],
        [
            "options nonce=1\n" + SampleText.loopWithInterrupts, SampleText.twoVCPUs,
            "options nonce=1 features=branches,labels,accesses,causes\n" + SampleText.loopWithInterrupts,
        ]) func rowsHoldTheWholeLog(format: String, text: String) throws
    {
        let path = directory.file("log")
        try assemble(text, to: path)
        let log = try LogFile(path: path)
        let copy = try imported(path, format)
        #expect(copy.structuralDamage.isEmpty && copy.format.name == format, "\(copy.structuralDamage)")
        #expect(copy.vcpus == log.vcpus && copy.header.clockBase == log.header.clockBase)
        for vcpu in log.vcpus {
            for stream in [LogStream.branch, .event, .access] {
                #expect(digests(copy, stream, vcpu) == digests(log, stream, vcpu), "\(stream) of vCPU \(vcpu)")
            }
        }
        if format == "jsonl" {
            let (ours, theirs) = (copy.attributes, log.attributes)
            #expect(ours.filter { !$0.key.hasPrefix("import.") } == theirs)
            #expect(copy.comparableEnd(vcpu: 0)?.reason == log.comparableEnd(vcpu: 0)?.reason)
            #expect(copy.runEnd?.text == log.runEnd?.text)
        }
    }
}
