# SPDX-License-Identifier: GPL-2.0-or-later
"""The C interface: its header, its example, its exported symbols."""

import collections
import os
import re
import shutil
import subprocess

import pytest

import ttlog
from conftest import ROOT, unsigned
from ttlog._library import library

HEADERS = ROOT / "Sources/CArrow/include"


def test_the_example(tmp_path, recording, written):
    program = tmp_path / "count"
    flags = ["-std=c11", "-Wall", "-Wextra", "-Werror", "-I", str(HEADERS)]
    path = library().path
    subprocess.run(["cc", *flags, str(ROOT / "Examples/arrow/count.c"), path, f"-Wl,-rpath,{path.rsplit('/', 1)[0]}", "-o", program], check=True)

    def count(log):
        return subprocess.run([program, log], capture_output=True, text=True)

    assert count(recording).stdout == f"{ttlog.open(recording).vcpus[0].branches} branches, 0 to kernel addresses\n"
    assert count(written).stdout == "200 branches, 0 to kernel addresses\n"
    failed = count("/nonexistent")
    assert failed.returncode == 2 and "cannot be opened" in failed.stderr


@pytest.mark.skipif(shutil.which("rustc") is None, reason="no rustc")
def test_the_example_in_rust(tmp_path, recording, written):
    program = tmp_path / "targets"
    folder = os.path.dirname(library().path)
    flags = ["-O", "--edition", "2021", "-D", "warnings", "-L", folder, "-l", "ttlogarrow", "-C", f"link-arg=-Wl,-rpath,{folder}"]
    subprocess.run(["rustc", *flags, ROOT / "Examples/arrow/targets.rs", "-o", program], check=True)

    def targets(log):
        return subprocess.run([program, log], capture_output=True, text=True)

    for log in (recording, written):
        counts = collections.Counter(ttlog.open(log).branches(["to"]).to_arrow()["to"].to_pylist())
        expected = sorted((-count, unsigned(target)) for target, count in counts.items())[:3]
        assert targets(log).stdout == "".join(f"{target:#x} {-count}\n" for count, target in expected)
    cut = tmp_path / "cut.log"
    cut.write_bytes(open(recording, "rb").read()[:50_000])
    failed = targets(cut)
    assert failed.returncode == 2 and failed.stdout == "" and "cut short" in failed.stderr


def test_the_header_compiles_as_cpp(tmp_path):
    source = tmp_path / "header.cpp"
    source.write_text('#include "ttlogarrow.h"\nint main() { return ttla_abi_version() == TTLA_ABI_VERSION ? 0 : 1; }\n')
    subprocess.run(["c++", "-Wall", "-Werror", "-fsyntax-only", "-I", HEADERS, source], check=True)


def test_the_library_exports_the_header_and_nothing_else():
    text = re.sub(r"/\*.*?\*/", "", (HEADERS / "ttlogarrow.h").read_text(), flags=re.DOTALL)
    declared = set(re.findall(r"\b(ttla_\w+)\(", text))
    output = subprocess.run(["nm", "-D", "--defined-only", library().path], check=True, capture_output=True, text=True).stdout
    entries = [line.split()[-2:] for line in output.splitlines()]
    exported = {name.split("@")[0] for kind, name in entries if kind.isupper() and kind != "A"}
    assert exported == declared


def test_the_library_needs_no_swift_and_no_new_glibc():
    output = subprocess.run(["readelf", "-dV", library().path], check=True, capture_output=True, text=True).stdout
    needed = set(re.findall(r"Shared library: \[(.*?)\]", output))
    assert needed <= {"libc.so.6", "libm.so.6", "libstdc++.so.6", "libgcc_s.so.1", "ld-linux-x86-64.so.2"}
    assert max(tuple(map(int, version.split("."))) for version in re.findall(r"GLIBC_([\d.]+)", output)) <= (2, 34)
