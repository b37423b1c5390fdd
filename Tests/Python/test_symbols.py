# SPDX-License-Identifier: GPL-2.0-or-later
"""Names of addresses beside those of the tools."""

import csv
import hashlib
import json
import os
import shutil
import struct
import subprocess
import warnings

import numpy
import pandas
import polars
import pyarrow
import pytest

import ttlog
from conftest import FIXTURES, ROOT, run_in_children, tool, tool_rows, unsigned
from runs import make_run

ELF = str(FIXTURES / "tiny.elf")


@pytest.fixture(scope="module")
def log():
    return ttlog.open(FIXTURES / "recording.log")


@pytest.fixture(scope="module")
def symbols(log):
    return log.symbols(ELF)


def test_names_are_those_of_bts_dump(log, symbols):
    """Every edge of the log: its addresses are all that branches have."""
    rows = subprocess.run(
        [tool("bts-dump"), "--edges", "--symbols", ELF, "--format", "csv", log.path], check=True, capture_output=True, text=True
    ).stdout
    expected = list(csv.DictReader(rows.splitlines()))
    edges = log.edges(["from", "to", "from_name", "to_name", "from_line", "to_line"], symbols=symbols).to_arrow().to_pylist()
    found = {(unsigned(edge["from"]), unsigned(edge["to"])): edge for edge in edges}
    assert len(expected) >= len(found) > 50
    named = 0
    for row in expected:
        edge = found[int(row["from"], 16), int(row["to"], 16)]
        for side in ("from", "to"):
            assert (edge[f"{side}_name"] or "") == row[f"{side}_symbol"]
            assert (edge[f"{side}_line"] or "") == row[f"{side}_source"]
            named += edge[f"{side}_name"] is not None
    assert named > 50


def test_every_stream_has_names(log, symbols):
    branches = log.branches(symbols=symbols, start=1_179_000, stop=1_180_000)
    assert branches.columns[-2:] == ["from_name", "to_name"]
    table = branches.to_arrow()
    table.validate(full=True)
    rows = table.to_pylist()
    assert [row["to_name"] for row in rows] == symbols.name([row["to"] for row in rows])
    assert {row["to_name"] for row in rows} - {None}
    calls = log.calls(symbols=ELF).to_arrow().to_pylist()
    assert [call["target_name"] for call in calls] == symbols.name([call["target"] for call in calls])
    events = log.events(kind="interrupt", symbols=symbols)
    assert {"ip_name", "handler_name"} <= set(events.columns)
    events.to_arrow().validate(full=True)
    # Files are read once for a log.
    assert log._symbols_of(ELF) is log._symbols_of([ELF])
    # A stream without addresses of code has no names, and one without symbols neither.
    assert log.chunks(symbols=symbols).columns == log.chunks().columns
    with pytest.raises(ttlog.LogError, match="no column to_name"):
        log.branches(["to_name"])
    with pytest.raises(ttlog.LogError, match="no column kind_name"):
        log.branches(["kind_name"], symbols=symbols)


def test_names_alone_decode_what_they_need(log, symbols):
    whole = log.branches(["to", "from", "kind"], stop=70_000).to_arrow()
    for columns in (["to_name"], ["kind", "from_function", "to_name"], ["to_name", "to"], ["to_line", "to_name", "to_function"]):
        table = log.branches(columns, symbols=symbols, stop=70_000).to_arrow()
        assert table.column_names == columns and table.num_rows == whole.num_rows
        table.validate(full=True)
    names = log.branches(["to_name"], symbols=symbols, stop=70_000).to_arrow()["to_name"]
    assert names.to_pylist()[69_000:] == symbols.name(whole["to"].to_pylist()[69_000:])
    plain = log.branches(["to_name"], symbols=symbols, stop=70_000, strings="plain").to_arrow()["to_name"]
    assert plain.type == pyarrow.string() and plain.to_pylist() == names.to_pylist()


