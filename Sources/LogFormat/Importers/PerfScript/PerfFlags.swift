// SPDX-License-Identifier: GPL-2.0-or-later

/// The words of perf's field `flags`, as far as a log can hold them.
///
/// perf does not tell a direct call or jump from an indirect one. It followed the instruction's bytes to the target, so
/// the branch is explained by its instruction: the label says so (``BranchLabel/hasStaticTarget``).
struct PerfFlags: Hashable {
    /// The label that the words state; nil without words.
    var label: BranchLabel?
    /// `tr strt`: the trace begins at the target.
    var startsTrace = false
    /// `tr end`: the trace ends at the origin, or with this branch.
    var endsTrace = false

    /// Whether there is any word.
    var isEmpty: Bool { label == nil && !startsTrace && !endsTrace }

    /// The words, each as one or two, with their meaning (perf 4.10 and later).
    private static let words: [(text: StaticString, meaning: Meaning)] = [
        ("jcc", .label(BranchLabel(.jcc, hasStaticTarget: true))),
        ("call", .label(BranchLabel(.call, hasStaticTarget: true))),
        ("return", .label(BranchLabel(.ret))),
        ("jmp", .label(BranchLabel(.jmp, hasStaticTarget: true))),
        ("syscall", .label(BranchLabel(.syscall))),
        ("sysret", .label(BranchLabel(.sysret))),
        ("tr strt", .start),
        ("tr end", .end),
        ("hw int", .label(BranchLabel(.none))),
        ("iret", .label(BranchLabel(.iret))),
        ("int", .label(BranchLabel(.int))),
        ("async", .label(BranchLabel(.none))),
        ("tx abrt", .label(BranchLabel(.none))),
        ("vmentry", .label(BranchLabel(.unknown))),
        ("vmexit", .label(BranchLabel(.unknown))),
        ("br", .label(BranchLabel(.unknown))),
    ]

    private enum Meaning {
        case label(BranchLabel)
        case start, end
    }

    /// Takes the word at a place. Returns its length; 0 if there is none.
    ///
    /// A word ends with a space, or with `/`: newer versions append whether the branch was predicted, `jcc/miss/`. A text
    /// in parentheses states a transaction or disabled interrupts, and is passed over.
    mutating func take(_ start: UnsafePointer<UInt8>, _ count: Int) -> Int {
        guard count > 0 else { return 0 }
        if start[0] == 0x28 { return PerfFlags.parenthesis(start, count) }
        for (text, meaning) in PerfFlags.words where start.begins(with: text, count) {
            var end = text.utf8CodeUnitCount
            if end < count, start[end] == 0x2f {
                while end < count, start[end] != 0x20 { end += 1 }
            }
            guard end == count || start[end] == 0x20 else { continue }
            switch meaning {
            case .label(let label): self.label = label
            case .start: startsTrace = true
            case .end: endsTrace = true
            }
            return end
        }
        return 0
    }

    /// The length of a short text in parentheses: `(x)`, `(xDt)`; 0 for other text.
    private static func parenthesis(_ start: UnsafePointer<UInt8>, _ count: Int) -> Int {
        var end = 1
        while end < count, end < 8, start[end] != 0x29 {
            guard start[end] | 0x20 >= 0x61, start[end] | 0x20 <= 0x7a else { return 0 }
            end += 1
        }
        return end < count && start[end] == 0x29 ? end + 1 : 0
    }
}

extension BranchLabel {
    /// The label of a branch type that perf prints in branch stacks (`perf record -j any,save_type`); nil for others.
    init?(perfType text: UnsafeRawBufferPointer) {
        let types: [(StaticString, BranchLabel)] = [
            ("COND", BranchLabel(.jcc, hasStaticTarget: true)), ("UNCOND", BranchLabel(.jmp, hasStaticTarget: true)),
            ("IND", BranchLabel(.jmpIndirect)), ("CALL", BranchLabel(.call, hasStaticTarget: true)),
            ("IND_CALL", BranchLabel(.callIndirect)), ("RET", BranchLabel(.ret)), ("SYSCALL", BranchLabel(.syscall)),
            ("SYSRET", BranchLabel(.sysret)), ("COND_CALL", BranchLabel(.call, hasStaticTarget: true)),
            ("COND_RET", BranchLabel(.ret)), ("ERET", BranchLabel(.iret)), ("IRQ", BranchLabel(.none)),
        ]
        guard let label = types.first(where: { text.isEqual(to: $0.0) })?.1 else { return nil }
        self = label
    }
}
