// SPDX-License-Identifier: GPL-2.0-or-later

import Formatting
import MachineCode
import Symbolize

/// The words for an instruction: its place and the disassembly.
struct InstructionWords {
    var code: CodeMap
    var disassembler: Disassembler
    var symbolizer: Symbolizer
    var style: PlaceStyle
    var isJSON: Bool

    /// In text ` <foo+0x10>  call 0x…`; in JSON `"text":"call 0x…","place":{…},`.
    func render(_ address: UInt64, _ mode: CodeMode) -> String {
        let place = style.render(symbolizer.symbolize(address))
        let text =
            code.withBytes(at: address) { bytes in
                disassembler.decode(bytes, at: address, mode: mode) == nil ? "" : disassembler.text
            } ?? ""
        return isJSON ? "\"text\":\(RowText.json(text)),\"place\":\(place)," : "\(place)  \(text)"
    }
}
