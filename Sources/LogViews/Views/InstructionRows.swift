// SPDX-License-Identifier: GPL-2.0-or-later

import BranchAnalysis
import Formatting
import LogFormat
import MachineCode
import Symbolize

/// Writes the instructions between branches, one a row.
///
///     text   1234: 5678 0xffffffff81000010 <foo+0x10>  call 0xffffffff81000400  -> 0xffffffff81000400 <bar>
///            1234: 5679 0xffffffff81000400 <bar>  rep movsb (%rsi), (%rdi)  (1001 times)
///            1234: 6679 0xffffffff81000405 <bar+0x5>  (changed by the kernel, 5 bytes)
///            --- 52 instructions, 9 branches where no file has code, from 0x7f0000001000
///     jsonl  {"kind":"instruction","vcpu":0,"brctr":"1234","icount":"5678","address":"0x…","size":5,"text":"call …",
///             "times":"1","branch":{"to":"0x…","label":"call","static":true,"discontinuity":false},"place":{…}}
///
/// `brctr` counts the branches before the instruction, `icount` the instructions that began before it (null in JSON if that
/// is not known: after one of several repeated instructions). The last instruction of a stretch has the branch that left
/// it. With `*` (JSON `discontinuity`) an interrupt, an exception or a fault left it: the instruction began, and the log
/// does not show whether it was completed. `again` marks an instruction that begins again.
struct InstructionRows: ~Copyable {
    /// The form of the rows.
    struct Style {
        var isJSON: Bool
        var showsVCPU: Bool
        var hasIcount: Bool
        /// Widths of the two counters in text.
        var widths: (brctr: Int, icount: Int)

        init(isJSON: Bool, showsVCPU: Bool, hasIcount: Bool, widths: (brctr: Int, icount: Int)) {
            self.isJSON = isJSON
            self.showsVCPU = showsVCPU
            self.hasIcount = hasIcount
            self.widths = widths
        }

        init(_ input: ViewInput, isJSON: Bool) {
            self.init(
                isJSON: isJSON, showsVCPU: input.vcpus.count > 1, hasIcount: input.hasIcount,
                widths: (input.counterWidth, input.icountWidth))
        }
    }

    private var rows: RowEncoder
    var style: Style
    /// The texts of instructions in the mode of most code. Other instructions are formatted each time.
    var instructions: PlaceCache
    private let cachedMode: CodeMode
    /// Names of branch targets.
    var places: PlaceCache
    let words: InstructionWords
    var vcpu: UInt16 = 0
    /// Rows written so far.
    private(set) var count: UInt64 = 0

    init(to sink: any TextSink, _ style: Style, _ words: InstructionWords, _ symbolizer: Symbolizer, lines: Bool) {
        rows = RowEncoder(to: sink, format: style.isJSON ? .jsonl : .text)
        self.style = style
        self.words = words
        let placeStyle: PlaceStyle = style.isJSON ? .json : .text(lines: lines)
        places = PlaceCache(symbolizer, style: placeStyle)
        let mode = words.code.ranges.first.flatMap { words.code.mode(at: $0.lowerBound) } ?? .bits64
        cachedMode = mode
        instructions = PlaceCache { words.render($0, mode) }
    }

    /// One instruction.
    struct Row {
        var brctr: UInt64
        var icount: UInt64?
        var instruction: Instruction
        /// How often it began; `nil` if that is not known.
        var times: UInt64?
        /// Whether it began before and was left by an interrupt, an exception or a fault.
        var isRestart: Bool
        /// The branch that left it.
        var branch: Branch?
    }

    @inline(__always)
    mutating func write(_ row: Row) {
        count &+= 1
        if style.isJSON { writeJSON(row) } else { writeText(row) }
    }

    @inline(__always)
    private mutating func writeText(_ row: Row) {
        writePosition(row.brctr, row.icount)
        rows.text.appendFullAddress(row.instruction.address)
        writeWords(row.instruction)
        if row.instruction.branchClass == .rep { writeTimes(row) }
        if row.isRestart { rows.text.append("  (again)") }
        writeBranch(row.branch)
    }

