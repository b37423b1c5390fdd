# SPDX-License-Identifier: GPL-2.0-or-later
"""The notebook of docs/notebooks: every cell runs, and its output is the one in the file.

With TT_RECORD_SNAPSHOTS=1 the outputs are written into the notebook, and the test fails. Of a plot its presence counts, and that
it is not empty: its bytes depend on fonts.
"""

import base64
import os
import shutil
import struct
import zlib

import nbclient
import nbformat

from conftest import FIXTURES, ROOT

NOTEBOOK = ROOT / "docs/notebooks/two-runs.ipynb"


def texts(cell):
    """What a cell prints and shows as text."""
    found = []
    for output in cell.outputs:
        if output.output_type == "stream":
            found.append(output.text)
        elif "image/png" not in output.get("data", {}):
            found.append(output["data"]["text/plain"])
    return found


def images(cell):
    return [base64.b64decode(output.data["image/png"]) for output in cell.outputs if "image/png" in output.get("data", {})]


def is_drawn(png):
    """Whether a picture has a size, and more than one colour."""
    width, height = struct.unpack(">II", png[16:24])
    data, place = b"", 8
    while place < len(png):
        size, kind = struct.unpack(">I4s", png[place : place + 8])
        data += png[place + 8 : place + 8 + size] if kind == b"IDAT" else b""
        place += 12 + size
    return width > 300 and height > 200 and len(set(zlib.decompress(data))) > 50


def test_the_notebook(run_folder, monkeypatch):
    for name in ("tiny.elf", "tiny-extra-turn.elf"):
        shutil.copy(FIXTURES / name, run_folder.parent)
    # The kernel is a process of its own; the settings of the user's kernels and plots do not count.
    for name in ("IPYTHONDIR", "MPLCONFIGDIR", "JUPYTER_CONFIG_DIR"):
        monkeypatch.setenv(name, str(run_folder.parent / name))
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    written = [(texts(cell), len(images(cell))) for cell in notebook.cells if cell.cell_type == "code"]
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    nbclient.NotebookClient(notebook, timeout=120, kernel_name="python3", resources={"metadata": {"path": str(run_folder.parent)}}).execute()
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    if os.environ.get("TT_RECORD_SNAPSHOTS"):
        for cell in notebook.cells:
            # Times of the run.
            cell.metadata.pop("execution", None)
        nbformat.write(notebook, NOTEBOOK)
        raise AssertionError("recorded")
    assert [(texts(cell), len(images(cell))) for cell in cells] == written
    assert len(images(cells[-1])) == 1 and is_drawn(images(cells[-1])[0])
    # The numbers that the text of docs/fleets.md has, too.
    assert "control-flow at brctr 1179549, icount 6872726, ip 0x201042" in texts(cells[1])[0]
