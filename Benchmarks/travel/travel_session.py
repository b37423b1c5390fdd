# SPDX-License-Identifier: GPL-2.0-or-later
"""A session of `tt-gdb RUN --serve`, used through the commands of gdb's monitor."""
import re
import socket
import subprocess
import sys


class TravelSession:
    """Goes through a run. `with TravelSession("tt-gdb", "run") as session: session.travel("goto @1000")`"""

    def __init__(self, tool, run, options=()):
        self.server = subprocess.Popen([tool, run, "--serve", "--quiet", *options], stdout=subprocess.PIPE, text=True)
        path = re.search(r"target extended-remote ([^'\"\s]+)", self.server.stdout.readline())
        if not path:
            sys.exit(f"{tool} does not serve {run}")
        self.connection = socket.socket(socket.AF_UNIX)
        self.connection.connect(path.group(1))

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
