# SPDX-License-Identifier: GPL-2.0-or-later
"""Uses an installed wheel in an environment that has nothing else. Usage: clean.py FOLDER-OF-FIXTURES"""

import sys

import ttlog

folder = sys.argv[1]
log = ttlog.open(folder + "/recording.log")
first = next(log.branches(["from", "to", "kind"]).rows())
assert first == {"from": 0xFFFFFFF0, "to": 0xFE05B, "kind": "far"}, first
assert sum(1 for _ in log.chunks().rows()) > 20
divergence = ttlog.diverge(log, folder + "/extra-turn.log")
assert divergence.verdict == "control-flow" and divergence.place.ip is not None
symbols = log.symbols(folder + "/tiny.elf", cache=False)
assert symbols.function([divergence.place.ip, 5]) == ["kernel_main", None]
names = {call["target_name"] for call in log.calls(["target_name"], symbols=symbols).rows()}
assert {"fibonacci", None} < names, names
try:
    ttlog.open(folder + "/tiny.elf")
except ttlog.LogError as error:
    assert error.file == folder + "/tiny.elf"
else:
    raise AssertionError("an ELF file is no log")
print("Python %d.%d: %r" % (*sys.version_info[:2], log))
