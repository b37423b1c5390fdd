# SPDX-License-Identifier: GPL-2.0-or-later
"""Run directories that tests of several folders use, made of the fixtures."""

import pathlib
import shutil

FIXTURES = pathlib.Path(__file__).resolve().parents[2] / "Fixtures" / "tiny"


def make_run(folder):
    """Makes a run directory `run` in a folder: a recording and two replays, of which one parted. Returns its path."""
    for source, target in (("recording", "run"), ("extra-turn", "run/replays/1"), ("faithful", "run/replays/2")):
        (folder / target).mkdir(parents=True)
        shutil.copy(FIXTURES / f"{source}.log", folder / target / "ttd.log")
    return folder / "run"
