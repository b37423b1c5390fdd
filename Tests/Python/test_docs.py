# SPDX-License-Identifier: GPL-2.0-or-later
"""The sessions of docs/fleets.md: each command and each Python example, with its output.

Lines `    $ command` run in a shell and lines `    >>> code` in one Python session, in a folder with the runs of conftest and planted.py. With
TT_RECORD_SNAPSHOTS=1 the outputs are written into the page, and the test fails.
"""

import code
import contextlib
import io
import os
import re
import shutil
import subprocess
import sys

from conftest import FIXTURES, ROOT, tool

PAGE = ROOT / "docs/fleets.md"


def search_path():
    """The programs of the examples: Python's, and the tools."""
    return f"{os.path.dirname(sys.executable)}:{os.path.dirname(tool('tt-analyze'))}:{os.environ['PATH']}"


class Session:
    """Runs examples one after the other."""

    def __init__(self, folder):
        self.folder = folder
        self.console = code.InteractiveConsole({"__name__": "__main__"})

    def shell(self, command):
        environment = {**os.environ, "PATH": search_path()}
        output = subprocess.run(
            command, shell=True, cwd=self.folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        return output.stdout

    def python(self, lines):
        output = io.StringIO()
        with contextlib.chdir(self.folder) if hasattr(contextlib, "chdir") else _chdir(self.folder):
            with contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
                hook, sys.displayhook = sys.displayhook, _display
                try:
                    for line in lines:
                        self.console.push(line)
                    if len(lines) > 1:
                        self.console.push("")
                finally:
                    sys.displayhook = hook
        # Of an exception the last line counts.
        text = output.getvalue()
        return text.strip().splitlines()[-1] + "\n" if text.startswith("Traceback") else text


@contextlib.contextmanager
def _chdir(folder):
    before = os.getcwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def _display(value):
    if value is not None:
        print(repr(value))


def test_examples_of_the_page(run_folder, nights, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("PATH", search_path())
    shutil.copy(FIXTURES / "tiny.elf", run_folder.parent)
    (run_folder.parent / "nights").symlink_to(nights)
    session = Session(run_folder.parent)
    lines = PAGE.read_text().splitlines()
    result, index, count = [], 0, 0
    while index < len(lines):
        line = lines[index]
        result.append(line)
        index += 1
        if line.startswith("    $ "):
            output = session.shell(line[6:])
        elif line.startswith("    >>> "):
            example = [line[8:]]
            while index < len(lines) and re.match(r"    \.\.\. ?", lines[index]):
                example.append(re.sub(r"^    \.\.\. ?", "", lines[index]))
                result.append(lines[index])
                index += 1
            output = session.python(example)
        else:
            continue
        count += 1
        result += ["    " + text if text else "" for text in output.rstrip("\n").splitlines()]
        # What the page has: up to the next example, or the end of the block.
        while index < len(lines) and lines[index].startswith("    ") and not re.match(r"    (\$|>>>) ", lines[index]):
            index += 1
    session.console.locals.clear()
    assert count > 20
    if os.environ.get("TT_RECORD_SNAPSHOTS"):
        PAGE.write_text("\n".join(result) + "\n")
        raise AssertionError("recorded")
    assert result == lines