    @inline(__always)
    private mutating func writePosition(_ brctr: UInt64, _ icount: UInt64?) {
        if style.showsVCPU {
            rows.text.append("vcpu ")
            rows.text.appendDecimal(UInt64(vcpu))
            rows.text.append(0x20)
        }
        rows.text.appendDecimal(brctr, width: style.widths.brctr)
        rows.text.append(": ")
        if style.hasIcount {
            if let icount {
                rows.text.appendDecimal(icount, width: style.widths.icount)
            } else {
                rows.text.appendSpaces(style.widths.icount - 1)
                rows.text.append(0x3f)
            }
            rows.text.append(0x20)
        }
    }

    /// Ends a row of text.
    @inline(__always)
    private mutating func writeBranch(_ branch: Branch?) {
        if let branch {
            rows.text.append("  -> ")
            rows.text.appendFullAddress(branch.to)
            places.append(branch.to, to: &rows.text)
            if branch.label.isDiscontinuity { rows.text.append(" *") }
        }
        rows.endText()
    }

    /// Writes a place that the kernel patches: the code in the file is not the code that ran.
    mutating func writePatch(_ range: Range<UInt64>, brctr: UInt64, icount: UInt64?, branch: Branch?) {
        count &+= 1
        let size = range.upperBound &- range.lowerBound
        guard style.isJSON else {
            writePosition(brctr, icount)
            rows.text.appendFullAddress(range.lowerBound)
            places.append(range.lowerBound, to: &rows.text)
            rows.text.appendText(
                "  (changed by the kernel" + (branch.map { ": \($0.label.branchClass.name))" } ?? ", \(size) bytes)"))
            return writeBranch(branch)
        }
        rows.begin()
        rows.string("kind", "patched")
        rows.number("vcpu", UInt64(vcpu))
        rows.counter("brctr", brctr)
        rows.counter("icount", icount)
        rows.address("address", range.lowerBound)
        rows.number("size", size)
        rows.key("place")
        places.append(range.lowerBound, to: &rows.text)
        rows.text.append(0x2c)
        writeJSONBranch(branch)
    }

    @inline(never)
    private mutating func writeTimes(_ row: Row) {
        switch row.times {
        case nil: rows.text.append("  (? times)")
        case 1: break
        case .some(let times): rows.text.appendText("  (\(times) times)")
        }
    }

    @inline(__always)
    private mutating func writeWords(_ instruction: Instruction) {
        if instruction.mode == cachedMode {
            instructions.append(instruction.address, to: &rows.text)
        } else {
            rows.text.appendText(words.render(instruction.address, instruction.mode))
        }
    }

    private mutating func writeJSON(_ row: Row) {
        rows.begin()
        rows.string("kind", "instruction")
        rows.number("vcpu", UInt64(vcpu))
        rows.counter("brctr", row.brctr)
        rows.counter("icount", row.icount)
        rows.address("address", row.instruction.address)
        rows.number("size", UInt64(row.instruction.size))
        writeWords(row.instruction)
        rows.counter("times", row.times)
        rows.flag("again", row.isRestart)
        writeJSONBranch(row.branch)
    }

    /// Ends a row of JSON.
    private mutating func writeJSONBranch(_ branch: Branch?) {
        if let branch {
            rows.beginObject("branch")
            rows.address("to", branch.to)
            rows.label(branch.label)
            rows.key("toPlace")
            places.append(branch.to, to: &rows.text)
            rows.text.append(0x2c)
            rows.endObject()
        } else {
            rows.null("branch")
        }
        rows.end()
    }

    /// Writes a row about instructions that are not shown.
    ///
    /// - Parameters:
    ///   - kind: The kind of the row in JSON.
    ///   - text: The row in text.
    ///   - fields: Writes the row's further fields in JSON.
    mutating func writeNote(_ kind: String, _ text: String, _ fields: (inout RowEncoder) -> Void) {
        if style.isJSON {
            rows.begin()
            rows.string("kind", kind)
            rows.number("vcpu", UInt64(vcpu))
            fields(&rows)
            rows.end()
        } else {
            rows.line((style.showsVCPU ? "vcpu \(vcpu) " : "") + "--- \(text)")
        }
    }

    /// Whether the reader of the rows went away.
    var isClosed: Bool { rows.sink.isClosed }

    mutating func line(_ line: String) { rows.line(line) }

    mutating func flush() { rows.flush() }
}
