// SPDX-License-Identifier: GPL-2.0-or-later

import ArgumentParser
import Formatting
import ReplaySession
import ToolSupport

extension MemorySize: ExpressibleByArgument {
    public init?(argument: String) { self.init(argument) }
}
extension PluginConfiguration.Mode: ExpressibleByArgument {}
extension PluginConfiguration.Codec: ExpressibleByArgument {}

@main
struct TTReplay: ParsableCommand {
    static func main() { ToolMain.run(TTReplay.self) }

    static let configuration = CommandConfiguration(
        commandName: "tt-replay",
        abstract: "Replay a recording under QEMU, with a log of its own to compare.",
        discussion: """
            The replay goes to STATE-DIR/replays/NAME. It repeats the recording's command line with the recording's \
            files, and refuses where one of them, QEMU's version, or an option given here is not what it was: --force \
            replays all the same, to see where the runs part. A replay that stands still is ended.

            EXAMPLES
              tt-replay /tmp/run1
              tt-replay /tmp/run1 --name more-memory --memory 96M --force
              tt-replay /tmp/run1 --name patched --kernel patched.elf --force
              tt-replay /tmp/run1 -- -S -gdb tcp::1234
              tt-analyze diverge /tmp/run1 /tmp/run1/replays/patched --symbols patched.elf

            EXIT STATUS
              0 the replay ended as the recording did (tt-analyze diverge says whether it was the same all the way)
              1 it visibly went another way: it stood still, ended early, or QEMU gave up
              2 trouble: refused, broken off, or without a whole log
            """,
        version: ToolVersion.current)

    @Argument(help: ArgumentHelp("What tt-record made.", valueName: "state-dir"))
    var directory: String

    @Argument(
        parsing: .postTerminator,
        help: ArgumentHelp(
            "Behind --: given to QEMU beside the recording's. All but debuggers and QEMU's own logs need --force.",
            valueName: "qemu-args"))
    var extraArguments: [String] = []

    @OptionGroup(title: "Changes (need --force)") var changes: ChangeOptions
    @OptionGroup(title: "Log") var watching: WatchOptions
    @OptionGroup(title: "Run") var session: SessionOptions

    func run() throws {
        var replay = Replay(tool: "tt-replay \(ToolVersion.current)")
        replay.changes = changes.changes(extraArguments)
        replay.watching = watching.watching
        replay.name = session.name
        replay.qemu = session.qemu
        replay.force = session.force
        replay.overwrite = session.overwrite
        replay.hangPatience = session.hangTimeout
        replay.timeLimit = session.timeout
        let total = (try? Manifest.read("\(directory)/\(Manifest.fileName)"))?.outcome?.instructions ?? 0
        let progress = Progress("replaying", unit: " instructions", total: total, isQuiet: session.quiet)
        let summary = try replay.run(of: directory) { progress.update($0.instructions) }
        progress.finish()
        try session.report(summary)
    }
}
