// SPDX-License-Identifier: GPL-2.0-or-later

import LogFormat

/// Rows as `perf script --itrace=b -F cpu,time,event,flags,ip,sym,symoff,addr,dso` prints them, with the branch counter
/// in place of the time:
///
///     [000] 1234: branches:   call              ffffffff81000010 foo+0x10 (vmlinux) => ffffffff81000400 bar+0x0 (vmlinux)
extension BranchRows {
    @inline(__always)
    mutating func writePerf(_ row: Row) {
        rows.text.append(0x5b)
        if row.vcpu < 100 { rows.text.append(0x30) }
        if row.vcpu < 10 { rows.text.append(0x30) }
        rows.text.appendDecimal(UInt64(row.vcpu))
        rows.text.append("] ")
        rows.text.appendDecimal(row.clock, width: input.width)
        rows.text.append(": branches:")
        writeLabel(row.label)
        rows.text.appendHexadecimal(row.from, width: 16)
        writePerfPlace(row.from)
        rows.text.append(" => ")
        rows.text.appendHexadecimal(row.to, width: 16)
        writePerfPlace(row.to)
        rows.endText()
    }

    @inline(__always)
    private mutating func writePerfPlace(_ address: UInt64) {
        if places != nil { places?.append(address, to: &rows.text) } else { rows.text.append(" [unknown] ([unknown])") }
    }

    /// Two spaces, the flags and more spaces up to a width of 16.
    static func perfLabel(_ label: BranchLabel) -> String {
        let flags = label.perfFlags
        return "  " + flags + String(repeating: " ", count: max(0, 15 - flags.utf8.count)) + "  "
    }
}
