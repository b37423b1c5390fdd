// SPDX-License-Identifier: GPL-2.0-or-later

import LogFormat

/// Assembles a log from text, so that a reader of a test sees the log that it uses.
///
///     options branch-cell-shift=4 kind=replay
///     let loop = 0x1000
///     branch loop+0x20 -> loop jcc! +7
///     event interrupt ip=loop info=32 value=0x9000
///     repeat 1000 {
///         branch loop+0x20 -> loop jcc! +7
///     }
///     comparable-end shutdown
///
/// One line is one record; `#` begins a comment. Numbers are decimal or, with `0x`, hexadecimal, and may be sums of
/// numbers and names. Lines:
///
///     options KEY=VALUE …          the header and how the log is written; only before the first record. Keys: mode,
///                                  codec (raw, zstd), branch-cell-shift, event-cell-shift, event-max, access-max,
///                                  vcpus, features (names with commas), uuid, kind, clock, recorder, generation,
///                                  machine, name, clock-base, icount-base, kept, window (FROM:TO), nonce
///     let NAME = NUMBER            a name for a number
///     vcpu N                       the vCPU of the lines that follow; 0 at first
///     branch FROM -> TO LABEL [+N] the branch at the vCPU's clock. LABEL as the tools print it (`jcc!`, `ret`); `jcc!`
///                                  when left out. +N: instructions since the branch before; 1 when left out
///     event KIND FIELD …           a record of the event stream at the vCPU's clock
///     access KIND FIELD …          the same of the access stream
///     epoch CLOCK [ICOUNT]         a gap: the vCPU's next epoch begins at that clock
///     attribute KEY=VALUE          the rest of the line is the value
///     annotation TEXT
///     comparable-end [FIELD …] TEXT   at the vCPU's clock and instruction count, unless fields give others
///     run-end REASON TEXT          reasons as the tools print them: `guest-shutdown`
///     lost STREAM COUNT            a record that this number of records of a stream was lost
///     repeat N {                   the lines up to the matching `}` N times; may be nested
///     abandon                      the last line: the log is left as a killed recorder would
///
/// Fields of events: `ip=`, `info=`, `rcx=`, `registers=`, `address=`, `value=` (may be repeated), `tsc=`, `clock=`,
/// `icount=` (`icount=none`: it has none), `+N` (instructions begun since the last branch), `payload=HEX`,
/// `private=HEX`.
public func assemble(_ text: String, to path: String) throws {
    var assembler = Assembler(path: path)
    let lines = try SourceLine.split(text)
    try assembler.run(lines[...])
    try assembler.finish()
}

/// An error in the text of a log.
public struct AssemblyError: Error, CustomStringConvertible {
    /// Number of the line, from 1.
    public var line: Int
    public var problem: String

    public var description: String { "line \(line): \(problem)" }
}

/// A line that is not empty, in words.
struct SourceLine {
    var number: Int
    var words: [Substring]

    static func split(_ text: String) throws -> [SourceLine] {
        var lines: [SourceLine] = []
        for (index, line) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
            let code = line.prefix { $0 != "#" }
            let words = code.split(whereSeparator: \.isWhitespace)
            if !words.isEmpty { lines.append(SourceLine(number: index + 1, words: words)) }
        }
        return lines
    }

    func error(_ problem: String) -> AssemblyError { AssemblyError(line: number, problem: problem) }

    /// The words from `index` on, with single blanks between them.
    func rest(from index: Int) -> String { words.dropFirst(index).joined(separator: " ") }

    /// The word with that index.
    func word(_ index: Int, _ what: String) throws -> Substring {
        guard index < words.count else { throw error("\(what) expected") }
        return words[index]
    }
}

/// The state of an assembly.
struct Assembler {
    let path: String
    var options = LogWriter.Options()
    var names: [Substring: UInt64] = [:]
    var writer: LogWriter?
    var vcpu: UInt16 = 0
    /// Instruction count of each vCPU after its last branch.
    var icounts: [UInt16: UInt64] = [:]
    var isAbandoned = false

    init(path: String) { self.path = path }

    var icount: UInt64 { icounts[vcpu] ?? (vcpu == 0 ? options.icountBase : 0) }

    mutating func run(_ lines: ArraySlice<SourceLine>) throws {
        var index = lines.startIndex
        while index < lines.endIndex {
            let line = lines[index]
            index += 1
            guard line.words[0] == "repeat" else {
                try assemble(line)
                continue
            }
            let count = try number(line.word(1, "count"), line)
            guard try line.word(2, "{") == "{" else { throw line.error("{ expected") }
            let end = try Assembler.blockEnd(lines[index...], of: line)
            for _ in 0..<count { try run(lines[index..<end]) }
            index = end + 1
        }
    }

    /// The index of the `}` that closes the block that these lines begin in.
    private static func blockEnd(_ lines: ArraySlice<SourceLine>, of start: SourceLine) throws -> Int {
        var depth = 1
        for index in lines.indices {
            if lines[index].words[0] == "repeat" { depth += 1 }
            if lines[index].words[0] == "}" { depth -= 1 }
            if depth == 0 { return index }
        }
        throw start.error("} missing")
    }

    private mutating func assemble(_ line: SourceLine) throws {
        guard !isAbandoned else { throw line.error("nothing may follow abandon") }
        switch line.words[0] {
        case "options": try setOptions(line)
        case "let":
            guard try line.word(2, "=") == "=" else { throw line.error("= expected") }
            names[try line.word(1, "name")] = try number(line.word(3, "number"), line)
        case "vcpu": vcpu = UInt16(truncatingIfNeeded: try number(line.word(1, "vCPU"), line))
        case "branch": try branch(line)
        case "event": try event(line, stream: .event)
        case "access": try event(line, stream: .access)
        case "epoch":
            try open().beginEpoch(vcpu: vcpu, clock: number(line.word(1, "clock"), line))
            if line.words.count > 2 { icounts[vcpu] = try number(line.words[2], line) }
        case "attribute", "annotation", "comparable-end", "run-end", "lost": try meta(line)
        case "abandon":
            try open().abandon()
            isAbandoned = true
        default: throw line.error("no such line: \(line.words[0])")
        }
    }

    /// The writer; the first call creates the log.
    mutating func open() throws -> LogWriter {
        if let writer { return writer }
        let created = try LogWriter(path: path, options: options)
        writer = created
        return created
    }

    mutating func finish() throws {
        let writer = try open()
        if !isAbandoned { try writer.close() }
    }

    /// A sum of numbers and names.
    func number(_ text: Substring, _ line: SourceLine) throws -> UInt64 {
        var sum: UInt64 = 0
        for term in text.split(separator: "+", omittingEmptySubsequences: false) {
            let digits = term.hasPrefix("0x") ? UInt64(term.dropFirst(2), radix: 16) : UInt64(term)
            guard let value = digits ?? names[term] else { throw line.error("no number, no name: \(term)") }
            sum &+= value
        }
        return sum
    }
}
