// SPDX-License-Identifier: GPL-2.0-or-later

import CTTLog

// Records about the run, and an engine's own log of input.
extension EventTable {
    static let attribute = EventDefinition(
        .attribute, "attribute", .meta, "A key and a value that describe the run; the last value of a key is valid.",
        [
            .text("key", .bare, "the key", source: .key),
            .text("text", .joined("="), "the value", source: .textAfterKey),
        ])

    static let annotation = EventDefinition(
        .annotation, "annotation", .meta, "A note.", [aboutVCPU, .text("text", .bare, "the note")])

    static let lost = EventDefinition(
        .lost, "lost", .meta, "Records could not be written.",
        [
            aboutVCPU,
            .value("lost_stream", 0, .stream, .titled("stream"), "the stream that lost them", compared: .never),
            .value(
                "records", 1, .number, .measured("record"), "the number of lost records", unit: .records,
                compared: .never),
            .value(
                "until_clock", 2, .number, .titled("until clock"), "the clock after the loss", unit: .transitions,
                compared: .never),
        ])

    static let comparableEnd = EventDefinition(
        .comparableEnd, "comparable-end", .meta, "The record's clock is the first position that is not compared.",
        [aboutVCPU, .text("text", .joined(": "), "why runs are not compared beyond it")])

    static let runEnd = EventDefinition(
        .runEnd, "run-end", .meta, "The run ended.",
        [
            .info("reason", .name(RunEnd.names), .bare, "why it ended", compared: .never),
            .text("text", .bare, "further words about the end"),
        ])

    // MARK: An engine's input

    static let clockRead = EventDefinition(
        .clockRead, "clock-read", .event, isInput: true, needs: .engineInput, "The engine read a host clock.",
        [
            .info("source", .name(.init("clock", ["host", "virtual-rt"])), .bare, "which clock"),
            .value("time", 0, .number, .titled("time"), "the clock's value", unit: .nanoseconds),
        ])

    static let checkpoint = EventDefinition(
        .checkpoint, "checkpoint", .event, needs: .engineInput, "The engine's threads synchronised with the guest's.",
        [
            .info(
                "point",
                .name(
                    .init(
                        "point",
                        [
                            "clock-warp-start", "clock-warp-account", "reset-requested", "suspend-requested",
                            "clock-virtual", "clock-host", "clock-virtual-rt", "init", "reset",
                        ])), .bare, "where they synchronised")
        ])

    static let engineInput = EventDefinition(
        .engineInput, "engine-input", .event, isInput: true, needs: .engineInput,
        "The engine delivered data or a completion to the machine.",
        [
            .info(
                "source",
                .name(
                    .init(
                        "source",
                        [
                            "bottom-half", "bottom-half-once", "input", "input-sync", "character-read", "block",
                            "network", "character-write", "character-read-all", "character-read-error", "audio-out",
                            "audio-in", "random",
                        ])), .bare, "the source of the input"),
            .bytes("data", .titled("data"), "the data in the engine's log, its first 65,535 bytes"),
        ])

    static let machineStop = EventDefinition(
        .machineStop, "machine-stop", .event, isInput: true, needs: .engineInput,
        "The machine stopped or restarted.",
        [
            .info(
                "reason",
                .name(
                    .init(
                        "reason",
                        [
                            "none", "host-error", "host-qmp-quit", "host-qmp-system-reset", "host-signal", "host-ui",
                            "guest-shutdown", "guest-reset", "guest-panic", "subsystem-reset", "snapshot-load", "last",
                        ])), .bare, "why")
        ])
}
