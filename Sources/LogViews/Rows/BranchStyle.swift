// SPDX-License-Identifier: GPL-2.0-or-later

import LogFormat
import Symbolize

/// How rows of branches look in text.
///
///     plain   1234: 0xffffffff81000010 <foo+0x10> -> 0xffffffff81000400 <bar>  call!  5678
///     gdb     1234: 0xffffffff81000010 <foo+16> -> 0xffffffff81000400 <bar>  call!  5678
///     inline  1234: 0xffffffff81000010 <tick+4 @ foo+16> -> 0xffffffff81000400 <bar>  call!  5678
///     perf    [000] 1234: branches:   call  ffffffff81000010 foo+0x10 (vmlinux) => ffffffff81000400 bar+0x0 (vmlinux)
public enum BranchStyle: String, CaseIterable, Sendable {
    /// Offsets in hexadecimal.
    case plain
    /// Offsets in decimal, as gdb prints them.
    case gdb
    /// Offsets in decimal, and the inlined functions at the address.
    case inline
    /// The rows of `perf script`.
    case perf

    /// Whether repeated rows may be folded: not in the styles that other programs define.
    public var canFold: Bool {
        switch self {
        case .plain, .inline: true
        case .gdb, .perf: false
        }
    }

    /// The names of addresses in rows of this style.
    ///
    /// - Parameter lines: source lines beside them.
    func places(_ symbolizer: Symbolizer, lines: Bool) -> PlaceCache {
        switch self {
        case .plain: PlaceCache(symbolizer, style: .text(lines: lines))
        case .inline: PlaceCache(symbolizer, style: .inline(lines: lines))
        case .perf: PlaceCache(symbolizer, style: .perf)
        case .gdb: PlaceCache { PlaceStyle.gdb(symbolizer, $0, lines: lines) }
        }
    }
}

extension BranchLabel {
    /// perf's words for a branch of this label (`perf script -F +flags`); empty if the instruction is not known.
    var perfFlags: String {
        if isDiscontinuity { return "hw int" }
        return switch branchClass {
        case .jcc: "jcc"
        case .jmp, .jmpIndirect, .far: "jmp"
        case .call, .callIndirect: "call"
        case .ret: "return"
        case .iret, .rsm: "iret"
        case .int: "int"
        case .syscall, .sysenter: "syscall"
        case .sysret, .sysexit: "sysret"
        case .none, .hlt, .rep: "hw int"
        case .unknown: ""
        }
    }
}
