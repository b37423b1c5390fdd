// SPDX-License-Identifier: GPL-2.0-or-later

@preconcurrency import Glibc
import RunDirectory

/// A running QEMU, watched through its monitor and through /proc.
final class QEMUGuest: RunningGuest {
    /// Seconds that an answer of the monitor may take.
    var answerTime: Double = 2

    private let child: ChildProcess
    private let monitor: QMPClient
    /// Whose place is watched.
    private let inputLog: String
    private var isConnected = false
    private var hasShutDown = false
    private var pending: [GuestEvent] = []

    /// The log whose growth is progress; nil for a run without one.
    private let log: String?
    /// Files that the arguments let QEMU write and that it never reads.
    private let outputs: [String]
    private let feeder: SerialFeeder?
    /// Whether the tool starts the run; otherwise a debugger does.
    private let isResumedByTool: Bool
    /// The directory of QEMU's firmware.
    private let dataDirectories: [String]
    /// For a replay: the resets of the recording that have not taken place yet.
    private var expectedResets: ArraySlice<RunOutcome.Reset>
    private var hasAskedForReset = false

    init(
        child: ChildProcess, monitor: QMPClient, inputLog: String, log: String? = nil, outputs: [String] = [],
        feeder: SerialFeeder? = nil, isResumedByTool: Bool = true, dataDirectories: [String] = [],
        expectedResets: [RunOutcome.Reset] = []
    ) {
        self.child = child
        self.monitor = monitor
        self.inputLog = inputLog
        self.log = log
        self.outputs = outputs
        self.feeder = feeder
        self.isResumedByTool = isResumedByTool
        self.dataDirectories = dataDirectories
        self.expectedResets = expectedResets[...]
    }

    var holder: String { "QEMU (process \(child.pid))" }

    func poll() -> ProcessEnd? { child.poll() }

    func signal(_ number: Int32) { child.signal(number) }

    func pump() -> Double? {
        guard let feeder else { return nil }
        collectEvents()
        feeder.pump { isConnected && !hasShutDown ? try? count() : nil }
        return 0.01
    }

    private func count() throws(QMPError) -> UInt64 {
        UInt64(max(0, try ask("query-replay")["icount"]?.integer ?? 0))
    }

    func logSize() -> UInt64 { log.map { Files.size($0) } ?? 0 }

    func openFiles() -> [OpenFile] {
        guard connect(seconds: 60) else { return [] }
        let directory = "/proc/\(child.pid)/fd"
        var list: [OpenFile] = []
        for name in (try? Files.list(directory)) ?? [] {
            var information = stat()
            // A file without a name is a temporary one of QEMU itself.
            guard stat("\(directory)/\(name)", &information) == 0, FileKind(information) == .file,
                information.st_nlink > 0, let path = try? Files.absolute("\(directory)/\(name)", what: "descriptor"),
                !OutputArguments.contain(path, outputs)
            else { continue }
            let file = OpenFile(path: path, isWritable: isWritable(name))
            if let index = list.firstIndex(where: { $0.path == path }) {
                list[index].isWritable = list[index].isWritable || file.isWritable
            } else {
                list.append(file)
            }
        }
        func ask(_ line: String) -> String {
            let answer = try? monitor.execute(
                "human-monitor-command", arguments: ["command-line": .string(line)], timeout: 30)
            return answer?.string ?? ""
        }
        let names = QEMUFirmware.names(roms: ask("info roms"), devices: ask("info qtree"))
        return list + QEMUFirmware.files(names, in: dataDirectories)
    }

    /// Whether a descriptor of QEMU was opened for writing, from the octal flags in /proc.
    private func isWritable(_ descriptor: String) -> Bool {
        guard let text = try? Files.contents("/proc/\(child.pid)/fdinfo/\(descriptor)") else { return true }
        let line = String(decoding: text, as: UTF8.self).split(separator: "\n").first { $0.hasPrefix("flags:") }
        let flags = line.flatMap { Int32($0.dropFirst(6).drop { $0 == " " || $0 == "\t" }, radix: 8) }
        return flags.map { $0 & O_ACCMODE != O_RDONLY } ?? true
    }

    func resume() {
        guard isResumedByTool, connect(seconds: 60) else { return }
        _ = try? monitor.execute("cont", timeout: 30)
        // The guest was paused by us: this is no resumption that matters.
        collectEvents()
        pending.removeAll { $0 == .resumed }
    }

    /// Waits for the monitor. False when QEMU has ended first, or the time is up.
    private func connect(seconds: Double) -> Bool {
        let deadline = Clock.now() + seconds
        while !isConnected, child.poll() == nil, Clock.now() < deadline {
            do {
                try monitor.negotiate(timeout: 1)
                isConnected = true
            } catch {
                guard case .timeout = error else { return false }
            }
        }
        return isConnected
    }

    func takeEvents() -> [GuestEvent] {
        collectEvents()
        repeatReset()
        defer { pending.removeAll() }
        return pending
    }

    func instructions() throws(GuestSilence) -> UInt64 {
        do throws(QMPError) {
            if !isConnected {
                try monitor.negotiate(timeout: 2)
                isConnected = true
            }
            return try count()
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
        return ((try? Files.list(tasks)) ?? []).contains { QEMUGuest.state("\(tasks)/\($0)/stat").first == "D" }
    }

    func processorTime() -> Double? {
        let fields = QEMUGuest.state("/proc/\(child.pid)/stat")
        guard fields.count > 12, let user = Double(fields[11]), let system = Double(fields[12]) else { return nil }
        return (user + system) / Double(sysconf(Int32(_SC_CLK_TCK)))
    }

    /// The fields of a `stat` file of /proc from the state on: the third of proc(5) is the first.
    private static func state(_ path: String) -> [Substring] {
        guard let contents = try? Files.contents(path) else { return [] }
        let text = String(decoding: contents, as: UTF8.self)
        // The name before it may contain anything.
        return text.lastIndex(of: ")").map { text[text.index(after: $0)...].split(separator: " ") } ?? []
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
            return try monitor.execute(command, arguments: arguments, timeout: answerTime)
        } catch {
            collectEvents()
            if case .timeout = error, hasShutDown { child.signal(SIGTERM) }
            throw error
        }
    }

    /// Asks for the operator's next reset. QEMU carries it out at its recorded place.
    private func repeatReset() {
        guard expectedResets.first == .operator, !hasAskedForReset, isConnected, !hasShutDown else { return }
        hasAskedForReset = true
        _ = try? ask("system_reset")
    }

    private func collectEvents() {
        for event in monitor.takeEvents() {
            switch event.name {
            case "SHUTDOWN":
                hasShutDown = true
                pending.append(.shutdown(reason: event.data["reason"]?.string))
            case "RESUME": pending.append(.resumed)
            case "GUEST_PANICKED": pending.append(.panicked)
            case "RESET":
                pending.append(.reset(event.data["guest"]?.bool == false ? .operator : .guest))
                expectedResets = expectedResets.dropFirst()
                hasAskedForReset = false
            default: break
            }
        }
    }
}
