// SPDX-License-Identifier: GPL-2.0-or-later

/// The definition of one event kind: the single source for names, text, JSON, comparison and SQL views.
///
///     for definition in EventDefinition.all {
///         print(definition.name, definition.fields.map(\.name))   // interrupt ["vector", "handler"]
///     }
public struct EventDefinition: Sendable, Hashable {
    /// The kind that this describes.
    public let kind: EventKind
    /// The kind's name as the tools print and read it: lower-case words with hyphens.
    public let name: String
    /// The meaning of a record of the kind; one sentence.
    public let summary: String
    /// The stream that holds the kind in the logs of our recorders.
    public let stream: LogStream
    /// The features that a log needs to have such records; empty if every log can have them.
    public let features: FileHeader.Features
    /// Whether the event carries something into the guest: a replay must repeat it.
    public let isInput: Bool
    /// The fields of `info` and of the payload, in the order in which they are shown.
    public let fields: [EventField]

    init(
        _ kind: KnownEventKind, _ name: String, _ stream: LogStream, isInput: Bool = false,
        needs features: FileHeader.Features = [], _ summary: String, _ fields: [EventField] = []
    ) {
        self.kind = EventKind(kind)
        self.name = name
        self.summary = summary
        self.stream = stream
        self.features = features
        self.isInput = isInput
        self.fields = fields
    }

    /// The definitions of all kinds that this reader knows, by number.
    public static let all: [EventDefinition] = KnownEventKind.allCases.map(EventTable.definition)

    /// The fields of a kind that this reader does not know.
    public static let fieldsOfUnknownKind: [EventField] = [
        .info("info", .number, .titled("info"), "the info word"),
        .address("address", .address, .titled("address"), "the address word"),
        .values("values", .titled("values"), "the value words"),
        .bytes("payload", .titled("payload"), "the payload, if it is not made of words"),
    ]

    /// Definitions by the number of the kind; nil for unknown numbers.
    static let byNumber: [EventDefinition?] = {
        let last = all.map { Int($0.kind.rawValue) }.max() ?? 0
        var table = [EventDefinition?](repeating: nil, count: last + 1)
        for definition in all { table[Int(definition.kind.rawValue)] = definition }
        return table
    }()
}

extension EventKind {
    /// The definition of the kind; nil for a kind that this reader does not know.
    public var definition: EventDefinition? {
        let number = Int(rawValue)
        return number < EventDefinition.byNumber.count ? EventDefinition.byNumber[number] : nil
    }
}

extension Event {
    /// The fields that the event can have: those of its kind, and for a state digest those of words without a name.
    public var fields: [EventField] {
        guard let definition = kind.definition else { return EventDefinition.fieldsOfUnknownKind }
        guard kind == .state else { return definition.fields }
        let known = definition.fields.count
        return definition.fields
            + (known..<32).filter { info >> UInt32($0) & 1 == 1 }.map { bit in
                .flagged("state_\(bit)", bit: UInt32(bit), .titled("state-\(bit)"), "a digest without a name")
            }
    }
}
