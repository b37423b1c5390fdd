#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Generates a man page from a tool's own help.

Usage: TOOL --experimental-dump-help | scripts/generate-manual.py > docs/man/TOOL.1

A command's discussion is plain text: paragraphs, and headings in capitals ("EXAMPLES") whose indented lines are
printed unchanged. The result depends only on the input.
"""
import json
import re
import sys

SEE_ALSO = ["bts-dump", "tt-analyze", "tt-dap", "tt-gdb", "tt-record", "tt-replay"]


def escape(text):
    """Escapes text for roff."""
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return "\n".join("\\&" + line if line[:1] in (".", "'") else line for line in text.split("\n"))


def sections(discussion):
    """The discussion as (heading or None, lines)."""
    found = [(None, [])]
    for line in (discussion or "").split("\n"):
        if re.fullmatch(r"[A-Z][A-Z ]+", line):
            found.append((line, []))
        else:
            found[-1][1].append(line)
    return [(heading, "\n".join(lines).strip("\n")) for heading, lines in found]


def body(text):
    """Formats paragraphs. Indented lines are printed unchanged; indented lines that begin with a number become a list."""
    lines = []
    for paragraph in re.split(r"\n\n+", text):
        rows = paragraph.split("\n")
        if not rows[0].startswith("  "):
            lines += [".PP", escape(paragraph)]
            continue
        if all(re.match(r"  \d ", row) for row in rows):
            for row in rows:
                number, words = row.split(None, 1)
                lines += [".TP", "\\fB%s\\fR" % number, escape(words)]
            continue
        lines += [".PP", ".nf", ".RS 4"] + [escape(row[2:]) for row in rows] + [".RE", ".fi"]
    return lines


def visible(command, kinds):
    return [a for a in command.get("arguments", []) if a.get("shouldDisplay", True) and a["kind"] in kinds]


def flag_name(name):
    return ("-" if name["kind"] == "short" else "--") + name["name"]


def operand(argument):
    text = "\\fI%s\\fR" % escape(argument.get("valueName", "value"))
    if argument.get("isRepeating"):
        text += " ..."
    return "[%s]" % text if argument.get("isOptional") else text


def synopsis(path, command):
    words = ["\\fB%s\\fR" % escape(" ".join(path))]
    if visible(command, ("option", "flag")):
        words.append("[\\fIoptions\\fR]")
    return " ".join(words + [operand(a) for a in visible(command, ("positional",))])


def option(argument):
    names = ", ".join("\\fB%s\\fR" % escape(flag_name(n)) for n in argument.get("names", []))
    if argument["kind"] == "positional":
        names = operand(argument)
    elif argument["kind"] == "option":
        names += " \\fI%s\\fR" % escape(argument.get("valueName", "value"))
    words = argument.get("abstract", "")
    if argument.get("discussion"):
        words += "\n" + argument["discussion"]
    values = argument.get("allValues") or argument.get("allValueStrings")
    notes = []
    if values:
        notes.append("Values: %s." % ", ".join(values))
    if argument.get("defaultValue"):
        notes.append("Default: %s." % argument["defaultValue"])
    return [".TP", names, escape(" ".join([words] + notes).strip())]


def options(command):
    lines = []
    for argument in visible(command, ("positional", "option", "flag")):
        names = [n["name"] for n in argument.get("names", [])]
        if "help" not in names and "version" not in names:
            lines += option(argument)
    return lines


def subcommands(command):
    return [c for c in command.get("subcommands", []) if c["commandName"] != "help" and c.get("shouldDisplay", True)]


def page(command):
    name = command["commandName"]
    parts = sections(command.get("discussion"))
    lines = ['.\\" Made by scripts/generate-docs from the tool\'s own help; do not edit.']
    lines += ['.TH "%s" 1 "" "tt-analyze" "Trace analysis"' % name.upper()]
    lines += [".SH NAME", "%s \\- %s" % (escape(name), escape(command["abstract"].rstrip(".")))]
    lines += [".SH SYNOPSIS"]
    commands = subcommands(command)
    if commands:
        for sub in commands:
            lines += [synopsis([name, sub["commandName"]], sub), ".br"]
        lines.pop()
    else:
        lines += [synopsis([name], command)]
    lines += [".SH DESCRIPTION", escape(command["abstract"])] + body(parts[0][1])
    own = options(command)
    if own:
        lines += [".SH OPTIONS"] + own
    if commands:
        lines += [".SH COMMANDS"]
    for sub in commands:
        lines += [".SS %s" % escape(sub["commandName"]), escape(sub["abstract"])]
        sub_parts = sections(sub.get("discussion"))
        if sub_parts[0][1]:
            lines += body(sub_parts[0][1])
        lines += options(sub)
        for heading, text in sub_parts[1:]:
            lines += [".PP", "\\fI%s\\fR" % escape(heading.capitalize())] + body(text)
    for heading, text in parts[1:]:
        lines += [".SH %s" % heading] + body(text)
    others = [other for other in SEE_ALSO if other != name]
    lines += [".SH SEE ALSO", ", ".join("\\fB%s\\fR(1)" % escape(other) for other in others)]
    return "\n".join(lines) + "\n"


def main():
    sys.stdout.write(page(json.load(sys.stdin)["command"]))


if __name__ == "__main__":
    main()
