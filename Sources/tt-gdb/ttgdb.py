# SPDX-License-Identifier: GPL-2.0-or-later
"""gdb's commands `tt …` for a run that tt-gdb serves. The server answers them (`monitor tt …`)."""
import gdb


class TimeTravel(gdb.Command):
    """Go through a recorded run: tt where, goto, back, events, branches, calls, divergence, tasks, modules, dmesg. `tt help` lists them."""

    MOVES = ("goto", "back", "divergence")
    WORDS = ("where", "goto", "back", "events", "branches", "calls", "divergence", "tasks", "modules", "dmesg", "help")

    def __init__(self):
        super().__init__("tt", gdb.COMMAND_RUNNING)

    def invoke(self, argument, from_tty):
        text = gdb.execute("monitor tt " + argument, False, True)
        gdb.write(text)
        words = argument.split()
        # The server reports the new place as the stop after this step, which moves nothing. gdb looks for the frame before it
        # steps: with the registers of the old place and the memory of the new one it finds none, and does not step.
        if words and words[0] in self.MOVES and not text.startswith("error:"):
            gdb.execute("maintenance flush register-cache", False, True)
            gdb.execute("stepi", from_tty)

    def complete(self, text, word):
        return [name for name in self.WORDS if name.startswith(text)]


TimeTravel()
