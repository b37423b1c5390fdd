// SPDX-License-Identifier: GPL-2.0-or-later

/// The views of two runs, `orig` and `replay`: where they differ, and what only one of them did.
public enum ComparisonSchema {
    /// All views.
    public static let views = [divergence, edges, functions, lines, exceptions]

    private static let divergence = ViewDefinition(
        "divergence", "Where two runs of a vCPU differ first, one row for each class of differences.",
        source: DivergenceTable.name,
        [
            .init("vcpu", .integer, "the vCPU"),
            .init("verdict", .text, "the vCPU's verdict, as `tt-analyze diverge` names it"),
            .init("class", .text, "what differs: path, event, payload, state, …; NULL if one run ended early"),
            .init("is_first", .flag, "whether nothing of the vCPU differs before"),
            .init("orig_brctr", .integer, unit: "transitions", "where, in the original"),
            .init("orig_icount", .integer, unit: "instructions", "where, in the original; NULL if not known"),
            .init("orig_ip", .address, "the original's instruction; NULL if not known"),
            .init("replay_brctr", .integer, unit: "transitions", "where, in the replay; NULL if not known"),
            .init("replay_icount", .integer, unit: "instructions", "where, in the replay; NULL if not known"),
            .init("replay_ip", .address, "the replay's instruction; NULL if not known"),
            .init("details", .text, "the fields that differ, original != replay"),
        ])

    private static let edges = ViewDefinition(
        "edge_difference", stages: [.events, .edges, .places],
        "One distinct branch that the runs took a different number of times.",
        source: both(
            "sum(count) AS n, min(first_brctr) AS first_at, max(to_place) AS place, max(from_place) AS origin",
            of: "edge", keys: [(#""from""#, #""from""#), (#""to""#, #""to""#)]),
        [
            .init("from", .address, "the instruction that was left", #"k."from""#),
            .init("to", .address, "the instruction that began next", #"k."to""#),
            .init(
                "from_place", .text, "`function+0x12` of `from`; NULL without symbols", "coalesce(o.origin, r.origin)"),
            .init("to_place", .text, "`function+0x12` of `to`; NULL without symbols", "coalesce(o.place, r.place)"),
        ] + counts)

    private static let functions = ViewDefinition(
        "function_difference", stages: [.events, .calls],
        "One function that the runs called a different number of times.",
        source: both(
            "sum(calls) AS n, min(first_brctr) AS first_at", of: "function", keys: [("name", "name")]),
        [.init("name", .text, "the function, or its address without symbols", "k.name")] + counts)

    private static let lines = ViewDefinition(
        "line_difference", stages: [.events, .edges, .places],
        "One source line to which the runs branched a different number of times: coverage of A minus B.",
        source: both(
            "sum(count) AS n, min(first_brctr) AS first_at", of: "edge WHERE to_line IS NOT NULL",
            keys: [("file", "to_file"), ("line", "to_line")]),
        [
            .init("file", .text, "the source file", "k.file"),
            .init("line", .integer, "the source line", "k.line"),
        ] + counts)

    private static let exceptions = ViewDefinition(
        "exception_difference", "One instruction at which the runs had a different number of exceptions of a vector.",
        source: both(
            "count(*) AS n, min(brctr) AS first_at, max(place) AS place", of: "event WHERE kind = 'exception'",
            keys: [("ip", "ip"), ("vector", "info")]),
        [
            .init("ip", .address, "the instruction", "k.ip"),
            .init("place", .text, "`function+0x12` of `ip`; NULL without symbols", "coalesce(o.place, r.place)"),
            .init("vector", .integer, "the vector", "k.vector"),
        ] + counts)

    private static let counts: [ViewDefinition.Column] = [
        .init("orig_count", .integer, "how often in the original", "coalesce(o.n, 0)"),
        .init("replay_count", .integer, "how often in the replay", "coalesce(r.n, 0)"),
        .init(
            "orig_first", .integer, unit: "transitions", "where first in the original; NULL if nowhere", "o.first_at"),
        .init(
            "replay_first", .integer, unit: "transitions", "where first in the replay; NULL if nowhere", "r.first_at"),
    ]

    /// The rows of a view in both runs, side by side, where their numbers differ. The keys are columns of `k`: an expression
    /// would not be an address.
    private static func both(_ columns: String, of view: String, keys: [(name: String, expression: String)]) -> String {
        let list = keys.map { "\($0.expression) AS \($0.name)" }.joined(separator: ", ")
        let group = keys.map(\.expression).joined(separator: ", ")
        func side(_ run: String, _ name: String) -> String {
            let condition = keys.map { "\(name).\($0.name) IS k.\($0.name)" }.joined(separator: " AND ")
            return
                " LEFT JOIN (SELECT \(list), \(columns) FROM \(run).\(view) GROUP BY \(group)) AS \(name) ON \(condition)"
        }
        return "(SELECT \(list) FROM orig.\(view) UNION SELECT \(list) FROM replay.\(view)) AS k"
            + side("orig", "o") + side("replay", "r") + " WHERE coalesce(o.n, 0) <> coalesce(r.n, 0)"
    }

    /// The statements that make the table and the views in a connection.
    static var statements: [String] { [DivergenceTable.definition] + views.map(\.temporarySQL) }
}
