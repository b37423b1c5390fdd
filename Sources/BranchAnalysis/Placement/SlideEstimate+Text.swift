// SPDX-License-Identifier: GPL-2.0-or-later

import Formatting
import Symbolize

extension SlideEstimate {
    /// `1,234 of 1,250 call targets`
    var fitText: String { "\(RowText.grouped(UInt(entries))) of \(RowText.grouped(UInt(targets))) call targets" }

    /// A sentence about the slide of a kernel.
    var kernelNote: String {
        let amount = RowText.hex(slide.magnitude)
        return "ran \(amount) \(slide < 0 ? "lower" : "higher") than linked (KASLR): \(fitText) fit, next best "
            + RowText.grouped(UInt(runnerUp))
    }

    /// A sentence about the load addresses of a program; the estimates best first.
    static func programNote(_ found: [SlideEstimate]) -> String {
        guard let best = found.first, let worst = found.last else { return "" }
        func place(_ estimate: SlideEstimate) -> String { RowText.hex(UInt64(bitPattern: estimate.slide)) }
        if found.count == 1 {
            return
                "was loaded at \(place(best)): \(best.fitText) fit, next best \(RowText.grouped(UInt(best.runnerUp)))"
        }
        let places = found.prefix(10).map(place).joined(separator: ", ")
        return "was loaded at \(found.count) addresses, one a run: \(places)\(found.count > 10 ? ", …" : ""); "
            + "at the best \(best.fitText) fit, at the last \(worst.fitText)"
    }
}
