// SPDX-License-Identifier: GPL-2.0-or-later

import Formatting
import MachineCode
import Symbolize

/// Which functions and source lines of some files a run reached, and how often.
///
///     let coverage = try Coverage(stretches, symbolizer, machine: .x86_64)
///     for file in coverage.files { print(file.path ?? "?", file.lines.count { $0.count > 0 }, "of", file.lines.count) }
///
/// Every instruction from the target of one branch to the source of the next was run once. The count of a *line* is the
/// count of its instruction that was run most often; if a function was inlined or cloned, the sum over its copies. An
/// instruction that faulted and was run again counts once. The count of a *function* is the count of the instruction at
/// its entry; in an inlined copy, of the copy's lowest instruction.
public struct Coverage: Sendable {
    /// A line that has code.
    public struct Line: Hashable, Sendable {
        /// The line's number, from 1.
        public var number: Int
        /// How often the line was run.
        public var count: UInt64
    }

    /// A function, all of its copies together.
    public struct Function: Hashable, Sendable {
        /// The linkage name if it has one, else the name.
        public var name: String
        /// The name that `name` has in its source; `nil` if it is the same, or demangling is off.
        public var demangledName: String?
        /// The first of its lines that has code; 0 when none is known.
        public var line: Int
        /// How often it was entered.
        public var count: UInt64
        /// The number of its own lines that have code, without those of functions inlined into it.
        public var lines: Int
        /// The number of these lines that were reached.
        public var reachedLines: Int
    }

    /// A source file.
    public struct File: Hashable, Sendable {
        /// The path in the debug information; `nil` for functions whose file is not known.
        public var path: String?
        /// By line, then name.
        public var functions: [Function]
        /// Ascending.
        public var lines: [Line]
    }

    /// By path; the one without a path last.
    public internal(set) var files: [File] = []
    /// Stretches that were counted.
    public internal(set) var counted: UInt64 = 0
    /// Stretches that no symbol file knows.
    public internal(set) var outside: UInt64 = 0
    /// The number of stretches that the code of the files contradicts; these are not counted. Records are missing in
    /// the log there, or the file does not belong to it.
    public internal(set) var contradicted: UInt64 = 0

    /// Lines that have code, and those that were reached.
    public var lineTotals: (all: Int, reached: Int) {
        files.reduce((0, 0)) { sum, file in
            (sum.0 + file.lines.count, sum.1 + file.lines.count { $0.count > 0 })
        }
    }

    /// Functions that have code, and those that were reached.
    public var functionTotals: (all: Int, reached: Int) {
        files.reduce((0, 0)) { sum, file in
            (sum.0 + file.functions.count, sum.1 + file.functions.count { $0.isReached })
        }
    }

    /// - Parameters:
    ///   - symbolizer: the files.
    ///   - machine: the processor (ELF `e_machine`); either x86 when `nil`.
    public init(
        _ stretches: borrowing StretchCounts, _ symbolizer: Symbolizer, machine: Machine? = nil
    ) throws {
        let disassembler = try Disassembler()
        var (code, _) = CodeMap.of(symbolizer.modules, machine: machine)
        try code.findPatchSites(disassembler)
        let lookup = symbolizer.lookup
        var decoder = StretchDecoder(code, disassembler)
        var believed: [(low: UInt64, last: UInt64, count: UInt64)] = []
        for pair in stretches.pairs.pairs() {
            guard lookup.find(pair.first).isKnown else {
                outside &+= pair.count
                continue
            }
            guard Coverage.isPossible(pair.first, pair.second, code, &decoder) else {
                contradicted &+= pair.count
                continue
            }
            counted &+= pair.count
            let low = pair.tag == StretchCounts.againTag ? pair.first &+ 1 : pair.first
            believed.append((low, pair.second, pair.count))
        }
        if let change = code.change { throw change }
        var builder = CoverageBuilder(symbolizer, ExecutionCounts(believed))
        let modules = symbolizer.modules
        for copies in Dictionary(grouping: modules.indices, by: { modules[$0].path }).values {
            builder.add(modules: copies.sorted())
        }
        files = builder.files()
    }

    /// Whether the code of the files lets a run go from `begin` to `end` without a branch.
    private static func isPossible(
        _ begin: UInt64, _ end: UInt64, _ code: CodeMap, _ decoder: inout StretchDecoder
    ) -> Bool {
        guard begin <= end, end &- begin <= StretchDecoder.sizeLimit else { return false }
        guard code.contains(begin) else { return true }
        let stretch = decoder.decode(begin: begin, end: end, begun: nil)
        switch stretch.outcome {
        case .complete, .outside, .unknownInstruction: return true
        default: return decoder.decodePatched(begin: begin, end: end)?.isComplete ?? false
        }
    }
}

extension Coverage.Function {
    /// Whether any of it was run.
    public var isReached: Bool { count > 0 || reachedLines > 0 }
}
