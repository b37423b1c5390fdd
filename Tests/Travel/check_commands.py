# SPDX-License-Identifier: GPL-2.0-or-later
"""gdb's commands that go back, compared with a forward run. gdb runs this script: tt-gdb RUN -- -batch -x check_commands.py

TT_TRUTH names a JSON file (Tests/EndToEnd/GoingBackTruth.swift): `function`; `entries`, its calls in the run as [brctr, icount,
followed]; `first`, the one of them with which `states` begin: the states of a forward run by single steps, as [icount, rip, rsp];
`rows`, the transitions before it as [brctr, icount, rip]; `process`, whether the states are those of one process; `commands`, how
many of each command are tried; `lines`: `exact` if each line of the source is one stretch of code, `scattered` if not, or `none`.
"""
import json
import os
import re

import gdb

with open(os.environ["TT_TRUTH"]) as file:
    truth = json.load(file)
states = truth["states"]
wrong = []
checks = 0


def equal(found, wanted, what):
    global checks
    checks += 1
    if found != wanted:
        wrong.append("%s: %s, not %s" % (what, found, wanted))


def do(command):
    return gdb.execute(command, False, True)


def where():
    """(brctr, icount) of the guest."""
    text = do("monitor tt where")
    return tuple(int(re.search(name + r" (\d+)", text).group(1)) for name in ("brctr", "icount"))


def register(name):
    return int(gdb.parse_and_eval("(unsigned long)$" + name)) & (2**64 - 1)


def state():
    return [where()[1], register("rip"), register("rsp")]


# What the states show: the depth of calls, and the lines.


def is_call(index):
    """Whether the instruction of a state is a call that enters a function."""
    (_, ip, stack), (_, next_ip, next_stack) = states[index : index + 2]
    return next_stack == stack - 8 and not 0 < next_ip - ip <= 15


def is_return(index):
    (_, ip, stack), (_, next_ip, next_stack) = states[index : index + 2]
    return next_stack == stack + 8 and not 0 < next_ip - ip <= 15


depth = [0]
for index in range(len(states) - 1):
    depth.append(depth[-1] + is_call(index) - is_return(index))
line = [gdb.find_pc_line(ip).line for _, ip, _ in states]


def before(index, over=False):
    """The state before; the one at the same depth before, if calls are passed over."""
    found = index - 1
    while over and found >= 0 and depth[found] > depth[index]:
        found -= 1
    return found


def line_start(index, over):
    """The beginning of the line in which a state is."""
    while True:
        found = before(index, over)
        if found < 0 or depth[found] != depth[index] or line[found] != line[index]:
            return index
        index = found


def line_before(index, over):
    """Where a step back over a line ends. gdb passes over the first line of a function, to the line of the call."""
    start = line_start(index, over)
    if start == index:
        start = line_start(before(index, over), over)
    while start > 0 and is_call(start - 1):
        start = line_start(start - 1, over)
    return start


def caller(index):
    """The call that entered the function."""
    found = index
    while found >= 0 and depth[found] >= depth[index]:
        found -= 1
    return found


def is_last_entry(index):
    """Whether the function was not entered again since it was entered: gdb's reverse-finish goes to the entry before."""
    entry = caller(index) + 1
    return states[entry][1] not in (ip for _, ip, _ in states[entry + 1 : index + 1])


def after_over(index):
    found = index + 1
    while found < len(states) and depth[found] > depth[index]:
        found += 1
    return found


