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
        abstract: "Record a guest under QEMU or Xen, so that it can be replayed and compared.",
        discussion: """
            RUN receives the recording: manifest.json, ttd.log (every branch and event, for tt-analyze), \
            replay.bin (QEMU's own input log), serial.log and qemu.log. The guest runs until it shuts down, until \
            --timeout, or until Ctrl-C; the recording can be replayed in each case. Under Xen, ttd.log is the input of a \
            replay too, and xen.log has the messages of xl and ttd-deviced.

            EXAMPLES
              tt-record --kernel tiny.elf --device isa-debug-exit,iobase=0xf4,iosize=1 /tmp/run1
              tt-record --kernel vmlinuz --initrd initrd.gz --append 'console=ttyS0 panic=-1' --memory 256M /tmp/run2
              tt-record --disk debian.qcow2 --memory 1G --timeout 60 /tmp/run3 -- -device virtio-rng-pci
              tt-record --engine xen --config guest.cfg /tmp/run4

            EXIT STATUS
              0 recorded
              2 trouble: nothing was recorded, or the recording is incomplete
            """,
        version: ToolVersion.current)

    @Argument(help: ArgumentHelp("The run directory of the recording; it is made if it is missing.", valueName: "run"))
    var directory: String

    @Argument(
        parsing: .postTerminator,
        help: ArgumentHelp("After --: passed to QEMU unchanged.", valueName: "qemu-args"))
    var extraArguments: [String] = []

    @OptionGroup(title: "Engine") var engine: EngineOptions
    @OptionGroup(title: "Guest") var guest: GuestOptions
    @OptionGroup(title: "Log") var log: LogOptions
    @OptionGroup(title: "Run") var session: SessionOptions

    func run() throws {
        switch engine.engine {
        case .qemu: try record(qemu())
        case .xen: try record(engine.xen(), isWatched: false)
        }
    }

    private func qemu() throws -> QEMUEngine {
        var engine = QEMUEngine(
            program: try .find(session.qemu), guest: try guest.configuration(extraArguments), plugin: try log.plugin())
        engine.serialInput = try guest.serialInput()
        if guest.serial == "stdio" {
            engine.onSerialOutput = { bytes in
                Output.standard.write(String(decoding: bytes, as: UTF8.self))
                Output.standard.flush()
            }
        }
        return engine
    }

    /// - Parameter isWatched: whether the engine shows what the guest executes.
    private func record<GuestEngine: Engine>(_ engine: GuestEngine, isWatched: Bool = true) throws {
        var recording = Recording(engine: engine, tool: "tt-record \(ToolVersion.current)")
        recording.overwrite = session.overwrite
        recording.keepsSnapshot = session.snapshot
        recording.timeLimit = session.timeout
        recording.standstillPatience = isWatched ? session.hangTimeout : .infinity
        recording.haltPatience = isWatched ? session.haltTimeout : nil
        let isQuiet = session.quiet
        recording.onChoices = { choices in
            if !isQuiet { for choice in choices { Diagnostics.note("\(choice); --clock chooses another") } }
        }
        recording.onStandstill = { Diagnostics.warning("\($0.text) (Ctrl-C ends it)") }
        let progress = RunProgress("recording", total: 0, isQuiet: session.quiet)
        recording.onHashing = { progress.hash(done: $0.done, total: $0.total) }
        if isWatched { recording.onStatus = { progress.run(instructions: $0.instructions) } }
        let summary = try recording.run(into: directory)
        progress.finish()
        try session.report(summary)
    }
}
