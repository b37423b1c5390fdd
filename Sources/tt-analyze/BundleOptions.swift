// SPDX-License-Identifier: GPL-2.0-or-later

import ArgumentParser
import BugBundle
import Formatting
import Reporting
import ToolSupport

/// The options of `report` for bundles.
struct BundleOptions: ParsableArguments {
    @Option(
        name: .customLong("window"),
        help: ArgumentHelp("Branches of each run before and after the divergence.", valueName: "branches"))
    var radius = NumberArgument(1_000_000)

    @Flag(help: "Leave out the contents of events and the console.")
    var redact = false

    @Flag(help: "Put in everything that replays the recording: its input log, snapshots, kernel, disks.")
    var withRecording = false

    func validate() throws {
        guard radius.value > 0 else { throw ValidationError("--window takes a number of branches, 1 or more.") }
        guard !(redact && withRecording) else {
            throw ValidationError("--redact and --with-recording exclude each other: a recording has all contents.")
        }
    }

    /// Writes the bundle of a comparison.
    func write(_ comparison: Comparison, to path: String, context: Int) throws -> (
        manifest: BundleManifest, size: UInt64
    ) {
        var options = BundleMaker.Options()
        options.radius = radius.value
        options.isRedacted = redact
        options.includesRecording = withRecording
        options.contextCount = context
        options.tool = "tt-analyze \(ToolVersion.current)"
        var maker = BundleMaker(
            comparison.alignment, original: comparison.original, replay: comparison.replay, options: options)
        maker.content = comparison.content
        maker.completeDocument = { document in
            document.spellCommands { step in
                let programs = [
                    DivergenceDocument.NextStep.Action.listBranches: "bts-dump", .listEvents: "events",
                ]
                guard let program = programs[step.action], let brctr = step.brctr else { return nil }
                // The bytes of the bundle do not depend on its name.
                return ["tt-analyze", "open", "bug.ttbug", program, step.side.rawValue, "--around", "\(brctr):20"]
                    .map(ShellWord.quoted).joined(separator: " ")
            }
        }
        return try maker.write(to: path)
    }
}