def test_arrays_of_all_kinds(log, symbols):
    addresses = log.edges(["to"]).to_arrow()["to"].to_pylist()[:300]
    expected = symbols.name(addresses)
    assert len(expected) == 300 and any(expected)
    assert symbols.name([address & (2**64 - 1) for address in addresses]) == expected
    assert [symbols.name(address) for address in addresses[:20]] == expected[:20]
    arrays = [
        pyarrow.array(addresses), pyarrow.chunked_array([addresses[:7], addresses[7:]]), pyarrow.array(addresses, pyarrow.int64()).view(pyarrow.uint64()),
        numpy.array(addresses), pandas.Series(addresses), polars.Series(addresses), pyarrow.concat_arrays([pyarrow.array([1]), pyarrow.array(addresses)]).slice(1),
    ]
    for array in arrays:
        names = symbols.name(array)
        names.validate(full=True)
        assert isinstance(names, pyarrow.DictionaryArray)
        assert names.to_pylist() == expected
        assert len(set(names.dictionary.to_pylist())) == len(names.dictionary)
    # Unknown addresses, an address that is null, none at all.
    assert symbols.name([None, addresses[0], 5]) == [None, expected[0], None]
    assert symbols.name(pyarrow.array([None, addresses[0], None, 5])).to_pylist() == [None, expected[0], None, None]
    assert symbols.name(pyarrow.array([None, None, addresses[0]])[1:]).to_pylist() == [None, expected[0]]
    assert symbols.name([]) == [] and symbols.name(pyarrow.array([], pyarrow.int64())).to_pylist() == []
    assert symbols.name(5) is None
    # More than one batch.
    many = pyarrow.array(addresses * 500)
    assert symbols.name(many).to_pylist() == expected * 500
    with pytest.raises(TypeError, match="64-bit integers"):
        symbols.name(numpy.array([1.5]))


def test_frames_are_those_of_bts_dump(log, symbols):
    rows = tool_rows("bts-dump", "--range", "1179500:1179700", "--symbols", ELF, log.path)
    expected = {int(row["to"], 16): row["toPlace"] for row in rows if row["toPlace"]}
    assert expected
    addresses = list(expected)
    found = symbols.frames(addresses).to_arrow().to_pylist()
    by_row = {}
    for frame in found:
        assert frame["address"] == addresses[frame["row"]]
        by_row.setdefault(frame["row"], []).append(frame)
    for row, frames in by_row.items():
        assert [frame["depth"] for frame in frames] == list(range(len(frames)))
        theirs = expected[addresses[row]]["frames"]
        mine = [(frame["function"], frame["file"], frame["line"] or 0, frame["is_inlined"]) for frame in frames]
        if theirs:
            assert mine == [(frame["function"], frame["file"], frame["line"], frame["inlined"]) for frame in theirs]
    assert len(by_row) == len(addresses)
    assert symbols.frames(addresses, ["function"]).to_arrow().column_names == ["function"]
    assert symbols.frames([5]).to_arrow().num_rows == 0


def test_places(log, tmp_path):
    """A slide that is given, one for a range, and what is said about a file that does not belong to the log."""
    import duckdb

    plain = log.symbols(ELF)
    with pytest.warns(ttlog.SymbolWarning):
        moved = log.symbols(f"{ELF}+0x1000", cache=False)
    address = next(one for one in log.edges(["to"]).to_arrow()["to"].to_pylist() if plain.name(one))
    assert moved.name(address + 0x1000) == plain.name(address)
    assert moved.files[0].slide == 0x1000 and moved.files[0].path == ELF
    assert address in plain.files[0].addresses
    limited = log.symbols(f"{ELF},{address}:{address + 1}")
    assert limited.name(address) == plain.name(address) and limited.name(address + 1) is None
    names = plain.names([address])
    assert duckdb.sql("SELECT name FROM names").fetchall() == [(plain.name(address),)]
    with pytest.warns(ttlog.SymbolWarning, match="does not belong"):
        log.symbols(f"{ELF}+0x10")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        log.symbols(ELF)


def test_wrong_files(log, tmp_path):
    text = tmp_path / "text"
    text.write_text("no symbols here\n")
    for path in (text, tmp_path / "absent"):
        with pytest.raises(ttlog.LogError) as error:
            log.symbols(path)
        assert error.value.file == str(path)
    with pytest.raises(ttlog.LogError, match="slide"):
        log.symbols(ELF, kaslr="much")
    with pytest.raises(ValueError, match="no symbol file"):
        ttlog.Symbols(log)
    with pytest.raises(ttlog.LogError, match="no column nam"):
        log.symbols(ELF).names([1], ["nam"])


