// SPDX-License-Identifier: GPL-2.0-or-later

import Glibc
import RunDirectory

/// A program that does not outlive the tool that starts it, also if that is killed by SIGKILL.
///
/// setpriv of util-linux has the kernel kill the program when the thread that starts it ends (PR_SET_PDEATHSIG of prctl(2)). A
/// tool that was killed before this was set is no longer the parent: the shell between them sees that, and does not start the
/// program.
public enum BoundProgram {
    private static let setpriv = "/usr/bin/setpriv"

    /// The words of a command that starts a program so, what to execute first. Without setpriv they are the program's own.
    ///
    /// - Parameters:
    ///   - path: the program's absolute path.
    ///   - arguments: those that follow its name.
    ///   - leavesTerminal: whether it gets SIGTERM in place of SIGKILL: a program that changes the settings of its terminal
    ///     restores them then.
    public static func words(
        _ path: String, _ arguments: some Collection<String>, leavesTerminal: Bool = false
    ) -> [String] {
        guard Files.isExecutable(setpriv) else { return [path] + arguments }
        let shell = ["/bin/sh", "-c", "[ $PPID = \"$0\" ] && exec \"$@\"", String(getpid())]
        return [setpriv, "--pdeathsig", leavesTerminal ? "TERM" : "KILL", "--"] + shell + [path] + arguments
    }
}
