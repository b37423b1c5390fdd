// SPDX-License-Identifier: GPL-2.0-or-later

import ArgumentParser
import Formatting
import ReplaySession
import ToolSupport

@main
struct TTRecord: ParsableCommand {
    static func main() { ToolMain.run(TTRecord.self) }

    static let configuration = CommandConfiguration(
        commandName: "tt-record",
        abstract: "Record a guest under QEMU, so that it can be replayed and compared.",
        discussion: """
            STATE-DIR receives the recording: manifest.json, ttd.log (every branch and event, for tt-analyze), \
            replay.bin (QEMU's own input log), serial.log and qemu.log. The guest runs until it shuts down, until \
            --timeout, or until Ctrl-C; the recording can be replayed in each case.

            EXAMPLES
              tt-record --kernel tiny.elf --device isa-debug-exit,iobase=0xf4,iosize=1 /tmp/run1
              tt-record --kernel vmlinuz --initrd initrd.gz --append 'console=ttyS0 panic=-1' --memory 256M /tmp/run2
              tt-record --disk debian.qcow2 --memory 1G --timeout 60 /tmp/run3 -- -device virtio-rng-pci

            EXIT STATUS
              0 recorded
              2 trouble: nothing was recorded, or the recording is not whole
            """,
        version: ToolVersion.current)

    @Argument(help: ArgumentHelp("Where the recording goes; made where it is missing.", valueName: "state-dir"))
    var directory: String

    @Argument(
        parsing: .postTerminator,
        help: ArgumentHelp("Behind --: given to QEMU as they are.", valueName: "qemu-args"))
    var extraArguments: [String] = []

    @OptionGroup(title: "Guest") var guest: GuestOptions
    @OptionGroup(title: "Log") var log: LogOptions
    @OptionGroup(title: "Run") var session: SessionOptions

    func run() throws {
        var recording = Recording(
            guest: try guest.configuration(extraArguments), qemu: try .find(session.qemu), plugin: try log.plugin(),
            tool: "tt-record \(ToolVersion.current)")
        recording.overwrite = session.overwrite
        recording.keepsSnapshot = session.snapshot
        recording.timeLimit = session.timeout
        recording.standstillPatience = session.hangTimeout
        let progress = Progress("recording", unit: " instructions", total: 0, isQuiet: session.quiet)
        let summary = try recording.run(
            into: directory, onStandstill: { Diagnostics.warning($0.text) },
            observe: { progress.update($0.instructions) })
        progress.finish()
        try session.report(summary)
    }
}
