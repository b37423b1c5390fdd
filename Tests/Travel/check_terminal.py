#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""tt-gdb in a terminal: Ctrl-C reaches gdb, and gdb ends with a tt-gdb that is killed, and leaves the terminal as it was.

Usage: check_terminal.py TT-GDB ARGUMENT...
"""
import fcntl
import os
import pty
import re
import select
import signal
import sys
import termios
import time

PATIENCE = 60


class Session:
    """A tool in a pseudoterminal."""

    def __init__(self, arguments):
        self.text = ""
        self.master, self.terminal = pty.openpty()
        self.pid = os.fork()
        if self.pid == 0:
            os.setsid()
            fcntl.ioctl(self.terminal, termios.TIOCSCTTY, 0)
            for number in range(3):
                os.dup2(self.terminal, number)
            # The leader of the session is a shell, as a user's is: the end of the leader would end gdb.
            os.execv("/bin/sh", ["sh", "-c", "trap : INT; \"$@\"; echo the shell goes on; read line", "sh"] + arguments)

    def wait(self, pattern):
        """Waits for text after what was waited for before."""
        end = time.monotonic() + PATIENCE
        while not (found := re.search(pattern, self.text)):
            assert time.monotonic() < end, "%r does not appear in %r" % (pattern, self.text)
            if select.select([self.master], [], [], 0.2)[0]:
                self.text += os.read(self.master, 65536).decode(errors="replace")
        self.text = self.text[found.end():]
        return found

    def send(self, text):
        os.write(self.master, text.encode())


def is_gone(pid):
    """Whether a process has ended; its parent may not have waited for it."""
    try:
        with open("/proc/%d/stat" % pid) as file:
            return file.read().rsplit(")", 1)[1].split()[0] == "Z"
    except OSError:
        return True


def main():
    session = Session(sys.argv[1:] + ["--quiet", "--", "-nx"])
    before = termios.tcgetattr(session.terminal)
    session.wait(r"\(gdb\) ")
    session.send("python import os; print('gdb is', os.getpid(), 'of', os.getppid(), os.getpgrp(), os.tcgetpgrp(0))\n")
    pid, tool, group, foreground = map(int, session.wait(r"gdb is (\d+) of (\d+) (\d+) (\d+)").groups())
    assert group == foreground, "gdb is not in the terminal's foreground group"
    session.wait(r"\(gdb\) ")
    session.send("python import time; time.sleep(%d)\n" % PATIENCE)
    time.sleep(1)
    session.send("\x03")
    session.wait("KeyboardInterrupt|Quit")
    session.wait(r"\(gdb\) ")
    # The tool goes on.
    session.send("tt where\n")
    session.wait(r"brctr \d+, icount")
    session.wait(r"\(gdb\) ")
    os.kill(tool, signal.SIGKILL)
    session.wait("the shell goes on")
    end = time.monotonic() + PATIENCE
    while not is_gone(pid):
        assert time.monotonic() < end, "gdb is left"
        time.sleep(0.05)
    assert termios.tcgetattr(session.terminal) == before, "the terminal's settings are not restored"
    session.send("\n")
    os.waitpid(session.pid, 0)


if __name__ == "__main__":
    main()