def names_of_edges(log, symbols):
    """The names of both addresses of all edges."""
    edges = log.edges(["from", "to", "from_name", "to_name"], symbols=symbols).to_arrow().to_pylist()
    return {(unsigned(edge["from"]), unsigned(edge["to"])): (edge["from_name"] or "", edge["to_name"] or "") for edge in edges}


def names_of_bts_dump(*arguments):
    """The same, as bts-dump prints them."""
    command = [tool("bts-dump"), "--edges", "--format", "csv", *map(str, arguments)]
    rows = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return {
        (int(row["from"], 16), int(row["to"], 16)): (row["from_symbol"], row["to_symbol"])
        for row in csv.DictReader(rows.splitlines())
    }


def write_manifest(folder, kernel, **changes):
    identity = {"path": str(kernel), "size": str(kernel.stat().st_size), "sha256": hashlib.sha256(kernel.read_bytes()).hexdigest()}
    files = [{"role": "initrd", "identity": identity | {"path": "/nowhere"}}, {"role": "kernel", "identity": identity | changes}]
    (folder / "manifest.json").write_text(json.dumps({"schema": "tt-analyze manifest", "schemaVersion": 2, "files": files}))


def test_the_kernel_of_the_manifest(tmp_path):
    """As bts-dump: without a file, the run's own kernel, where it was or beside the run."""
    folder, elf = make_run(tmp_path), tmp_path / "kernel.elf"
    shutil.copy(ELF, elf)
    run = ttlog.open(folder)
    with pytest.raises(ttlog.LogError, match="no manifest names the kernel"):
        run.symbols()
    for kernel in (elf, folder / "kernel.elf"):
        write_manifest(folder, elf, path=str(kernel))
        names = names_of_edges(run, run.symbols())
        assert names == names_of_edges(run, True) == names_of_bts_dump("--symbols", ELF, folder)
        assert [os.path.realpath(file.path) for file in run.symbols().files] == [str(elf)]
    for changes, problem in [({"sha256": "0" * 64}, "is not the kernel"), ({"size": "1"}, "is not the kernel"), ({"path": "/nowhere/x"}, "not there")]:
        write_manifest(folder, elf, **changes)
        with pytest.raises(ttlog.LogError, match=problem):
            run.symbols()
    for text in ("{}", "[]", "{", '{"schema": "tt-analyze manifest", "files": [{"role": "kernel"}]}', "\xff"):
        (folder / "manifest.json").write_bytes(text.encode("latin-1"))
        with pytest.raises(ttlog.LogError, match="is damaged"):
            run.symbols()
    (folder / "manifest.json").write_text('{"schema": "tt-analyze manifest", "files": []}')
    with pytest.raises(ttlog.LogError, match="names no kernel"):
        run.symbols()
    (folder / "manifest.json").unlink()
    os.mkfifo(folder / "manifest.json")
    with pytest.raises(ttlog.LogError, match="no manifest names the kernel"):
        run.symbols()


def name_machine(path, monkeypatch):
    """Writes x86-64 into the header of a log; imported rows do not name the machine."""
    monkeypatch.syspath_prepend(ROOT / "Tests/SecondReader")
    from checksums import crc32c_of_structure

    data = bytearray(path.read_bytes())
    struct.pack_into("<H", data, 20, 62)
    struct.pack_into("<I", data, 12, crc32c_of_structure(bytes(data[:4096]), 12))
    path.write_bytes(data)


