# SPDX-License-Identifier: GPL-2.0-or-later
"""gdb's commands `tt …` for a run that tt-gdb serves. The server answers them (`monitor tt …`)."""
import gdb


class TimeTravel(gdb.Command):
    """Go through a recorded run. `tt help` lists the commands."""

    MOVES = ("goto", "back", "forward", "divergence")

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
            # For gdb it is a step within one function, after which it would print the line alone.
            gdb.execute("with print frame-info source-and-location -- stepi", from_tty)

    def complete(self, text, word):
        lines = gdb.execute("monitor tt help", False, True).splitlines()
        words = [line.split()[1] for line in lines if line.startswith("tt ")] + ["help"]
        return [name for name in words if name.startswith(text)] if text.strip() == word else []


TimeTravel()
