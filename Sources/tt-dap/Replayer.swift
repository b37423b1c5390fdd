// SPDX-License-Identifier: GPL-2.0-or-later

import DebugAdapter
@preconcurrency import Glibc
import ReplaySession
import RunDirectory
import ToolSupport
import TravelSupport

/// Replays a run, and serves gdb.
enum Replayer {
    /// Replays until the session ends. Returns the reason if that is no wish of the client's; nothing of the replay is left
    /// then. QEMU ends with the thread that calls this.
    static func replay(_ arguments: LaunchArguments, _ link: ReplayLink) -> String? {
        do {
            try serve(arguments, link)
            return nil
        } catch is ReplayLink.Ended {
            return nil
        } catch {
            return text(of: error)
        }
    }

    private static func serve(_ arguments: LaunchArguments, _ link: ReplayLink) throws {
        guard let place = Place(arguments.place) else {
            throw PlaceError("\(arguments.place) is no place: see tt-gdb's manual page")
        }
        let run = try TravelRun(arguments.run, TravelOptions.parse(words(arguments)))
        try link.check()
        for warning in run.places.warnings { link.report(note: "warning: \(warning)") }
        let destination = try run.resolver.destination(of: place)
        try link.check()
        var options = ReplaySide.Options()
        options.program = arguments.qemu
        options.trustsManifest = arguments.isTrusted
        options.checkpointSpace = EngineOptions.defaultCheckpointSpace
        let session = try run.start(options, isQuiet: true, keepsCheckpoints: true)
        for warning in session.warnings { link.report(note: "warning: \(warning)") }
        session.onSilence = { link.report(note: "warning: \($0)") }
        session.onWait = { icount in
            link.report(icount: icount, of: destination.engine.icount)
            try link.check()
        }
        try session.go(to: destination)
        session.onWait = { _ in }
        try serve(run, session, link)
    }

    private static func serve(_ run: TravelRun, _ session: TravelSession, _ link: ReplayLink) throws {
        let server = try DebuggerServer(session, socket: "\(session.privateDirectory)/gdb")
        let commands = run.commands(session)
        server.commands = { try commands.run($0) }
        server.wantsInterrupt = { link.wantsInterrupt }
        let end = session.end
        var nextReport = ContinuousClock.now
        server.onWait = {
            try link.check()
            try session.checkEngine()
            guard ContinuousClock.now >= nextReport else { return }
            nextReport = ContinuousClock.now + .milliseconds(400)
            link.report(icount: session.side.progress(), of: end)
        }
        let script = "\(session.privateDirectory)/ttdap.py"
        try Files.replace(script, with: DebuggerScript.contents)
        link.report(
            .ready(
                commands: DebuggerPrint.symbolCommands(run) + ["target extended-remote \(server.socket)"],
                slide: run.symbolizer?.modules.first?.slide ?? 0, script: script))
        while try server.serve() == .detached {}
    }

    /// The command-line options of the launch arguments that name symbol files and the other run.
    private static func words(_ arguments: LaunchArguments) -> [String] {
        var words = arguments.symbols.map { "--symbols=\($0)" } + arguments.programs.map { "--user=\($0)" }
        if let modules = arguments.modules { words.append("--modules=\(modules)") }
        if let kaslr = arguments.kaslr { words.append("--kaslr=\(kaslr)") }
        if let other = arguments.other { words.append("--other=\(other)") }
        return words
    }

    /// One paragraph for an error.
    static func text(of error: any Error) -> String { ToolMain.lines(TTDAP.self, error).joined(separator: "\n") }
}
