# SPDX-License-Identifier: GPL-2.0-or-later
"""The table of rooms and the picture in docs/design.md."""
import re

PATH = "docs/design.md"
HEADING = re.compile(r"^\|\s*room\s*\|.*\|\s*imports\s*\|\s*$")
BEGIN = "<!-- picture: made by scripts/rooms -->"
END = "<!-- end of the picture -->"


def read_table():
    """Room → the names that it may import, in the table's order. One row may describe several rooms."""
    table, in_table = {}, False
    with open(PATH, encoding="utf-8") as file:
        for line in file:
            if HEADING.match(line):
                in_table = True
            elif in_table and not line.startswith("|"):
                break
            elif in_table and not line.startswith("| ---"):
                cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
                rooms = re.findall(r"`([^`]+)`", cells[0])
                for room in rooms:
                    table[room.rstrip("/").split("/")[-1]] = set(re.findall(r"[A-Za-z][\w-]*", cells[-1]))
    return table


def reduced(graph):
    """The graph without the arrows that follow from others."""

    def reach(start, seen):
        for name in graph.get(start, ()):
            if name not in seen:
                seen.add(name)
                reach(name, seen)
        return seen

    return {
        name: sorted(t for t in targets if not any(t in reach(other, set()) for other in targets if other != t))
        for name, targets in graph.items()
    }


def picture(package):
    """The rooms as a Mermaid graph: an arrow points from a room to one that it imports. Arrows that follow from
    others are left out, and so are the bindings of system libraries."""
    rooms = {t.name: t for t in package.rooms() if t.kind != "system"}
    graph = reduced({name: [d for d in t.declared if d in rooms] for name, t in rooms.items()})
    lines = [BEGIN, "```mermaid", "flowchart TB"]
    groups = [("tools", [n for n, t in rooms.items() if t.kind == "executable"])]
    groups += [("libraries", [n for n, t in rooms.items() if t.kind != "executable"])]
    for title, names in groups:
        lines += ["    subgraph %s" % title] + ["        %s" % n for n in names] + ["    end"]
    for name in rooms:
        lines += ["    %s --> %s" % (name, other) for other in graph[name]]
    return "\n".join(lines + ["```", END])


def split():
    """docs/design.md as (before the picture, the picture, after it)."""
    with open(PATH, encoding="utf-8") as file:
        text = file.read()
    start, end = text.find(BEGIN), text.find(END)
    if start < 0 or end < start:
        raise ValueError("%s has no place for the picture: expected %s and %s" % (PATH, BEGIN, END))
    end += len(END)
    return text[:start], text[start:end], text[end:]


def update_picture(package):
    before, _, after = split()
    with open(PATH, "w", encoding="utf-8") as file:
        file.write(before + picture(package) + after)
