// SPDX-License-Identifier: GPL-2.0-or-later

import CallTree
import LogFormat

// Views of executed code: branches, edges, calls, and those that derive from them.
extension IndexSchema {
    /// Branches and their summary. Branches are not rows: a virtual table reads them from the log.
    var branchViews: [ViewDefinition] {
        let log = "\(BranchModule.name)(\(IndexSchema.literal(key)))"
        let branch: [ViewDefinition.Column] = [
            .init("brctr", .integer, unit: "transitions", "transitions that the vCPU had made before", "b.brctr"),
            .init("vcpu", .integer, "the vCPU", "b.vcpu"),
            .init(
                "icount", .integer, unit: "instructions",
                "instructions begun before the one at `to`; NULL where the log has none", "b.icount"),
            .init("from", .address, "the instruction that was left", #"b."from""#),
            .init("to", .address, "the instruction that began next", #"b."to""#),
            .init(
                "kind", .text, "the class of the instruction at `from`; with `!` where its static target is `to`",
                "b.kind"),
            .init("epoch", .integer, "number of the stretch without a gap", "b.epoch"),
        ]
        let names = IndexSchema.sideColumns("from") + IndexSchema.sideColumns("to")
        return [
            ViewDefinition(
                "branch", "One transition between instructions, read from the log.", source: "\(log) AS b", branch),
            ViewDefinition(
                "branch_symbolized", stages: [.events, .edges, .places],
                "The same with the functions and lines of both sides.",
                source: "\(log) AS b" + IndexSchema.sides(of: "b"), branch + names),
            ViewDefinition(
                "edge", stages: [.events, .edges, .places], "One distinct branch of a vCPU.",
                source: "_edge AS b LEFT JOIN _label AS l ON l.id = b.label" + IndexSchema.sides(of: "b"),
                [
                    .init("vcpu", .integer, "the vCPU", "b.vcpu"),
                    .init("from", .address, "the instruction that was left", #"b."from""#),
                    .init("to", .address, "the instruction that began next", #"b."to""#),
                    .init("kind", .text, "the branch's kind, as in `branch`", "l.name"),
                    .init("count", .integer, unit: "branches", "how often it ran", "b.count"),
                    .init("first_brctr", .integer, unit: "transitions", "where it ran first", "b.first_brctr"),
                    .init("last_brctr", .integer, unit: "transitions", "where it ran last", "b.last_brctr"),
                ] + names),
        ]
    }

    /// The names of one side of a branch.
    private static func sideColumns(_ side: String) -> [ViewDefinition.Column] {
        [
            .init("\(side)_function", .text, "the function of `\(side)`; NULL without symbols", "\(side)_f.name"),
            .init("\(side)_place", .text, "`function+0x12` of `\(side)`; NULL without symbols", "\(side)_p.label"),
            .init(
                "\(side)_file", .text, "the source file of `\(side)`; NULL without debug information", "\(side)_s.name"),
            .init(
                "\(side)_line", .integer, "the source line of `\(side)`; NULL without debug information",
                "\(side)_p.line"),
        ]
    }

    private static func sides(of table: String) -> String {
        ["from", "to"].map { side in
            " LEFT JOIN _place AS \(side)_p ON \(side)_p.address = \(table).\"\(side)\""
                + " LEFT JOIN _function AS \(side)_f ON \(side)_f.id = \(side)_p.function"
                + " LEFT JOIN _file AS \(side)_s ON \(side)_s.id = \(side)_p.file"
        }.joined()
    }

    // MARK: Calls

    var callViews: [ViewDefinition] { [calls, functions, slices, spaces, tasks, console] }

    private static let functionName = "coalesce(f.name, printf('0x%x', c.function))"

    /// Joins the place `p` and the function `f` of an address.
    private static func function(of address: String) -> String {
        " LEFT JOIN _place AS p ON p.address = \(address) LEFT JOIN _function AS f ON f.id = p.function"
    }

    /// A number in words; NULL for one without.
    private static func words(_ column: String, _ names: [(number: UInt8, name: String)]) -> String {
        let cases = names.map { "WHEN \($0.number) THEN \(literal($0.name))" }
        return "CASE \(column) \(cases.joined(separator: " ")) END"
    }

    private var calls: ViewDefinition {
        let kind = IndexSchema.words("c.kind", CallFrame.Kind.allCases.map { ($0.rawValue, $0.name) })
        let ending = IndexSchema.words("c.ending", CallEnding.named.map { ($0.ending.number, $0.name) })
        return ViewDefinition(
            "call", stages: [.events, .calls], "One call, interruption or system call, from its branch to its return.",
            source: "_call AS c" + IndexSchema.function(of: "c.function") + " LEFT JOIN _call AS o ON o.id = c.parent "
                + "LEFT JOIN _place AS op ON op.address = o.function LEFT JOIN _function AS og ON og.id = op.function",
            [
                .init("id", .integer, "number of the call, in the order of its branch", "c.id"),
                .init("vcpu", .integer, "the vCPU", "c.vcpu"),
                .init("stack", .integer, "number of the guest's stack", "c.stack"),
                .init("depth", .integer, "calls open around it on its stack", "c.depth"),
                .init("parent", .integer, "`id` of the innermost call around it; NULL without one", "c.parent"),
                .init("kind", .text, "`call`, `interruption`, `system call`, …", kind),
                .init("function", .text, "the function, or its address without symbols", IndexSchema.functionName),
                .init("address", .address, "where the function begins", "c.function"),
                .init(
                    "caller", .text, "the function around it; NULL outside of all calls that the log shows",
                    "iif(o.id IS NULL, NULL, coalesce(og.name, printf('0x%x', o.function)))"),
                .init("call_site", .address, "the instruction that called, or that was interrupted", "c.call_site"),
                .init("target", .address, "the instruction that began next", "c.target"),
                .init("begin_brctr", .integer, unit: "transitions", "the branch that called", "c.begin_brctr"),
                .init(
                    "end_brctr", .integer, unit: "transitions", "the branch that returned; NULL while open at the end",
                    "nullif(c.end_brctr, -1)"),
                .init("begin_icount", .integer, unit: "instructions", "instructions begun before it", "c.begin_icount"),
                .init(
                    "end_icount", .integer, unit: "instructions",
                    "instructions begun before the one that it returned to",
                    "nullif(c.end_icount, -1)"),
                .init(
                    "self_instructions", .integer, unit: "instructions", "instructions of the function's own",
                    "c.self_instructions"),
                .init(
                    "total_instructions", .integer, unit: "instructions",
                    "with those of the calls and interruptions inside", "c.total_instructions"),
                .init("self_branches", .integer, unit: "branches", "branches of the function's own", "c.self_branches"),
                .init(
                    "total_branches", .integer, unit: "branches", "with those of the calls and interruptions inside",
                    "c.total_branches"),
                .init("interruptions", .integer, "interruptions inside, at any depth", "c.interruptions"),
                .init(
                    "interruption_instructions", .integer, unit: "instructions", "instructions of these",
                    "c.interruption_instructions"),
                .init("is_open", .flag, "whether it was open when the log ended", "(nullif(c.end_brctr, -1) IS NULL)"),
                .init(
                    "ending", .text,
                    "why the end is a guess (`unwound`, `left-open`, …), or `forgotten`; NULL where a return ended it",
                    ending),
            ])
    }

    private var functions: ViewDefinition {
        ViewDefinition(
            "function", stages: [.events, .calls], "One function that was called, with the cost of its calls.",
            source: "_call AS c" + IndexSchema.function(of: "c.function") + " GROUP BY c.function",
            [
                .init("name", .text, "the function, or its address without symbols", IndexSchema.functionName),
                .init("address", .address, "where the function begins", "c.function"),
                .init("calls", .integer, "how often it was called", "count(*)"),
                .init(
                    "self_instructions", .integer, unit: "instructions", "instructions of its own",
                    "sum(c.self_instructions)"),
                .init(
                    "total_instructions", .integer, unit: "instructions",
                    "with those of calls inside; recursive calls count again", "sum(c.total_instructions)"),
                .init("self_branches", .integer, unit: "branches", "branches of its own", "sum(c.self_branches)"),
                .init("first_brctr", .integer, unit: "transitions", "where it was called first", "min(c.begin_brctr)"),
                .init("last_brctr", .integer, unit: "transitions", "where it was called last", "max(c.begin_brctr)"),
            ])
    }

    private var slices: ViewDefinition {
        ViewDefinition(
            "slice", "The interval from one event of a vCPU to the next.",
            source: "(SELECT seq, vcpu, kind, ip, brctr, icount, lead(seq) OVER w AS next_seq, "
                + "lead(kind) OVER w AS next_kind, lead(brctr) OVER w AS next_brctr, lead(icount) OVER w AS next_icount "
                + "FROM _event WINDOW w AS (PARTITION BY vcpu, epoch ORDER BY seq)) AS e "
                + "LEFT JOIN _kind AS k ON k.id = e.kind LEFT JOIN _kind AS n ON n.id = e.next_kind"
                + IndexSchema.function(of: "e.ip"),
            [
                .init("seq", .integer, "the event that it begins with", "e.seq"),
                .init("next_seq", .integer, "the event that ends it; NULL for the last", "e.next_seq"),
                .init("vcpu", .integer, "the vCPU", "e.vcpu"),
                .init("kind", .text, "the kind of the event that it begins with", "k.name"),
                .init("next_kind", .text, "the kind of the event that ends it", "n.name"),
                .init("begin_brctr", .integer, unit: "transitions", "where it begins", "e.brctr"),
                .init("end_brctr", .integer, unit: "transitions", "where it ends; NULL for the last", "e.next_brctr"),
                .init("begin_icount", .integer, unit: "instructions", "where it begins", "e.icount"),
                .init("end_icount", .integer, unit: "instructions", "where it ends", "e.next_icount"),
                .init("branches", .integer, unit: "branches", "branches in between", "e.next_brctr - e.brctr"),
                .init(
                    "instructions", .integer, unit: "instructions", "instructions in between",
                    "e.next_icount - e.icount"),
                .init("ip", .address, "the instruction at which it begins", "e.ip"),
                .init("function", .text, "the function of `ip`; NULL without symbols", "f.name"),
            ])
    }

    private var spaces: ViewDefinition {
        ViewDefinition(
            "address_space", "One value of cr3, as context events show it.",
            source: IndexSchema.contexts("v0 AS id") + " GROUP BY c.id",
            [.init("cr3", .address, "the page table", "c.id")] + IndexSchema.stretchColumns)
    }

    private var tasks: ViewDefinition {
        ViewDefinition(
            "task",
            "One stack of the guest (16 KiB, as Linux has them in the kernel), as context events show it.",
            source: IndexSchema.contexts("v1 & -16384 AS id, v0 AS cr3") + " GROUP BY c.id",
            [
                .init("stack", .address, "the lowest address of the stack", "c.id"),
                .init("cr3", .address, "the page table that it had last", "max(c.cr3)"),
            ] + IndexSchema.stretchColumns)
    }

    /// The intervals from one context event of a vCPU to the next; the last one ends with the log.
    private static func contexts(_ columns: String) -> String {
        func end(_ column: String, _ last: String) -> String {
            "coalesce(lead(\(column)) OVER w, (SELECT max(h.\(last)) FROM _chunk AS h WHERE h.vcpu = x.vcpu)) "
                + "AS end_\(column)"
        }
        return "(SELECT x.vcpu, \(columns), x.brctr, x.icount, \(end("brctr", "brctr_last")), "
            + "\(end("icount", "icount_last")) FROM _event AS x WHERE x.kind = \(EventKind.context.rawValue) "
            + "AND x.v0 IS NOT NULL WINDOW w AS (PARTITION BY x.vcpu, x.epoch ORDER BY x.seq)) AS c"
    }

    private static let stretchColumns: [ViewDefinition.Column] = [
        .init("switches", .integer, "context events that led to it", "count(*)"),
        .init("first_brctr", .integer, unit: "transitions", "where it ran first", "min(c.brctr)"),
        .init("last_brctr", .integer, unit: "transitions", "where it ran last", "max(c.end_brctr)"),
        .init("branches", .integer, unit: "branches", "branches while it was current", "sum(c.end_brctr - c.brctr)"),
        .init(
            "instructions", .integer, unit: "instructions", "instructions while it was current",
            "sum(c.end_icount - c.icount)"),
        .init("longest", .integer, unit: "instructions", "the longest stretch of it", "max(c.end_icount - c.icount)"),
    ]

    private var console: ViewDefinition {
        ViewDefinition(
            "console", stages: [.events, .console],
            "One line of the serial console (serial.log), with the position at which it was complete.",
            source: "_console AS c",
            [
                .init("line", .integer, "number of the line, from 1", "c.line"),
                .init("text", .text, "the line without its end", "c.text"),
                .init("brctr", .integer, unit: "transitions", "transitions before its end was written", "c.brctr"),
                .init(
                    "icount", .integer, unit: "instructions", "instructions begun before its end was written",
                    "c.icount"),
            ])
    }
}
