// SPDX-License-Identifier: GPL-2.0-or-later

/// The name, version and columns of a stream of rows.
///
/// In JSON lines the first object carries the name and the version; in CSV the first line carries the columns.
public struct RowSchema: Sendable {
    /// The tool and the view: `bts-dump edges`.
    public var name: String
    /// Increases when a field changes its meaning or is removed.
    public var version: Int
    /// The columns of CSV, in the order of the row's fields; empty if the view has no CSV.
    public var columns: [String]

    /// Makes a schema.
    public init(_ name: String, version: Int, columns: [String] = []) {
        self.name = name
        self.version = version
        self.columns = columns
    }

    /// The first object of a stream of JSON lines about one log.
    public func header(log: String) -> String { header + ",\"log\":\(RowText.json(log))}" }

    /// The first object of a stream of JSON lines about several logs together.
    public func header(logs: [String]) -> String {
        header + ",\"logs\":[\(logs.map(RowText.json).joined(separator: ","))]}"
    }

    private var header: String { "{\"schema\":\(RowText.json(name)),\"version\":\(version)" }

    /// The first line of CSV.
    ///
    /// - Parameters:
    ///   - before: Columns before those of the schema.
    ///   - after: Columns after them.
    public func columnLine(before: [String] = [], after: [String] = []) -> String {
        (before + columns + after).joined(separator: ",")
    }
}
