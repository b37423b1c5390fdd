// SPDX-License-Identifier: GPL-2.0-or-later

import ArgumentParser
import ReplaySession
import ToolSupport

extension Place: ExpressibleByArgument {
    /// Reads an argument; nil if the text is no place.
    public init?(argument: String) { self.init(argument) }
}

/// The names of a run's addresses, and the run with which it is compared.
public struct TravelOptions: ParsableArguments {
    /// `--symbols` and its like.
    @OptionGroup(title: "Names") public var symbols: SymbolOptions

    /// `--other`.
    @Option(
        help: ArgumentHelp(
            "The run from which the place `divergence` is the difference. (default for a replay: its recording; for a "
                + "recording: its only replay)", valueName: "run"), completion: .directory)
    public var other: String?

    /// Makes options that are not given.
    public init() {}
}

/// The QEMU of a replay, and the trust in its recording.
public struct EngineOptions: ParsableArguments {
    /// `--qemu`.
    @Option(
        help: ArgumentHelp(
            "QEMU's program. (default: an installed one of the recording's version)", valueName: "file"),
        completion: .file())
    public var qemu: String?

    /// `--trust`.
    @Flag(
        help: """
            The recording is your own: run the QEMU and the plugin that its manifest names, and any argument in it.
            """)
    public var trust = false

    /// `--checkpoint-space`.
    @Option(
        help: ArgumentHelp(
            "MiB of checkpoints of this run that stay in the user's cache ($XDG_CACHE_HOME/tt-analyze/checkpoints), so that "
                + "the next session is at any place at once; 0: none stay.", valueName: "MiB"))
    public var checkpointSpace = UInt32(EngineOptions.defaultCheckpointSpace >> 20)

    /// Bytes of checkpoints of a run, without an option.
    public static let defaultCheckpointSpace: UInt64 = 2048 << 20

    /// Makes options that are not given.
    public init() {}

    /// The options of a session.
    public var sideOptions: ReplaySide.Options {
        var options = ReplaySide.Options()
        options.checkpointSpace = UInt64(checkpointSpace) << 20
        options.program = qemu
        options.trustsManifest = trust
        return options
    }
}
