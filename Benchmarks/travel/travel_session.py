# SPDX-License-Identifier: GPL-2.0-or-later
"""A session of `tt-gdb RUN --serve`, used through the commands of gdb's monitor."""
import os
import re
import socket
import subprocess
import sys
import time


def serve(tool, run, options=(), environment=None):
    """Starts the server; returns its process and the path of its socket."""
    server = subprocess.Popen([tool, run, "--serve", "--quiet", *options], stdout=subprocess.PIPE, text=True, env=environment)
    path = re.search(r"target extended-remote ([^'\"\s]+)", server.stdout.readline())
    return (server, path.group(1)) if path else sys.exit(f"{tool} does not serve {run}")


class TravelSession:
    """Goes through a run. `with TravelSession("tt-gdb", "run") as session: session.travel("goto @1000")`"""

    def __init__(self, tool, run, options=()):
        self.server, path = serve(tool, run, options)
        self.connection = socket.socket(socket.AF_UNIX)
        self.connection.connect(path)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.connection.close()
        self.server.wait()

    def _exchange(self, payload):
        """Sends a packet and returns the answer's payload."""
        self.connection.sendall(b"$%s#%02x" % (payload, sum(payload) & 255))
        data = b""
        while not (found := re.search(rb"\$([^#]*)#..", data)):
            piece = self.connection.recv(65536)
            if not piece:
                sys.exit("the server ended")
            data += piece
        self.connection.sendall(b"+")
        return found.group(1)

    def monitor(self, text):
        """The answer to a command of gdb's monitor."""
        answer = self._exchange(b"qRcmd," + text.encode().hex().encode())
        return bytes.fromhex(answer.decode()).decode() if answer != b"OK" else ""

    def travel(self, text):
        """The answer to a command that begins with `tt`."""
        return self.monitor("tt " + text)

    def children(self):
        """The processes that tt-gdb started, with the names of their programs."""
        found = []
        with open(f"/proc/{self.server.pid}/task/{self.server.pid}/children", encoding="ascii") as file:
            for child in file.read().split():
                try:
                    found.append((int(child), os.path.basename(os.readlink(f"/proc/{child}/exe"))))
                except OSError:
                    pass
        return found

    def processor_time(self):
        """Seconds that the session's QEMU has used."""
        total = 0
        for pid, name in self.children():
            if name.startswith("qemu"):
                with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
                    words = file.read().rsplit(")", 1)[1].split()
                total += (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")
        return total

    def wait_for_replay_ahead(self):
        """Waits until the replay that keeps checkpoints in the background has ended: QEMU is the only other child."""
        while any(not name.startswith("qemu") for _, name in self.children()):
            time.sleep(0.1)
