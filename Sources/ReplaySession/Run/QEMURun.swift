// SPDX-License-Identifier: GPL-2.0-or-later

@preconcurrency import Glibc

/// One run of QEMU, from its start until it has ended.
struct QEMURun {
    let directory: StateDirectory
    let files: RunFiles
    let command: QEMUCommandLine
    var timeLimit: Double?
    var hangPatience: Double?
    var standstill: StandstillWatch?
    var observe: (RunStatus) -> Void

    /// The number at which QEMU inherits the state directory's lock.
    private static let lockDescriptor: Int32 = 4

    func run() throws(SessionError) -> RunOutcome {
        let (monitor, far) = try QMPClient.pair()
        let child: ChildProcess
        do {
            child = try ChildProcess(
                path: command.program, arguments: command.arguments,
                inheriting: [
                    (far, QEMUCommandLine.monitorDescriptor), (directory.lockDescriptor, QEMURun.lockDescriptor),
                ],
                output: files.qemuLog)
            close(far)
        } catch {
            close(far)
            throw error
        }
        directory.noteHolder("QEMU (process \(child.pid))")
        let watch = RunMonitor(child: child, monitor: monitor)
        watch.timeLimit = timeLimit
        watch.hangPatience = hangPatience
        watch.standstill = standstill
        watch.inputLog = command.inputLog
        watch.observe = observe
        return RunOutcome(watch.run(), guest: command.guest, direction: command.direction, messages: messages())
    }

    /// What QEMU and the plugin printed: the last lines, at most twenty.
    private func messages() -> [String] {
        Files.tail(files.qemuLog).split(separator: "\n").suffix(20).map(String.init)
    }
}
