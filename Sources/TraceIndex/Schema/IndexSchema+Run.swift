// SPDX-License-Identifier: GPL-2.0-or-later

// The run as a whole.
extension IndexSchema {
    var runViews: [ViewDefinition] {
        [
            ViewDefinition(
                "run", "One fact about the run or its log; attributes have the names `attribute.KEY`.", source: "_run",
                [
                    .init("name", .text, "the subject of the fact"),
                    .init("value", .text, "the fact; numbers are integers"),
                ]),
            ViewDefinition(
                "stats", "One data-quality problem that the index was made with; problems that did not occur have 0.",
                source: "_stat",
                [
                    .init("name", .text, "the problem"),
                    .init("severity", .text, "`note`, `warning` or `error`"),
                    .init("source", .text, "the file, or the part of it"),
                    .init("count", .integer, "how often it occurred"),
                    .init("stage", .text, "the part of the index that found it"),
                    .init("text", .text, "the first of them in words; NULL without one"),
                ]),
            ViewDefinition(
                "chunk", "One chunk of the log.", source: "_chunk",
                [
                    .init("id", .integer, "number of the chunk, in the order of (vcpu, stream, position)"),
                    .init("stream", .text, "`branch`, `event`, `access` or `meta`"),
                    .init("vcpu", .integer, "the vCPU; NULL for the meta stream"),
                    .init("epoch", .integer, "number of the stretch without a gap"),
                    .init("cell", .integer, "number of the cell on the clock grid"),
                    .init("part", .integer, "number of the chunk in its cell"),
                    .init("records", .integer, unit: "records", "records in it"),
                    .init("elided", .flag, "whether the recorder left out the records"),
                    .init("offset", .integer, unit: "bytes", "where it is in the log"),
                    .init("stored_bytes", .integer, unit: "bytes", "its body in the file"),
                    .init("raw_bytes", .integer, unit: "bytes", "its body before compression"),
                    .init("brctr_first", .integer, unit: "transitions", "of its first record"),
                    .init("brctr_last", .integer, unit: "transitions", "of its last record"),
                    .init("icount_first", .integer, unit: "instructions", "of its first record; NULL without counts"),
                    .init("icount_last", .integer, unit: "instructions", "of its last record; NULL without counts"),
                ]),
            ViewDefinition(
                "symbol", "One function that an indexed address belongs to.", source: "_function",
                [
                    .init("name", .text, "the function"), .init("module", .text, "the symbol file"),
                    .init("address", .address, "where the function begins in the run"),
                ]),
        ]
    }
}
