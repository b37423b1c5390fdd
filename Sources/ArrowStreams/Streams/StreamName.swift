// SPDX-License-Identifier: GPL-2.0-or-later

import LogFormat

/// The streams of a log.
enum StreamName: String, CaseIterable {
    case branches, events, accesses, notes, attributes, chunks, damage, calls, edges

    /// The log's own stream, where the rows are its records.
    var logStream: LogStream? {
        switch self {
        case .branches: .branch
        case .events: .event
        case .accesses: .access
        case .notes: .meta
        case .attributes, .chunks, .damage, .calls, .edges: nil
        }
    }

    /// Makes the stream, with names if the request has symbols.
    func source(_ log: OpenLog, _ request: StreamRequest) throws(RequestError) -> BatchSource {
        guard let symbols = request.symbols else { return try plainSource(log, request) }
        let kind = request.kinds.count == 1 ? request.kinds.first : nil
        return try NamedSource(columns(kind: kind), request, symbols) { inner throws(RequestError) in
            try plainSource(log, inner)
        }
    }

    private func plainSource(_ log: OpenLog, _ request: StreamRequest) throws(RequestError) -> BatchSource {
        switch self {
        case .branches: try BranchSource(log, request)
        case .events: try EventSource(log, .event, request)
        case .accesses: try EventSource(log, .access, request)
        case .notes: try EventSource(log, .meta, request)
        case .attributes: try AttributeRow.source(log, request)
        case .chunks: try ChunkRow.source(log, request)
        case .damage: try DamageRow.source(log, request)
        case .calls: try CallSource(log, request)
        case .edges: try EdgeSource(log, request)
        }
    }

    /// The columns of the stream, those of the fields of a kind included.
    func columns(kind: EventKind?) -> [ColumnDefinition] {
        switch self {
        case .branches: BranchColumn.allCases.map { $0.definition(isPlain: false) }
        case .events, .accesses, .notes: EventRow.columns(kinds: kind.map { [$0] } ?? []).map(\.definition)
        case .attributes: AttributeRow.columns.map(\.definition)
        case .chunks: ChunkRow.columns.map(\.definition)
        case .damage: DamageRow.columns.map(\.definition)
        case .calls: CallRow.columns(hasIcount: true).map(\.definition)
        case .edges: EdgeRow.columns.map(\.definition)
        }
    }
}