def test_a_kernel_with_a_slide(tmp_path, monkeypatch):
    """Calls between functions that ran 0x9200000 higher than the table has them."""
    base, slide = 0xFFFFFFFF81000000, 0x9200000
    starts = [base + 64 * index * (index + 3) for index in range(80)]
    (tmp_path / "System.map").write_text("".join(f"{start:016x} T function_{index}\n" for index, start in enumerate(starts)))
    rows = []
    for index, start in enumerate(starts[1:]):
        rows.append({"vcpu": 0, "brctr": str(index), "from": hex(starts[index] + slide + 8), "to": hex(start + slide), "class": "call"})
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    subprocess.run([tool("tt-analyze"), "import", tmp_path / "rows.jsonl", "-o", tmp_path / "kaslr.log"], check=True, capture_output=True)
    name_machine(tmp_path / "kaslr.log", monkeypatch)
    log = ttlog.open(tmp_path / "kaslr.log")
    assert log.is_complete
    with pytest.warns(ttlog.SymbolWarning, match="no DWARF"):
        symbols = log.symbols(tmp_path / "System.map", cache=False)
    assert [file.slide for file in symbols.files] == [slide] and any("KASLR" in note for note in symbols.notes)
    names = names_of_edges(log, symbols)
    assert names[starts[4] + slide + 8, starts[5] + slide] == ("function_4+0x8", "function_5")
    assert names == names_of_bts_dump("--no-cache", "--symbols", tmp_path / "System.map", log.path)
    with pytest.warns(ttlog.SymbolWarning, match="no DWARF"):
        fixed = log.symbols(tmp_path / "System.map", kaslr=slide, cache=False)
    assert names_of_edges(log, fixed) == names


MUTATED = """
import random, sys, warnings, ttlog
seed, path, elf, count, folder = int(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4]), sys.argv[5]
warnings.simplefilter("ignore")
data = open(elf, "rb").read()
log = ttlog.open(path)
addresses = log.edges(["to"]).to_arrow()["to"]
named = errors = 0
for number in range(count):
    rnd = random.Random(seed * 100_000 + number)
    copy = bytearray(data)
    for _ in range(rnd.choice((1, 4, 64, 1024))):
        copy[rnd.randrange(rnd.choice((64, len(copy))))] = rnd.choice((0, 1, 127, 128, 255, rnd.randrange(256)))
    if rnd.random() < 0.2:
        del copy[rnd.randrange(len(copy)) :]
    name = folder + "/%d.elf" % seed
    with open(name, "wb") as file:
        file.write(copy)
    try:
        symbols = log.symbols(name, cache=False)
        texts = symbols.name(addresses)
        texts.validate(full=True)
        named += len(texts) - texts.null_count
        symbols.frames(addresses.to_pylist()).to_arrow().validate(full=True)
    except ttlog.LogError:
        errors += 1
symbols = None
assert named > 0 and errors > 0
print("whole", count, named, errors)
"""


def test_mutated_symbol_files(log, tmp_path):
    run_in_children(MUTATED, log.path, ELF, 60, tmp_path)


def test_bundles(run_folder, tmp_path, monkeypatch):
    bundle = tmp_path / "bug.ttbug"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    made = subprocess.run(
        [tool("tt-analyze"), "report", run_folder, run_folder / "replays/1", "--symbols", ELF, "--window", "1000", "-o", bundle],
        capture_output=True, text=True,
    )
    assert made.returncode == 1, made.stderr
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(ttlog.LogError, match="not on PATH"):
        ttlog.open(bundle)
    monkeypatch.setenv("PATH", str(tmp_path / "bin") + ":/usr/bin:/bin")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/tt-analyze").symlink_to(tool("tt-analyze"))
    opened = ttlog.open(bundle)
    assert isinstance(opened, ttlog.Bundle) and opened.verdict == "control-flow" and opened.verdict in repr(opened)
    assert 1000 <= opened.vcpus[0].branches < 100_000
    answer = ttlog.diverge(opened, opened.replay(opened.replays[0]))
    whole = ttlog.diverge(run_folder, run_folder / "replays/1")
    assert (answer.verdict, answer.place) == (opened.verdict, whole.place)
    # The pieces of symbol files in it name what they were made for.
    names = opened.symbols()
    assert names.name(whole.place.ip) == ttlog.open(run_folder).symbols(ELF).name(whole.place.ip) is not None
    # It is open although the cache is gone.
    shutil.rmtree(tmp_path / "cache")
    assert opened.branches(["to"]).to_arrow().num_rows == opened.vcpus[0].branches
    # Hostile bytes are refused by the tool, with its words.
    data = bytearray(bundle.read_bytes())
    data[len(data) // 2] ^= 0xFF
    (tmp_path / "spoilt.ttbug").write_bytes(data)
    with pytest.raises(ttlog.LogError, match="spoilt.ttbug") as error:
        ttlog.open(tmp_path / "spoilt.ttbug")
    assert error.value.file == str(tmp_path / "spoilt.ttbug")
