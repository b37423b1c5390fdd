// SPDX-License-Identifier: GPL-2.0-or-later

import DebugAdapter
@preconcurrency import Glibc
import ReplaySession
import RunDirectory
import ToolSupport
import TravelSupport

/// The replay and gdb of one session.
final class Host: ReplayHost {
    private let signals = SignalWatch()
    private var link: ReplayLink?
    private var gdb: HelperProcess?

    /// Seconds that a replay may take to end. After that the process ends, and QEMU with it.
    private static let endTime = 5.0

    func start(_ arguments: LaunchArguments, _ link: ReplayLink) throws {
        self.link = link
        try ReplayThread.start { link.report(.ended(Replayer.replay(arguments, link))) }
    }

    func startDebugger(_ arguments: LaunchArguments, script: String) throws -> (input: Int32, output: Int32) {
        let (commands, answers) = (try Host.makePipe(), try Host.makePipe())
        defer {
            close(commands.reader)
            close(answers.writer)
        }
        var words = ["-q", "-nx", "--interpreter=mi3"]
        for setting in DebuggerPrint.settings + ["set auto-load no"] { words += ["-iex", setting] }
        for setting in ["pagination off", "confirm off", "width 0"] { words += ["-ex", "set \(setting)"] }
        do throws(RunError) {
            gdb = try HelperProcess(
                arguments.gdb, words + ["-x", script], input: commands.reader, output: answers.writer)
        } catch {
            close(commands.writer)
            close(answers.reader)
            throw error
        }
        return (commands.writer, answers.reader)
    }

    private static func makePipe() throws(RunError) -> (reader: Int32, writer: Int32) {
        guard let ends = Descriptor.pipe() else { throw .system(doing: "create a pipe to", path: "gdb", code: errno) }
        return ends
    }

    func stop() {
        gdb = nil
        let deadline = ContinuousClock.now + .seconds(Host.endTime)
        while let link, !link.hasEnded, ContinuousClock.now < deadline { usleep(2000) }
        link = nil
    }

    func goesOn() -> Bool {
        while let number = signals.wait(seconds: 0) { if number != SIGCHLD { return false } }
        return true
    }

    func text(of error: any Error) -> String { Replayer.text(of: error) }
}

/// A thread that runs one function.
enum ReplayThread {
    private final class Body {
        let run: @Sendable () -> Void

        init(_ run: @escaping @Sendable () -> Void) { self.run = run }
    }

    /// Starts a thread, which nobody waits for.
    static func start(_ run: @escaping @Sendable () -> Void) throws(RunError) {
        let body = Unmanaged.passRetained(Body(run))
        var thread = pthread_t()
        let code = pthread_create(
            &thread, nil,
            { pointer in
                if let pointer { Unmanaged<Body>.fromOpaque(pointer).takeRetainedValue().run() }
                return nil
            }, body.toOpaque())
        guard code == 0 else {
            body.release()
            throw .system(doing: "start", path: "a thread", code: code)
        }
        pthread_detach(thread)
    }
}
