# SPDX-License-Identifier: GPL-2.0-or-later
"""Every public function says what it does, and those that give rows name each column with its type and unit."""

import inspect
import re

import pytest

import ttlog
from conftest import FIXTURES

STREAMS = ("branches", "events", "accesses", "notes", "attributes", "chunks", "damage", "calls", "edges")


def listed(document):
    """The columns of a docstring: name, type, and unit or None."""
    text = re.search(r"Columns: (.*?)\.(?:\s|$)", inspect.cleandoc(document), flags=re.DOTALL)[1]
    found = re.findall(r"`(\w+)`\s+\((\w+)(?:,\s+(\w+))?\)", text)
    assert len(found) == text.count("`") // 2, text
    return [(name, kind, unit or None) for name, kind, unit in found]


@pytest.mark.parametrize("stream", STREAMS)
def test_streams_name_their_columns(stream):
    assert listed(getattr(ttlog.Log, stream).__doc__) == [(column.name, column.type, column.unit) for column in ttlog.columns(stream)]


def test_other_rows_name_their_columns(recording):
    log = ttlog.open(recording)
    symbols = log.symbols(FIXTURES / "tiny.elf")
    units = {"original_brctr": "transitions", "replay_brctr": "transitions", "original_icount": "instructions", "replay_icount": "instructions", "offset": "bytes"}
    for document, source in (
        (ttlog.Divergence.__doc__, ttlog.diverge(log, recording)),
        (ttlog.Symbols.names.__doc__, symbols.names([1])),
        (ttlog.Symbols.frames.__doc__, symbols.frames([1])),
    ):
        fields = [(field.name, re.sub("string", "text", str(field.type).split("<")[0]), units.get(field.name)) for field in source.reader().schema]
        assert listed(document) == fields


def public():
    """Everything that the package gives, and the members of its classes."""
    for name in ttlog.__all__:
        item = getattr(ttlog, name)
        yield name, item
        for member, value in vars(item).items() if inspect.isclass(item) else ():
            function = value.fget if isinstance(value, property) else getattr(value, "__func__", value)
            if not member.startswith("_") and inspect.isfunction(function):
                yield f"{name}.{member}", function


def test_everything_public_has_a_docstring():
    found = list(public())
    assert len(found) > 50
    assert [name for name, item in found if not (item.__doc__ or "").strip()] == []


def test_arguments_that_are_described_are_there():
    for name, item in ((name, item) for name, item in public() if "Args:\n" in (item.__doc__ or "")):
        section = inspect.getdoc(item).split("Args:\n")[1].split("\n\n")[0]
        described = set(re.findall(r"^ {4}(\w+):", section, flags=re.MULTILINE))
        function = item.__init__ if inspect.isclass(item) else item
        assert described and described <= set(inspect.signature(function).parameters), name
