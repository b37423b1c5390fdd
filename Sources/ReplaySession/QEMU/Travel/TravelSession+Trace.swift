// SPDX-License-Identifier: GPL-2.0-or-later

@preconcurrency import Glibc
import LogFormat
import RunDirectory

extension TravelSession {
    /// Runs through a window with the recorder awake (``ReplaySide/Options/recorder``), and ends QEMU. The log has the positions
    /// of the run's own log.
    ///
    ///     var options = ReplaySide.Options()
    ///     options.recorder = SleepingRecorder(
    ///         log: "/tmp/window.log", logging: logging, clock: window.from.brctr ?? 0, icount: window.from.icount)
    ///     try TravelSession(run, places: places, options: options).trace(window)
    ///
    /// - Throws: ``PlaceError`` if the run does not reach the window's end, ``RunError`` or ``LogError`` if the log is not
    ///   complete.
    public func trace(_ window: TraceWindow) throws {
        guard let recorder = side.prepared.recorder, let settings = side.recorderSettings else {
            throw PlaceError("the session has no recorder")
        }
        try go(to: window.from.engine, ip: window.from.ip)
        try side.wakeRecorder()
        try client.drain()
        // QEMU translates anew for a single step and after it.
        try client.step()
        try look()
        if window.isToEnd {
            try runToEnd()
        } else {
            try go(to: window.to.engine, ip: window.to.ip)
            // The recorder learns of a transition when the next instruction begins.
            try client.step()
        }
        try side.quit()
        try complete(settings.log, recorder, window)
    }

    private func runToEnd() throws {
        try side.begin(to: .max)
        while true {
            switch try side.poll(seconds: 0.2) {
            case nil: try onWait(side.progress() ?? side.icount)
            case .reached, .ended, .hung: return
            }
        }
    }

    /// Appends what the recorder does not know, and checks that the recorder has seen every instruction.
    private func complete(_ path: String, _ engine: QEMUEngine, _ window: TraceWindow) throws {
        let log = try LogFile(path: path)
        let seen = log.attributes["recorder.instructions"].flatMap { UInt64($0) }
        guard log.lostRecords == 0, log.completeness == .closed, let seen,
            window.isToEnd ? seen >= window.to.icount : seen == window.to.icount + 1
        else {
            throw RunError.engine(
                problem: "the recorder has seen \(seen ?? 0) instructions, where the window ends after"
                    + " \(window.to.icount): the log is not complete", output: "")
        }
        let completion = LogCompletion(engine: engine, plan: side.prepared.plan, manifest: side.prepared.manifest)
        let writer = try LogWriter(appendingTo: path)
        for (key, value) in completion.attributes { writer.attribute(key, value) }
        if let from = window.from.brctr, let to = window.to.brctr {
            writer.attribute("slice.source", places.log.path)
            writer.attribute("slice.from", String(from))
            writer.attribute("slice.to", window.isToEnd ? "end" : String(to))
            writer.comparableEnd(clock: to, icount: window.to.icount, reason: "the end of the traced window")
        } else {
            writer.attribute("trace.positions", "brctr counts from the window's beginning, icount is QEMU's")
        }
        try writer.close()
    }
}
