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
/// `brctr` counts the branches before the instruction, `icount` the instructions that began before it (in JSON null where
/// that is not known: behind one of several repeated instructions). The last instruction of a stretch has the branch
/// that left it; with `*` (JSON `discontinuity`) an interrupt, an exception or a fault did: then the instruction began,
/// and it is not said whether it was completed. `again` stands where it begins once more.
struct InstructionRows: ~Copyable {
    /// What rows look like.
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

    var rows: RowBuffer
    var style: Style
    /// What stands for an instruction of code as the files mostly have it; others are put into words each time.
    var instructions: PlaceCache
    private let cachedMode: CodeMode
    /// Names of branch targets.
    var places: PlaceCache
    let words: InstructionWords
    var vcpu: UInt16 = 0
    /// Rows printed so far.
    private(set) var count: UInt64 = 0

    init(to sink: any TextSink, _ style: Style, _ words: InstructionWords, _ symbolizer: Symbolizer, lines: Bool) {
        rows = RowBuffer(to: sink)
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
        /// How often it began; `nil` when that is not known.
        var times: UInt64?
        var isRestart: Bool
        /// The branch that left it.
        var branch: Branch?
    }

    @inline(__always)
    mutating func write(_ row: Row) {
        // Fixed parts stay below 1200 bytes.
        rows.reserve(1200 + 2 * PlaceCache.lengthLimit)
        count &+= 1
        if style.isJSON { writeJSON(row) } else { writeText(row) }
    }

    @inline(__always)
    private mutating func writeText(_ row: Row) {
        writePosition(row.brctr, row.icount)
        rows.fullAddress(row.instruction.address)
        writeWords(row.instruction)
        if row.instruction.branchClass == .rep { writeTimes(row) }
        if row.isRestart { rows.text("  (again)") }
        writeBranch(row.branch)
    }

    @inline(__always)
    private mutating func writePosition(_ brctr: UInt64, _ icount: UInt64?) {
        if style.showsVCPU {
            rows.text("vcpu ")
            rows.decimal(UInt64(vcpu))
            rows.byte(0x20)
        }
        rows.decimal(brctr, width: style.widths.brctr)
        rows.text(": ")
        if style.hasIcount {
            if let icount {
                rows.decimal(icount, width: style.widths.icount)
            } else {
                append(String(repeating: " ", count: max(0, style.widths.icount - 1)) + "?")
            }
            rows.byte(0x20)
        }
    }

    /// Ends a row of text.
    @inline(__always)
    private mutating func writeBranch(_ branch: Branch?) {
        if let branch {
            rows.text("  -> ")
            rows.fullAddress(branch.to)
            places.append(branch.to, to: &rows)
            if branch.label.isDiscontinuity { rows.text(" *") }
        }
        rows.byte(0x0a)
    }

    /// A place that the kernel changes: its code in the file is not what ran.
    mutating func writePatch(_ range: Range<UInt64>, brctr: UInt64, icount: UInt64?, branch: Branch?) {
        rows.reserve(1200 + 2 * PlaceCache.lengthLimit)
        count &+= 1
        let size = range.upperBound &- range.lowerBound
        guard style.isJSON else {
            writePosition(brctr, icount)
            rows.fullAddress(range.lowerBound)
            places.append(range.lowerBound, to: &rows)
            append(
                "  (changed by the kernel" + (branch.map { ": \($0.label.branchClass.name))" } ?? ", \(size) bytes)"))
            return writeBranch(branch)
        }
        append(
            "{\"kind\":\"patched\",\"vcpu\":\(vcpu),\"brctr\":\"\(brctr)\","
                + "\"icount\":\(icount.map { "\"\($0)\"" } ?? "null"),"
                + "\"address\":\"\(RowText.hex(range.lowerBound))\",\"size\":\(size),\"place\":")
        places.append(range.lowerBound, to: &rows)
        writeJSONBranch(branch)
    }

    @inline(never)
    private mutating func writeTimes(_ row: Row) {
        switch row.times {
        case nil: rows.text("  (? times)")
        case 1: break
        case .some(let times): append("  (\(times) times)")
        }
    }

    @inline(__always)
    private mutating func writeWords(_ instruction: Instruction) {
        if instruction.mode == cachedMode {
            instructions.append(instruction.address, to: &rows)
        } else {
            append(words.render(instruction.address, instruction.mode))
        }
    }

    private mutating func writeJSON(_ row: Row) {
        rows.text("{\"kind\":\"instruction\",\"vcpu\":")
        rows.decimal(UInt64(vcpu))
        rows.text(",\"brctr\":\"")
        rows.decimal(row.brctr)
        if let icount = row.icount {
            rows.text("\",\"icount\":\"")
            rows.decimal(icount)
            rows.text("\",\"address\":\"")
        } else {
            rows.text("\",\"icount\":null,\"address\":\"")
        }
        rows.address(row.instruction.address)
        rows.text("\",\"size\":")
        rows.decimal(UInt64(row.instruction.size))
        writeWords(row.instruction)
        if let times = row.times {
            rows.text(",\"times\":\"")
            rows.decimal(times)
            rows.text("\",\"again\":")
        } else {
            rows.text(",\"times\":null,\"again\":")
        }
        append(row.isRestart ? "true" : "false")
        writeJSONBranch(row.branch)
    }

    /// Ends a row of JSON.
    private mutating func writeJSONBranch(_ branch: Branch?) {
        if let branch {
            rows.text(",\"branch\":{\"to\":\"")
            rows.address(branch.to)
            append(
                "\",\"label\":\"\(branch.label.branchClass.name)\",\"static\":\(branch.label.hasStaticTarget),"
                    + "\"discontinuity\":\(branch.label.isDiscontinuity),\"toPlace\":")
            places.append(branch.to, to: &rows)
            rows.text("}}\n")
        } else {
            rows.text(",\"branch\":null}\n")
        }
    }

    /// A row about what is not shown.
    ///
    /// - Parameters:
    ///   - kind: what JSON calls it.
    ///   - fields: for JSON, in order; values as they stand there.
    mutating func writeNote(_ kind: String, _ text: String, _ fields: KeyValuePairs<String, String>) {
        rows.reserve(4096)
        if style.isJSON {
            let rest = fields.map { ",\"\($0.key)\":\($0.value)" }.joined()
            append("{\"kind\":\"\(kind)\",\"vcpu\":\(vcpu)\(rest)}\n")
        } else {
            append((style.showsVCPU ? "vcpu \(vcpu) " : "") + "--- \(text)\n")
        }
    }

    mutating func append(_ text: String) {
        var text = text
        text.withUTF8 { bytes in
            if let base = bytes.baseAddress { rows.bytes(base, bytes.count) }
        }
    }

    mutating func flush() { rows.flush() }
}