def spread(indices):
    """As many of some states as are tried, from all parts of the stretch."""
    count = truth["commands"]
    return indices if len(indices) <= count else [indices[i * (len(indices) - 1) // (count - 1)] for i in range(count)]


def unique(index):
    """Whether `@ICOUNT` is this state: at an interrupt, it is the one before."""
    do("tt goto @%d" % states[index][0])
    return state() == states[index]


def try_back(command, indices, target):
    done = 0
    for index in spread(indices):
        if not unique(index):
            continue
        do(command)
        equal(state(), states[target(index)], "%s from state %d" % (command, index))
        done += 1
    equal(done > 0, True, command + " was tried")


def try_line_back(command, indices):
    """Lines of optimised code: the guest was there before, and not in a function that was called since."""
    for index in spread(indices):
        if not unique(index):
            continue
        do(command)
        found = state()
        known = found in states
        equal(known or found[0] < states[0][0], True, "%s from state %d leads to a state: %s" % (command, index, found))
        if known:
            equal(states.index(found) < index, True, "%s from state %d leads back" % (command, index))
        if known and command == "reverse-next":
            equal(depth[states.index(found)] <= depth[index], True, "%s from state %d passes over calls" % (command, index))


function = truth["function"]
entries = truth["entries"]
do("set pagination off")

# Goto.
for number in sorted({1, 2, len(entries) // 2, len(entries)}):
    do("tt goto %s:%d" % (function, number))
    equal(list(where()), entries[number - 1][:2], "tt goto %s:%d" % (function, number))
    equal(register("rip"), states[0][1], "the function's address")

# Transitions.
first = truth["first"]
do("tt goto %d" % entries[first][0])
here = len(truth["rows"])
for count in (1, 2, 7, 20):
    do("tt back %d" % count)
    here -= count
    equal([*where(), register("rip")], truth["rows"][here], "tt back %d" % count)

# Continue both ways, over calls of other processes.
do("tt goto %d" % entries[first][0])
if truth["process"]:
    text = do("tt process here")
    equal("the process with its page tables at" in text, True, text)
followed = [entry for entry in entries if entry[2]]
here = followed.index(entries[first])
equal(state(), states[0], "the first state")
do("break *%d" % states[0][1])
for step in [1, 1, 1, -1, -1, -1, -1, -1]:
    if not 0 <= here + step < len(followed):
        continue
    do("continue" if step > 0 else "reverse-continue")
    here += step
    equal(list(where()), followed[here][:2], "continue" if step > 0 else "reverse-continue")
if truth["process"]:
    # All processes count again.
    do("tt process all")
    place = entries.index(followed[here])
    do("continue")
    equal(list(where()), entries[place + 1][:2], "continue in all processes")
    do("reverse-continue")
    equal(list(where()), entries[place][:2], "reverse-continue in all processes")
do("delete")

# Instructions.
do("tt goto %d" % entries[first][0])
if truth["process"]:
    do("tt process here")
for index in range(len(states) - 1):
    equal(state(), states[index], "stepi to state %d" % index)
    do("stepi")
equal(state(), states[-1], "stepi to the last state")
everything = list(range(1, len(states)))
# Returns from the kernel come after instructions that take longer.
jumps = [index for index in everything if states[index][0] - states[index - 1][0] > 1]
if truth["process"]:
    try_back("reverse-stepi", jumps, before)
try_back("reverse-stepi", everything, before)
returns = [index for index in everything if depth[index - 1] > depth[index] and before(index, True) >= 0]
try_back("reverse-nexti", returns, lambda index: before(index, True))
calls = [index for index in everything[:-1] if is_call(index) and after_over(index) < len(states)]
for index in spread(calls):
    if unique(index):
        do("nexti")
        equal(state(), states[after_over(index)], "nexti from state %d" % index)

# Functions and lines. The beginnings of lines whose lines before are in the stretch.
inside = [index for index in everything if caller(index) >= 0 and is_last_entry(index)]
try_back("reverse-finish", inside, caller)
starts = [index for index in everything if line[index] != line[index - 1]]
if truth["lines"] == "exact":
    try_back("reverse-step", [i for i in starts if line_before(i, False) > 0], lambda index: line_before(index, False))
    next_starts = [i for i in starts if before(i, True) >= 0 and line_before(i, True) > 0]
    try_back("reverse-next", next_starts, lambda index: line_before(index, True))
elif truth["lines"] == "scattered":
    try_line_back("reverse-step", starts[len(starts) // 2 :])
    try_line_back("reverse-next", starts[len(starts) // 2 :])

for text in wrong:
    print("wrong: " + text)
print("%d checks" % checks if not wrong else "%d of %d checks failed" % (len(wrong), checks))
