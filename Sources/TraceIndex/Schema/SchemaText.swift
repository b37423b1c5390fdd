// SPDX-License-Identifier: GPL-2.0-or-later

import Formatting

/// The views and columns as documents: text for people, JSON for programs, Markdown for docs/sql.md.
public enum SchemaText {
    /// The version of ``json``; increases when a field changes its meaning or is removed.
    public static let version = 1

    /// The views of every index, and those of two runs.
    public static let views = IndexSchema(key: "", hasAccessRows: false).views + ComparisonSchema.views

    /// For people.
    public static var text: String { text(of: views) }

    /// Some views for people.
    public static func text(of views: [ViewDefinition]) -> String {
        var text = ""
        for view in views {
            text += "\(view.name)  \(view.summary)\(building(view).map { " (\($0))" } ?? "")\n"
            let width = view.columns.map(\.name.count).max() ?? 0
            for column in view.columns {
                let name = column.name + String(repeating: " ", count: width - column.name.count)
                let unit = column.unit.map { ", \($0)" } ?? ""
                text += "  \(name)  \(column.type.rawValue)\(unit): \(column.meaning)\n"
            }
        }
        return text
    }

    /// For programs: `{"schema":"tt-analyze schema","version":1,"indexVersion":…,"views":[…]}`.
    public static var json: String {
        let list = views.map { view in
            let columns = view.columns.map { column in
                "{\"name\":\(RowText.json(column.name)),\"type\":\"\(column.type.rawValue)\","
                    + "\"unit\":\(column.unit.map(RowText.json) ?? "null"),\"meaning\":\(RowText.json(column.meaning))}"
            }
            let stages = view.stages.sorted().map { "\"\($0.rawValue)\"" }.joined(separator: ",")
            return "{\"name\":\(RowText.json(view.name)),\"summary\":\(RowText.json(view.summary)),"
                + "\"stages\":[\(stages)],\"columns\":[\(columns.joined(separator: ","))]}"
        }
        return "{\"schema\":\"tt-analyze schema\",\"version\":\(version),\"indexVersion\":\(IndexSchema.version),"
            + "\"views\":[\n\(list.joined(separator: ",\n"))\n]}"
    }

    /// The part of docs/sql.md that lists the views.
    public static var markdown: String {
        views.map { view in
            let rows = view.columns.map { column in
                "| `\(column.name)` | \(column.type.rawValue) | \(column.unit ?? "") | \(column.meaning) |"
            }
            return
                "### `\(view.name)`\n\n\(view.summary)\(building(view).map { " \($0.prefix(1).uppercased())\($0.dropFirst())." } ?? "")\n\n"
                + "| column | type | unit | meaning |\n| --- | --- | --- | --- |\n\(rows.joined(separator: "\n"))\n"
        }.joined(separator: "\n")
    }

    /// The stages that must be built first, in words; nil for those that every index has.
    private static func building(_ view: ViewDefinition) -> String? {
        let stages = view.stages.subtracting([.events]).sorted().map(\.rawValue)
        return stages.isEmpty ? nil : "built on demand: \(stages.joined(separator: ", "))"
    }
}
