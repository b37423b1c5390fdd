// SPDX-License-Identifier: GPL-2.0-or-later

@preconcurrency import Glibc
import LogFormat
import RunDirectory

/// A domain that the daemon records or replays. The run ends when the daemon ends.
final class XenGuest: RunningGuest {
    private let tools: XenTools
    private let daemon: ChildProcess
    private let domain: String
    private let log: String
    private let messages: String
    private let disks: XenDiskCopies
    private var hasDestroyed = false

    /// The branches of a window (`--branches`), which the daemon writes beside the log.
    private var branchLog: String { "\(log).branches" }

    init(tools: XenTools, daemon: ChildProcess, domain: String, log: String, messages: String, disks: XenDiskCopies) {
        self.tools = tools
        self.daemon = daemon
        self.domain = domain
        self.log = log
        self.messages = messages
        self.disks = disks
    }

    var holder: String { "\(XenTools.daemonName) (process \(daemon.pid))" }

    /// The guest's files are those that its configuration names; the hypervisor has none open.
    func openFiles() -> [OpenFile] { [] }

    func resume() { _ = try? tools.run(["unpause", domain], output: messages) }

    func pump() -> Double? { nil }

    /// Destroys the domain once the daemon has ended: its name is free for the next run, and its copies of disks go.
    func poll() -> ProcessEnd? {
        guard let end = daemon.poll() else { return nil }
        if !hasDestroyed {
            hasDestroyed = true
            _ = try? tools.run(["destroy", domain], output: "/dev/null")
            disks.remove()
        }
        return end
    }

    func takeEvents() -> [GuestEvent] { [] }

    /// Grows with the records of the log and of the branch window's log: the hypervisor counts no instructions unless asked, and
    /// the logs themselves grow by whole chunks.
    func instructions() throws(GuestSilence) -> UInt64 {
        LogProgress.mark(of: log) &+ LogProgress.mark(of: branchLog)
    }

    func isExecuting() -> Bool { true }
    func isWaitingForDisk() -> Bool { false }
    func processorTime() -> Double? { nil }
    func inputOffset() -> UInt64? { nil }
    func logSize() -> UInt64 { Files.size(log) &+ Files.size(branchLog) }
    func processor() -> Standstill.Processor { .unknown }

    func askToEnd() -> Bool {
        daemon.signal(SIGTERM)
        return true
    }

    func signal(_ number: Int32) { daemon.signal(number) }
}
