// SPDX-License-Identifier: GPL-2.0-or-later

@preconcurrency import Glibc
import RunDirectory

/// A running QEMU, watched through its monitor and through /proc.
final class QEMUGuest: RunningGuest {
    private let child: ChildProcess
    private let monitor: QMPClient
    /// Whose place is watched.
    private let inputLog: String
    private var isConnected = false
    private var hasShutDown = false
    private var pending: [GuestEvent] = []

    init(child: ChildProcess, monitor: QMPClient, inputLog: String) {
        self.child = child
        self.monitor = monitor
        self.inputLog = inputLog
    }

    var holder: String { "QEMU (process \(child.pid))" }

    func poll() -> ProcessEnd? { child.poll() }

    func signal(_ number: Int32) { child.signal(number) }

    func takeEvents() -> [GuestEvent] {
        collectEvents()
        defer { pending.removeAll() }
        return pending
    }

    func instructions() throws(GuestSilence) -> UInt64 {
        do throws(QMPError) {
            if !isConnected {
                try monitor.negotiate(timeout: 2)
                isConnected = true
            }
            return UInt64(max(0, try ask("query-replay")["icount"]?.integer ?? 0))
        } catch {
            if case .timeout = error { throw .busy }
            throw .gone
        }
    }

    func isExecuting() -> Bool { (try? ask("query-status"))?["running"]?.bool == true }

    func processor() -> Standstill.Processor {
        let answer = try? ask("human-monitor-command", ["command-line": .string("info registers")])
        return Standstill.Processor(registers: answer?.string)
    }

    func askToEnd() -> Bool {
        guard isConnected else { return false }
        _ = try? ask("quit")
        return true
    }

    func isWaitingForDisk() -> Bool {
        let tasks = "/proc/\(child.pid)/task"
        return ((try? Files.list(tasks)) ?? []).contains { task in
            guard let stat = try? Files.contents("\(tasks)/\(task)/stat") else { return false }
            let text = String(decoding: stat, as: UTF8.self)
            return text.lastIndex(of: ")").map { text[$0...].hasPrefix(") D") } ?? false
        }
    }

    func inputOffset() -> UInt64? {
        let directory = "/proc/\(child.pid)/fd"
        guard let names = try? Files.list(directory) else { return nil }
        for name in names {
            guard let target = try? Files.absolute("\(directory)/\(name)", what: "descriptor"), target == inputLog,
                let text = try? Files.contents("/proc/\(child.pid)/fdinfo/\(name)")
            else { continue }
            let line = String(decoding: text, as: UTF8.self).split(separator: "\n").first { $0.hasPrefix("pos:") }
            return line.flatMap { UInt64($0.dropFirst(4).drop { $0 == " " || $0 == "\t" }) }
        }
        return nil
    }

    /// Sends a request.
    ///
    /// QEMU 10.0 sometimes does not end when a request comes while it shuts down: its main thread waits in
    /// monitor_cleanup for a wake-up that was lost. SIGTERM wakes it, and it ends as it should.
    private func ask(_ command: String, _ arguments: [String: JSONValue] = [:]) throws(QMPError) -> JSONValue {
        do {
            return try monitor.execute(command, arguments: arguments, timeout: 2)
        } catch {
            collectEvents()
            if case .timeout = error, hasShutDown { child.signal(SIGTERM) }
            throw error
        }
    }

    private func collectEvents() {
        for event in monitor.takeEvents() {
            switch event.name {
            case "SHUTDOWN":
                hasShutDown = true
                pending.append(.shutdown(reason: event.data["reason"]?.string))
            case "RESUME": pending.append(.resumed)
            case "GUEST_PANICKED": pending.append(.panicked)
            default: break
            }
        }
    }
}
