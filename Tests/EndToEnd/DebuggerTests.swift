// SPDX-License-Identifier: GPL-2.0-or-later

@preconcurrency import Glibc
import LogFormat
import RunDirectory
import TestSupport
import Testing

@testable import ReplaySession

extension EndToEndTests {
    /// A replay that waits for a debugger does not count as hung, and follows the recording once it is continued.
    @Test func aReplayWaitsForADebugger() throws {
        let scratch = try temporaryDirectory()
        let directory = scratch.file("run")
        #expect(try record(into: directory).status == 0)
        let port = 20_000 + getpid() % 20_000
        let tool = try RunningTool(
            Products.tool("tt-replay"),
            [directory, "--hang-timeout", "0.5", "--", "-S", "-gdb", "tcp:127.0.0.1:\(port)"])
        let qemu = { qemuProcess(of: directory).flatMap { isAlive($0) ? $0 : nil } }
        try wait(until: { qemu() != nil }, "QEMU runs")
        // Four times as long as the limit for a hung replay.
        usleep(2_000_000)
        #expect(tool.isRunning)
        #expect(qemu() != nil)

        // gdb's commands to continue.
        let script = """
            for i in $(seq 100); do exec 3<>/dev/tcp/127.0.0.1/\(port) && break; sleep 0.1; done 2>/dev/null
            printf '+$c#63' >&3
            cat <&3 >/dev/null
            """
        let debugger = try RunningTool("/bin/bash", ["-c", script])
        let result = try tool.wait(seconds: 60)
        #expect(result.status == 0, "\(result)")
        _ = try debugger.wait(seconds: 10)
        let log = try LogFile(path: directory)
        let end = try #require(log.comparableEnd(vcpu: 0)).clock
        try expectSameRun(log, try LogFile(path: "\(directory)/replays/1"), upTo: end)
    }
}
