// SPDX-License-Identifier: GPL-2.0-or-later

import BranchAnalysis
import Formatting
import LogFormat
import Symbolize

/// The formats of `bts-dump --fdo`: profiles for optimisers.
public enum ProfileFormat: String, CaseIterable, Sendable {
    /// Pre-aggregated traces for `perf2bolt --pa` of LLVM 20 and later: `T`, `B`, `f` and `r` lines
    /// (bolt/docs/profiles.md).
    case bolt
    /// Branches and straight runs for older ones: `B`, `F` and `f` lines.
    case boltBranches = "bolt-branches"
    /// The text of create_llvm_prof and create_gcov, `--profiler=text`: ranges, addresses and branches, each block headed
    /// by its number of lines (sample_reader.cc).
    case autofdo
    /// Samples of a branch recorder with 32 entries, for `llvm-profgen --perfscript`.
    case perfscript
}

/// `bts-dump --fdo`: what one program of a run executed, with exact counts, for a compiler or a linker that optimises it.
///
/// Mispredictions are not known; where a format has a field for them, it is 0.
public struct ProfileDump: BranchView, ~Copyable {
    private let format: ProfileFormat
    private let output: ViewOutput
    private let program: String
    private var tracer: ProgramTraces
    private var counts = TraceCounts()
    private var samples: SampleWriter
    private var text = TextBuffer()

    /// - Parameters:
    ///   - output: Receives the profile, and a note of what it contains.
    ///   - program: The path of the program's file, as the symbolizer knows it.
    public init(to output: ViewOutput, format: ProfileFormat, symbolizer: Symbolizer, program: String) {
        self.format = format
        self.output = output
        self.program = program
        samples = SampleWriter(to: output.sink)
        let modules = symbolizer.modules.filter { $0.path == program }
        tracer = ProgramTraces(modules.map { ProgramTraces.Place(range: $0.range, slide: $0.slide) })
    }

    /// Begins the branches of an input.
    public mutating func begin(_ input: ViewInput) {}

    /// Begins the branches of a vCPU.
    public mutating func begin(vcpu: UInt16) { interrupt() }

    /// Takes selected branches.
    public mutating func add(_ batch: borrowing BranchBatch, _ range: Range<Int>) {
        if format == .perfscript {
            tracer.add(batch, range) { samples.add($0) }
        } else {
            tracer.add(batch, range) { counts.add($0) }
        }
    }

    /// Takes branches that are not selected: those around them do not follow each other.
    public mutating func pass(_ batch: borrowing BranchBatch, _ range: Range<Int>) { interrupt() }

    private mutating func interrupt() {
        tracer.begin { step in
            if format == .perfscript { samples.add(step) } else { counts.add(step) }
        }
        counts.finish()
        samples.finish()
    }

    /// Whether the output would stay the same with further branches.
    public var isOver: Bool { output.sink.isClosed }

    /// Writes the profile. Throws ``ViewError`` if the program never ran, or if there are more traces than are counted.
    public mutating func finish() throws {
        interrupt()
        let traces = counts.traces()
        switch format {
        case .bolt: writeTraces(traces)
        case .boltBranches: writeBranches(traces)
        case .autofdo: writeRanges(traces)
        case .perfscript: break
        }
        text.write(to: output.sink)
        guard format != .perfscript else {
            guard samples.branches > 0 else { throw ViewError.neverRan(path: program) }
            return output.report(.note("\(samples.branches) branches in \(samples.samples) samples"))
        }
        guard !traces.isEmpty else { throw ViewError.neverRan(path: program) }
        let total = traces.reduce(0 as UInt64) { $0 &+ $1.count }
        output.report(
            .note("\(total) branches, \(traces.count) distinct; counts are exact, mispredictions are not known"))
        if counts.leftOut > 0 {
            throw ViewError.tooMany(what: "traces", limit: counts.limit, leftOut: counts.leftOut)
        }
    }

    // MARK: Formats

    private mutating func line(_ kind: StaticString, _ addresses: UInt64..., count: UInt64, ending: StaticString = "") {
        text.append(kind)
        for address in addresses {
            text.append(0x20)
            text.appendHexadecimal(address, digits: 1)
        }
        text.append(0x20)
        text.appendDecimal(count)
        text.append(ending)
        text.append(0x0a)
        if text.size > 1 << 16 { text.write(to: output.sink) }
    }

    private mutating func exitLine(_ trace: TraceCounts.Trace) {
        text.append("B ")
        text.appendHexadecimal(trace.from, digits: 1)
        text.append(" X:")
        text.appendHexadecimal(trace.to, digits: 1)
        text.append(0x20)
        text.appendDecimal(trace.count)
        text.append(" 0\n")
    }

    private mutating func writeTraces(_ traces: [TraceCounts.Trace]) {
        for trace in traces {
            switch (trace.origin, trace.end) {
            case (.branch, _) where trace.isExit: exitLine(trace)
            case (.branch, let end?): line("T", trace.from, trace.to, end, count: trace.count)
            case (.branch, nil): line("T", trace.from, trace.to, .max, count: trace.count)
            case (.externalReturn, let end?): line("r", trace.to, end, count: trace.count)
            case (.external, let end?): line("f", trace.to, end, count: trace.count)
            case (.externalReturn, nil), (.external, nil): break
            }
        }
    }

    private mutating func writeBranches(_ traces: [TraceCounts.Trace]) {
        var branches = PairCounts()
        var inner = PairCounts()
        var outer = PairCounts()
        for trace in traces {
            if trace.isExit {
                exitLine(trace)
            } else if trace.origin == .branch {
                branches.add(trace.from, trace.to, count: trace.count)
            }
            guard let end = trace.end else { continue }
            if trace.origin == .branch {
                inner.add(trace.to, end, count: trace.count)
            } else {
                outer.add(trace.to, end, count: trace.count)
            }
        }
        for pair in branches.pairs() { line("B", pair.first, pair.second, count: pair.count, ending: " 0") }
        for pair in inner.pairs() { line("F", pair.first, pair.second, count: pair.count) }
        for pair in outer.pairs() { line("f", pair.first, pair.second, count: pair.count) }
    }

    private mutating func writeRanges(_ traces: [TraceCounts.Trace]) {
        var ranges = PairCounts()
        var branches = PairCounts()
        for trace in traces {
            if let end = trace.end { ranges.add(trace.to, end, count: trace.count) }
            if trace.origin == .branch, !trace.isExit { branches.add(trace.from, trace.to, count: trace.count) }
        }
        block(ranges.pairs(), "-")
        text.append("0\n")
        block(branches.pairs(), "->")
    }

    private mutating func block(_ pairs: [PairCounts.Pair], _ separator: StaticString) {
        text.appendDecimal(UInt64(pairs.count))
        text.append(0x0a)
        for pair in pairs {
            text.appendHexadecimal(pair.first, digits: 1)
            text.append(separator)
            text.appendHexadecimal(pair.second, digits: 1)
            text.append(0x3a)
            text.appendDecimal(pair.count)
            text.append(0x0a)
            if text.size > 1 << 16 { text.write(to: output.sink) }
        }
    }
}
