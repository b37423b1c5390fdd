// SPDX-License-Identifier: GPL-2.0-or-later

@preconcurrency import Glibc
import RunDirectory

/// The programs of dom0 that a run needs: `xl`, and our daemon.
public struct XenTools: Sendable, Equatable {
    /// Xen's tool, absolute.
    public var xl: String
    /// The daemon that drains and feeds the hypervisor's rings, absolute.
    public var daemon: String

    /// The daemon's file name.
    public static let daemonName = "ttd-deviced"

    /// Looks for `xl` in PATH, and for the daemon in TTD_DEVICED, next to the executable, in ../lib/tt-analyze, in the build
    /// directory of the source tree that the executable was built in, and in PATH.
    public static func find() throws(RunError) -> XenTools {
        guard let xl = SystemProgram.locate("xl") else {
            throw .missing(
                what: "program", name: "xl",
                remedy: .advice("run this in dom0 of Xen, with Xen's tools in PATH (Debian: xen-utils)"))
        }
        return XenTools(xl: xl, daemon: try findDaemon())
    }

    private static func findDaemon() throws(RunError) -> String {
        do {
            return try ToolFile.find(
                daemonName, variable: "TTD_DEVICED", buildDirectory: "hypervisor/xen/ttd-deviced/build", what: "daemon")
        } catch {
            guard case .missing(_, daemonName, _) = error else { throw error }
            if let path = SystemProgram.locate(daemonName) { return path }
            throw .missing(
                what: "daemon", name: daemonName,
                remedy: .advice("build it with `make deviced`, or name it with TTD_DEVICED"))
        }
    }

    /// Runs `xl` to its end, with its output at the end of a file. Returns its exit status, or -1.
    func run(_ arguments: [String], output: String) throws(RunError) -> Int32 {
        let child = try ChildProcess(path: xl, arguments: [xl] + arguments, inheriting: [], output: output)
        while true {
            if let end = child.poll() {
                if case .exited(let status) = end { return status }
                return -1
            }
            usleep(10_000)
        }
    }
}
