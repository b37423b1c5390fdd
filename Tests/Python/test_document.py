# SPDX-License-Identifier: GPL-2.0-or-later
"""How two runs relate, beside the answer of tt-analyze diverge."""

import json
import subprocess

import pytest

import ttlog
from conftest import FIXTURES, tool


#: The fields of the tool's document that the library's does not have: sentences, names, settings, next steps (docs/fleets.md).
#: Names and lines of addresses come with symbol files only, `directory` with a manifest; `mode`, `user` and `program` of what was running are of Linux.
WORDS = {"title", "summary", "commands", "symbolFiles", "causes"}
#: The fields that only the library's has, at each divergence.
ADDED = {"class", "stream"}


def _fields(mine, theirs, place=""):
    """Compares two documents field by field. Returns the names that only one has, and counts what both have."""
    left, right, same = set(), set(), 0
    if isinstance(mine, dict) and isinstance(theirs, dict):
        left, right = set(mine) - set(theirs), set(theirs) - set(mine)
        pairs = [(mine[name], theirs[name], f"{place}.{name}") for name in set(mine) & set(theirs)]
    elif isinstance(mine, list) and isinstance(theirs, list):
        assert len(mine) == len(theirs), place
        pairs = [(*pair, f"{place}[{index}]") for index, pair in enumerate(zip(mine, theirs))]
    else:
        assert mine == theirs, place
        return left, right, 1
    for pair in pairs:
        found = _fields(*pair)
        left, right, same = left | found[0], right | found[1], same + found[2]
    return left, right, same


def _documents(original, replay):
    output = subprocess.run(
        [tool("tt-analyze"), "diverge", "--format", "json", str(original), str(replay)], capture_output=True, text=True
    )
    theirs, answer = json.loads(output.stdout), ttlog.diverge(original, replay)
    assert (theirs.pop("schema"), answer.document.pop("schema")) == ("tt-analyze diverge", "ttlog diverge")
    assert output.returncode == answer.exit_status
    return answer, theirs


@pytest.fixture
def moved(tmp_path):
    """Two logs of events, one of which is at another place in the second."""
    places = []
    for name, clock in (("a", 3), ("b", 4)):
        rows = [{"vcpu": 0, "brctr": str(n), "from": hex(16 * n), "to": hex(16 * n + 16), "class": "jcc", "icount": str(5 * n + 5)} for n in range(40)]
        rows.insert(0, {"kind": "interrupt", "brctr": str(clock), "icount": str(5 * clock), "ip": hex(16 * clock), "vector": 32})
        places.append(tmp_path / f"{name}.jsonl")
        places[-1].write_text("".join(json.dumps(row) + "\n" for row in rows))
    return places


def test_the_document_is_the_tools(run_folder, moved, tmp_path):
    """Every field that both documents have is equal, and the others are those of the lists."""
    bare, plain = tmp_path / "bare.log", tmp_path / "plain.log"
    bare.write_bytes((FIXTURES / "recording.log").read_bytes())
    plain.write_bytes((FIXTURES / "extra-turn.log").read_bytes())
    seen, added, words = {}, set(), set()
    for pair in ((bare, plain), (bare, bare), moved, (bare, moved[0]), (run_folder, run_folder / "replays/1")):
        answer, theirs = _documents(*pair)
        left, right, same = _fields(answer.document, theirs)
        added, words = added | left, words | right
        seen[answer.verdict] = same
    assert added == ADDED and words == WORDS
    assert set(seen) == {"control-flow", "identical", "moved-event", "not-comparable"}
    assert seen["control-flow"] > 300


def test_diverge_is_the_tools_answer(run_folder):
    pair = [str(run_folder), str(run_folder / "replays/1")]
    answer, document = _documents(*pair)
    place = document["vcpus"][0]["divergence"]["original"]
    assert answer.verdict == document["verdict"]
    assert answer.place.brctr == int(place["brctr"])
    assert answer.place.icount == int(place["icount"])
    assert answer.place.ip == int(place["ip"], 16)
    # Without context the place is the same.
    assert ttlog.diverge(*pair, context=0).place == answer.place
    rows = answer.to_arrow().to_pylist()
    assert rows[0]["is_first"] and rows[0]["original_brctr"] == answer.place.brctr and rows[0]["class"] == answer.differs
    assert ttlog.diverge(run_folder, run_folder / "replays/2").is_identical
