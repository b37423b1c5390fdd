# SPDX-License-Identifier: GPL-2.0-or-later
"""Real guests: the example of docs/fleets.md for `python -m ttlog nightly`, and a small number of Benchmarks/fleets/corpus.py.

Needs QEMU, the plugin and the guests (`make plugin guests`), and the tools in BIN (default: .build/release).
"""

import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree

from conftest import FIXTURES

ROOT = FIXTURES.parents[1]
BIN = os.path.abspath(os.environ.get("BIN") or ROOT / ".build/release")
GUESTS = ROOT / "hypervisor/guests/tiny/build"


def section():
    text = (ROOT / "docs/fleets.md").read_text().split("## A nightly corpus\n")[1].split("\n## ")[0]
    return [[line[4:] for line in block.strip("\n").splitlines()] for block in re.findall(r"((?:    .*\n|\n)+)", text) if block.strip()]


def test_the_nightly_corpus_of_the_page(tmp_path):
    configuration, example, *_ = section()
    text = "\n".join(configuration).replace("tools = /usr/bin", f"tools = {BIN}")
    (tmp_path / "nightly.ini").write_text(text)
    for guest in ("tiny", "tiny-extra-turn"):
        (tmp_path / f"{guest}.elf").symlink_to(GUESTS / f"{guest}.elf")
    environment = {**os.environ, "PATH": f"{os.path.dirname(sys.executable)}:{os.environ['PATH']}"}
    environment.setdefault("TTD_PLUGIN", str(ROOT / "hypervisor/qemu/build/libttd.so"))
    command, *expected = example
    done = subprocess.run(
        command, shell=True, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=600
    )
    assert done.stdout.splitlines() == expected
    assert len(list(ElementTree.parse(tmp_path / "junit.xml").getroot().iter("failure"))) == 2
    reports = list((tmp_path / "corpus/reports").glob("*/*.html"))
    assert len(reports) == 2 and all("work_through_round" in report.read_text() for report in reports)
    assert (tmp_path / "corpus/index.html").exists()


def test_known_differences_are_found(tmp_path):
    count = os.environ.get("TT_FLEET_RUNS", "10")
    command = [sys.executable, ROOT / "Benchmarks/fleets/corpus.py", tmp_path / "corpus", "--runs", count, "--synthetic", "30", "--bin", BIN]
    environment = {**os.environ}
    environment.setdefault("TTD_PLUGIN", str(ROOT / "hypervisor/qemu/build/libttd.so"))
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=1800)
    assert f"verdicts as planted: {count} of {count}" in done.stdout and done.returncode == 0, done.stdout
