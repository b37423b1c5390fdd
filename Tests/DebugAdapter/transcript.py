# SPDX-License-Identifier: GPL-2.0-or-later
"""What a client and tt-dap have said, as text for people: a request, a response or an event each, with its content as JSON.

What differs from session to session has no place in it: the numbers of the messages, and events about the progress of long ways.
"""

import json
import re

WIDTH = 116

# Counts and addresses that another build of the guest, or another version of QEMU, moves.
MOVING = re.compile(r"0x[0-9a-f]{4,}|\b(?:brctr|icount)\b[^0-9]{1,16}\d+|\b[0-9a-f]{2}(?: [0-9a-f]{2})+\b")


def content(value, indent, used):
    """JSON on one line if there is room, or one member a line."""
    line = json.dumps(value, ensure_ascii=False)
    if used + len(line) <= WIDTH or not isinstance(value, (dict, list)) or not value:
        return line
    inner = " " * (indent + 2)
    if isinstance(value, dict):
        heads = ["%s%s: " % (inner, json.dumps(name)) for name in value]
        rows = [head + content(part, indent + 2, len(head)) for head, part in zip(heads, value.values())]
        ends = "{}"
    else:
        rows = [inner + content(part, indent + 2, len(inner)) for part in value]
        ends = "[]"
    return ends[0] + "\n" + ",\n".join(rows) + "\n" + " " * indent + ends[1]


def row(direction, name, value):
    """One message."""
    head = "%s %s" % (direction, name)
    if direction == "<-":
        message, value = value, value.get("body", {})
        if message["type"] == "event":
            head = "<- event %s" % name
        elif not message["success"]:
            head = "<- %s fails: %s" % (name, message["message"])
    return head + (" " + content(value, 0, len(head) + 1) if value else "")


def replaced(value, replacements):
    """A value with other texts in its strings. The lines of a transcript are then as long in every folder."""
    if isinstance(value, dict):
        return {name: replaced(part, replacements) for name, part in value.items()}
    if isinstance(value, list):
        return [replaced(part, replacements) for part in value]
    if isinstance(value, str):
        for found, put in replacements:
            value = value.replace(found, put)
    return value


def rows(messages, replacements):
    """The messages of a session as text; `replacements` are (text, what the transcript has in its place)."""
    return [row(direction, name, replaced(value, replacements))
            for direction, name, value in messages if not name.startswith("progress")]


def steady(text):
    """A transcript without what moves, for a comparison. Lines may be broken elsewhere."""
    return re.sub(r"\s+", "", MOVING.sub("…", text))
