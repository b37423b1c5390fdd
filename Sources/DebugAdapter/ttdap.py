# SPDX-License-Identifier: GPL-2.0-or-later
"""gdb's part of tt-dap: the MI command `-tt-dap REQUEST`, which reads frames, variables and code and keeps breakpoints.

REQUEST is base64 of a JSON object; its member `do` names a function below, the others are its arguments. The answer is
`^done,answer="…"` with base64 of JSON. An error is text for the user. Of a request that moves the guest, gdb answers
`^running` only; the request `last` gives its answer. Numbers of frames and variables are valid until the guest moves.
"""
import base64
import json
import os
import re

import gdb

MOST_ROWS = 1000  # rows of one answer
MOST_REFERENCES = 100_000  # values that a client may have expanded at one stop
MOST_TEXT = 4096  # characters of one value
MOST_SUMMARY = 4096  # bytes of an array that is shown in one line

STRUCTURES = (gdb.TYPE_CODE_STRUCT, gdb.TYPE_CODE_UNION)
NUMBERS = (gdb.TYPE_CODE_INT, gdb.TYPE_CODE_ENUM, gdb.TYPE_CODE_BOOL, gdb.TYPE_CODE_CHAR, gdb.TYPE_CODE_FLAGS)
POINTERS = (gdb.TYPE_CODE_PTR, gdb.TYPE_CODE_REF, gdb.TYPE_CODE_RVALUE_REF)
ERRORS = (gdb.error, RuntimeError, ValueError, TypeError, KeyError)


class Stop:
    """What is known of the present stop."""

    def __init__(self):
        self.serial = 1  # the last number that was given out: numbers of an earlier stop stay unknown
        self.moves = 0  # times that the guest has stopped
        self.moved()
        gdb.events.stop.connect(self.stopped)
        gdb.events.cont.connect(lambda event: self.moved())

    def moved(self):
        self.frames = []  # from the newest one
        self.levels = {}  # number of a frame: level
        self.numbers = {}  # level: number of the frame
        self.lists = {}  # number of a list of variables: function
        self.places = {}  # (number of a list, name): (address, size, text)
        self.event = None

    def stopped(self, event):
        self.moved()
        self.moves += 1
        self.event = event

    def number(self):
        self.serial += 1
        return self.serial

    def frame(self, level):
        """The frame at a level; None after the outermost one."""
        if not self.frames:
            self.frames.append(gdb.newest_frame())
        while len(self.frames) <= level:
            try:
                older = self.frames[-1].older()
            except ERRORS:
                older = None
            # A return address of 0 ends the stack of many kernels.
            if older is None or older.pc() == 0:
                return None
            self.frames.append(older)
        return self.frames[level]

    def frame_number(self, level):
        if level not in self.numbers:
            self.numbers[level] = self.number()
            self.levels[self.numbers[level]] = level
        return self.numbers[level]

    def select(self, number):
        """Selects the frame with this number, or the newest one."""
        if number is not None and number not in self.levels:
            raise gdb.GdbError("this frame belongs to an earlier stop")
        frame = self.frame(self.levels.get(number, 0))
        frame.select()
        return frame

    def list(self, function):
        """A number for rows that are made when the client asks for them."""
        if len(self.lists) >= MOST_REFERENCES:
            raise gdb.GdbError("too many values are expanded")
        number = self.number()
        self.lists[number] = function
        return number


stop = Stop()


def monitor(command):
    return gdb.execute("monitor " + command, False, True)


def unsigned(value):
    return int(value) & (2**64 - 1)


# Frames


sources = set()  # the source files whose names the client has


def line_of(sal):
    """The place in a source file, if there is one."""
    if sal.symtab is None or sal.line <= 0:
        return {}
    path = sal.symtab.fullname()
    sources.add(path)
    return {"path": path, "line": sal.line, "exists": os.path.isfile(path)}


def describe_frame(frame, level):
    row = {"id": stop.frame_number(level), "name": frame.name() or "??", "pc": hex(unsigned(frame.pc()))}
    row["inlined"] = frame.type() == gdb.INLINE_FRAME
    row.update(line_of(frame.find_sal()))
    return row


def do_stack(start=0, levels=0):
    rows = []
    last = min(levels or MOST_ROWS, MOST_ROWS) + start
    level = start
    while level < last:
        frame = stop.frame(level)
        if frame is None:
            return {"frames": rows, "total": level}
        rows.append(describe_frame(frame, level))
        level += 1
    return {"frames": rows, "total": level + (stop.frame(level) is not None)}


def do_stop():
    """Why and where the guest has stopped."""
    event = stop.event
    answer = {"hits": [], "kind": "step"}
    if isinstance(event, gdb.BreakpointEvent):
        answer["hits"] = [point.number for point in event.breakpoints]
        data = (gdb.BP_WATCHPOINT, gdb.BP_HARDWARE_WATCHPOINT, gdb.BP_READ_WATCHPOINT, gdb.BP_ACCESS_WATCHPOINT)
        answer["kind"] = "data" if any(point.type in data for point in event.breakpoints) else "breakpoint"
    elif isinstance(event, gdb.SignalEvent):
        answer["kind"] = event.stop_signal
    answer["hasLine"] = "line" in describe_frame(stop.frame(0), 0)
    return answer


# Values


def strip(kind):
    return kind.strip_typedefs()


def text_of(value, hexadecimal=False):
    """A value in one line. What cannot be read is text too."""
    try:
        if value.is_optimized_out:
            return "<optimized out>"
        kind = strip(value.type)
        if kind.code in STRUCTURES:
            return "{…}"
        if kind.code == gdb.TYPE_CODE_ARRAY and kind.sizeof > MOST_SUMMARY:
            return "{…}"
        options = {"max_depth": 1}
        if hexadecimal and kind.code in NUMBERS:
            options["format"] = "x"
        if kind.code == gdb.TYPE_CODE_ARRAY and strip(kind.target()).sizeof != 1:
            options["max_elements"] = 8
        text = value.format_string(**options)
        return text if len(text) <= MOST_TEXT else text[:MOST_TEXT] + "…"
    except ERRORS as error:
        return "<%s>" % error


def target_to_show(kind):
    """The type that a pointer leads to, if it has something to show."""
    target = strip(kind.target())
    if target.code in (gdb.TYPE_CODE_VOID, gdb.TYPE_CODE_FUNC) or target.sizeof == 1 and target.code in NUMBERS:
        return None
    return target if target.sizeof > 0 else None


def count_of(kind):
    """The number of elements of an array's type; 0 for one without a length."""
    try:
        low, high = kind.range()
    except ERRORS:
        return 0
    return max(0, high - low + 1)


def row_of(name, value, path, hexadecimal=False):
    """A variable as DAP has it; its members are listed when the client asks for them."""
    row = {"name": name, "value": text_of(value, hexadecimal), "variablesReference": 0}
    try:
        kind = strip(value.type)
        row["type"] = str(value.type)
        if value.is_optimized_out:
            return row
        if path:
            row["evaluateName"] = path
        if kind.code == gdb.TYPE_CODE_PTR and not value.is_lazy:
            row["memoryReference"] = hex(unsigned(value))
        elif value.address is not None:
            row["memoryReference"] = hex(unsigned(value.address))
        if kind.code == gdb.TYPE_CODE_ARRAY:
            row["indexedVariables"] = count_of(kind)
            expands = row["indexedVariables"] > 0
        elif kind.code in POINTERS:
            expands = target_to_show(kind) is not None and (kind.code != gdb.TYPE_CODE_PTR or int(value) != 0)
        else:
            expands = kind.code in STRUCTURES and bool(kind.fields())
        if expands:
            row["variablesReference"] = stop.list(lambda *page: members(value, path or "", page, hexadecimal))
    except ERRORS:
        pass
    return row


def members(value, path, page, hexadecimal):
    """Rows of the members of a structure, of the elements of an array, or of what a pointer leads to."""
    kind = strip(value.type)
    if kind.code == gdb.TYPE_CODE_ARRAY:
        return elements(value, kind, path, page, hexadecimal)
    if kind.code in POINTERS:
        target = target_to_show(kind)
        inner = value.dereference() if kind.code == gdb.TYPE_CODE_PTR else value.referenced_value()
        if target.code not in STRUCTURES:
            name = "*" + path if path else "*"
            return [(name, inner, "*(%s)" % path if path else "", hexadecimal)]
        path = "(*(%s))" % path if path and kind.code == gdb.TYPE_CODE_PTR else path
        (value, kind) = (inner, target)
    rows = []
    for field in kind.fields()[: MOST_ROWS + 1]:
        if field.is_base_class:
            rows.append((field.name, value[field], path, hexadecimal))
        elif field.name:
            inner = "%s.%s" % (path, field.name) if path else ""
            rows.append((field.name, value[field], inner, hexadecimal))
        else:
            rows.append(("<anonymous>", value[field], path, hexadecimal))
    return rows


def elements(value, kind, path, page, hexadecimal):
    start, count, _ = page
    total = count_of(kind)
    low = kind.range()[0]
    start = min(max(start, 0), total)
    count = min(count or MOST_ROWS + 1, total - start, MOST_ROWS + 1)
    return [
        ("[%d]" % (low + index), value[low + index], "%s[%d]" % (path, low + index) if path else "", hexadecimal)
        for index in range(start, start + count)
    ]


def do_variables(reference, start=0, count=0, filter="", hexadecimal=False):
    if reference not in stop.lists:
        raise gdb.GdbError("these variables belong to an earlier stop")
    rows = []
    for item in stop.lists[reference](start, count, filter):
        if len(rows) == MOST_ROWS:
            rows.append({"name": "…", "value": "more: ask for pages", "variablesReference": 0})
            break
        if isinstance(item, dict):
            rows.append(item)
            continue
        name, value, path, was_hexadecimal = item
        row = row_of(name, value, path, hexadecimal or was_hexadecimal)
        remember_place(reference, name, value, path)
        rows.append(row)
    return {"variables": rows}


def remember_place(reference, name, value, path):
    """What a watchpoint on this variable needs."""
    try:
        if value.address is not None:
            place = (unsigned(value.address), value.type.sizeof, path or name)
            stop.places[reference, name] = place
    except ERRORS:
        pass


# Scopes


def symbols_of(frame):
    """The variables of a frame's function, the innermost block first. Hidden ones are left out."""
    seen = set()
    try:
        block = frame.block()
    except ERRORS:
        return
    while block is not None and not block.is_global and not block.is_static:
        for symbol in block:
            if (symbol.is_argument or symbol.is_variable) and symbol.name not in seen:
                seen.add(symbol.name)
                yield symbol, block
        if block.function is not None:
            return
        block = block.superblock


def variable_rows(frame, arguments):
    rows = []
    for symbol, block in symbols_of(frame):
        if symbol.is_argument == arguments:
            try:
                rows.append((symbol.name, frame.read_var(symbol, block), symbol.name, False))
            except ERRORS as error:
                rows.append({"name": symbol.name, "value": "<%s>" % error, "variablesReference": 0})
    return rows


def register_rows(frame, group):
    rows = []
    for register in frame.architecture().registers(group):
        try:
            value = frame.read_register(register)
        except ERRORS:
            continue
        row = row_of(register.name, value, "$" + register.name, strip(value.type).code == gdb.TYPE_CODE_INT)
        if row["value"].startswith("0x"):
            row["memoryReference"] = row["value"].split()[0]
        rows.append(row)
    return rows


def registers(frame):
    rows = register_rows(frame, "general")
    for group in ("float", "vector", "system"):
        rows.append(
            {
                "name": group,
                "value": "",
                "variablesReference": stop.list(lambda *_, group=group: register_rows(frame, group)),
            }
        )
    return rows


def position():
    """The place in the log."""
    text = monitor("tt where").strip()
    rows = []
    for part in text.split(", "):
        name, _, value = part.partition(" ")
        rows.append({"name": name, "value": value, "variablesReference": 0})
    return rows


def do_scopes(frame):
    found = stop.select(frame)
    scopes = []
    for name, arguments in (("Arguments", True), ("Locals", False)):
        if any(symbol.is_argument == arguments for symbol, _ in symbols_of(found)):
            number = stop.list(lambda *_, arguments=arguments: variable_rows(found, arguments))
            scopes.append({"name": name, "variablesReference": number, "expensive": False})
            scopes[-1]["presentationHint"] = name.lower()
    scopes.append({"name": "Position", "variablesReference": stop.list(lambda *_: position()), "expensive": False})
    # Many, and last: an editor reads them when they are opened.
    scopes.append({"name": "Registers", "variablesReference": stop.list(lambda *_: registers(found))})
    scopes[-1].update(presentationHint="registers", expensive=True)
    return {"scopes": scopes}


# Expressions


class NoShell(gdb.Function):
    """gdb 13's $_shell would run programs from an expression that an editor shows."""

    def __init__(self):
        super().__init__("_shell")

    def invoke(self, *arguments):
        raise gdb.GdbError("$_shell is switched off here")


NoShell()


def set_current_task(symbol):
    """`current` is a macro in Linux, which debug information lacks: the running processor's variable takes its place.

    The type comes from the variable: gdb looks for the name of a type in all units, which takes a minute in a kernel.
    """
    base = unsigned(gdb.parse_and_eval("$gs_base"))
    if base >> 63 == 0:
        base = unsigned(gdb.parse_and_eval("$k_gs_base"))
    offset = unsigned(gdb.parse_and_eval("(unsigned long)&current_task")) - setup_slide
    value = gdb.Value((base + offset) & (2**64 - 1)).cast(symbol.type.pointer()).dereference()
    gdb.set_convenience_variable("tt_current", value)


def evaluate(expression):
    if re.search(r"\bcurrent\b", expression) and gdb.lookup_global_symbol("current") is None:
        symbol = gdb.lookup_global_symbol("current_task")
        if symbol is not None:
            set_current_task(symbol)
            expression = re.sub(r"\bcurrent\b", "$tt_current", expression)
    return gdb.parse_and_eval(expression)


def do_evaluate(expression, frame=None, hexadecimal=False):
    stop.select(frame)
    try:
        value = evaluate(expression)
        if not value.is_optimized_out and strip(value.type).code not in STRUCTURES + (gdb.TYPE_CODE_ARRAY,):
            value.fetch_lazy()  # an address that cannot be read is an error and not a value
        row = row_of(expression, value, expression, hexadecimal)
    finally:
        stop.select(None)
    row["result"] = row.pop("value")
    row.pop("name")
    row.pop("evaluateName", None)
    return row


def do_console(command, frame=None):
    """A command of gdb."""
    stop.select(frame)
    moves = stop.moves
    try:
        text = gdb.execute(command, False, True)
    finally:
        if gdb.selected_thread() is not None:
            stop.select(None)
    return {"text": text, "moved": stop.moves != moves}


MOVES = ("goto", "back", "forward", "divergence")


def do_travel(command):
    """`tt …`. The server reports a new place as the stop after the next step, which moves nothing."""
    text = monitor("tt " + command)
    words = command.split()
    moves = words and words[0] in MOVES and not text.startswith("error:")
    if moves or "\nthe guest has moved:" in text:
        # gdb looks for the frame before it steps: not with the registers of the old place.
        gdb.execute("maintenance flush register-cache", False, True)
        gdb.execute("stepi", False, True)
        return {"text": text, "moved": True}
    return {"text": text, "moved": False}


def do_completions(text, column):
    """Ends of an expression, of a command after `-exec `, or of `tt …`."""
    text = text[: max(0, column)]
    if text.startswith("tt "):
        return {"targets": []}
    prefix = "-exec " if text.startswith("-exec ") else ""
    before = "" if prefix else "print "
    lines = gdb.execute("complete " + before + text[len(prefix) :], False, True).splitlines()
    found = [line[len(before) :] for line in lines if line.startswith(before) and " *** " not in line]
    return {"targets": [{"label": prefix + line, "start": 0, "length": len(text)} for line in found[:100]]}


# Breakpoints

points = {}  # kind and source: {key: breakpoint}


class LogPoint(gdb.Breakpoint):
    """Prints a message, with the values of expressions in braces, and does not stop."""

    message = ""
    only_if = None

    def stop(self):
        try:
            if self.only_if and not gdb.parse_and_eval(self.only_if):
                return False
            text = re.sub(r"\{([^{}]*)\}", lambda match: text_of(evaluate(match[1])), self.message)
        except ERRORS as error:
            text = "%s: %s" % (self.message, error)
        # The stream of gdb's own messages, which are passed on while the guest runs.
        gdb.write(text + "\n", gdb.STDERR)
        return False


def place_of(item, kind, source):
    """The arguments of gdb.Breakpoint."""
    if kind == "source":
        return {"source": source, "line": item["line"]}
    if kind == "function":
        return {"function": item["name"]}
    if kind == "instruction":
        return {"spec": "*%#x" % (int(item["instructionReference"], 0) + item.get("offset", 0))}
    address, size = (int(part, 0) for part in item["dataId"].split(",")[:2])
    types = {1: "unsigned char", 2: "unsigned short", 4: "unsigned int", 8: "unsigned long"}
    classes = {"read": gdb.WP_READ, "readWrite": gdb.WP_ACCESS}
    return {
        "spec": "*(%s *)%d" % (types[size], address),
        "type": gdb.BP_WATCHPOINT,
        "wp_class": classes.get(item.get("accessType"), gdb.WP_WRITE),
    }


def no_code(kind, source):
    """Why a breakpoint has no address."""
    if kind != "source":
        return "not in the symbol files"
    base = os.path.basename(source)
    listed = gdb.execute("info sources -basename -- ^%s$" % re.escape(base), False, True)
    names = [name for name in re.split(r"[,\n] *", listed) if os.path.basename(name) == base]
    if not names or source in names:
        return "no code there in the symbol files"
    return "the symbol files have %s: map its directory to this one with sourceMap" % ", ".join(sorted(set(names))[:3])


def new_point(item, kind, source):
    place = place_of(item, kind, source)
    is_log = bool(item.get("logMessage"))
    point = (LogPoint if is_log else gdb.Breakpoint)(**place)
    try:
        if point.pending:
            raise gdb.GdbError(no_code(kind, source))
        if is_log:
            point.message = item["logMessage"]
            point.only_if = item.get("condition")
        elif item.get("condition"):
            point.condition = item["condition"]
        if item.get("hitCondition"):
            if not re.fullmatch(r"\s*\d{1,9}\s*", item["hitCondition"]):
                raise gdb.GdbError("a hit condition is a number: from that hit on the guest stops")
            point.ignore_count = max(0, int(item["hitCondition"]) - 1)
    except Exception:
        point.delete()
        raise
    return point


def describe_point(point):
    row = {"id": point.number, "verified": True}
    locations = getattr(point, "locations", None) or []
    if point.type in (gdb.BP_BREAKPOINT, gdb.BP_HARDWARE_BREAKPOINT) and locations:
        first = locations[0]
        row["instructionReference"] = hex(first.address)
        if first.source is not None:
            row.update(line=first.source[1], path=first.fullname)
    return row


def do_breakpoints(kind, items, source=""):
    """Replaces the breakpoints of a kind, of a source file. Those that stay keep their numbers."""
    group = points.setdefault((kind, source), {})
    keys = [json.dumps(item, sort_keys=True) for item in items[:MOST_ROWS]]
    for key in [key for key in group if key not in keys or not group[key].is_valid()]:
        if group[key].is_valid():
            group[key].delete()
        del group[key]
    rows = []
    for key, item in zip(keys, items):
        try:
            if key not in group:
                group[key] = new_point(item, kind, source)
            rows.append(describe_point(group[key]))
        except (gdb.GdbError, *ERRORS) as error:
            rows.append({"verified": False, "message": str(error)})
            if "line" in item:
                rows[-1]["line"] = item["line"]
    return {"breakpoints": rows}


def do_data_info(name, reference=0, frame=None):
    if reference:
        place = stop.places.get((reference, name))
    else:
        stop.select(frame)
        try:
            value = evaluate(name)
            place = value.address is not None and (unsigned(value.address), value.type.sizeof, name)
        except ERRORS:
            place = None
        finally:
            stop.select(None)
    if not place:
        return {"dataId": None, "description": "%s is not in memory" % name}
    address, size, text = place
    if size not in (1, 2, 4, 8):
        return {"dataId": None, "description": "%s has %d bytes: 1, 2, 4 or 8 can be watched" % (text, size)}
    return {
        "dataId": "%#x,%d" % (address, size),
        "description": "%s at %#x, %d bytes" % (text, address, size),
        "accessTypes": ["read", "write", "readWrite"],
    }


def do_run_to_line(path, line, reverse):
    """Goes to the next or the last time at which a line begins; other breakpoints do not stop the guest."""
    others = [point for point in gdb.breakpoints() if point.enabled]
    target = gdb.Breakpoint(source=path, line=line, internal=True)
    try:
        if target.pending:
            raise gdb.GdbError("no code at line %d of %s" % (line, path))
        for point in others:
            point.enabled = False
        gdb.execute("reverse-continue" if reverse else "continue", False, True)
        stop.event = None  # it names the breakpoint that is deleted here
    finally:
        target.delete()
        for point in others:
            point.enabled = True
    return {"moved": True}


def do_has_code(path, line):
    target = gdb.Breakpoint(source=path, line=line, internal=True)
    try:
        return {"line": 0 if target.pending else describe_point(target).get("line", line)}
    finally:
        target.delete()


# Code and memory


def symbol_start(address):
    """The address of the symbol that an address belongs to; None without one."""
    match = re.match(r"(.+?)(?: \+ (\d+))? in section ", gdb.execute("info symbol %#x" % address, False, True))
    return address - int(match[2] or 0) if match else None


def instructions_before(architecture, address, count):
    """At most `count` instructions that lead up to an address: from the beginnings of functions, or from a guess."""
    found = []
    while len(found) < count:
        end = found[0]["addr"] if found else address
        start = symbol_start(end - 1)
        if start is None or start >= end or end - start > 1 << 20:
            candidates = range(max(0, end - 15), end)
        else:
            candidates = [start]
        for candidate in candidates:
            try:
                part = architecture.disassemble(candidate, end - 1)
            except (MemoryError, *ERRORS):
                continue
            if part and part[-1]["addr"] + part[-1]["length"] == end:
                found = part + found
                break
        else:
            break
    return found[-count:] if count else []


def do_disassemble(address, offset, count):
    address = int(address, 16)
    architecture = stop.frame(0).architecture()
    found = instructions_before(architecture, address, -offset) if offset < 0 else []
    rows = [{"address": "0x0", "instruction": "??"}] * max(0, -offset - len(found))
    wanted = max(0, count + offset)
    if wanted:
        try:
            found += architecture.disassemble(address, count=wanted)
        except (MemoryError, *ERRORS):
            pass
    if offset > 0:
        found = found[offset:]
    last = None
    for item in found:
        row = {"address": hex(item["addr"]), "instruction": item["asm"].replace("\t", " ")}
        try:
            code = bytes(gdb.selected_inferior().read_memory(item["addr"], item["length"]))
            row["instructionBytes"] = code.hex(" ")
        except (MemoryError, *ERRORS):
            pass
        line = line_of(gdb.find_pc_line(item["addr"]))
        if line != last:
            row.update(line)
        last = line
        rows.append(row)
    rows = rows[:count]
    rows += [{"address": "0x0", "instruction": "??"}] * (count - len(rows))
    return {"instructions": rows}


def do_memory(address, count):
    """The bytes that can be read, page by page."""
    address = int(address, 16)
    data = b""
    while len(data) < count:
        here = address + len(data)
        size = min(count - len(data), 4096 - here % 4096)
        try:
            data += bytes(gdb.selected_inferior().read_memory(here, size))
        except (MemoryError, *ERRORS):
            break
    return {"address": hex(address), "data": base64.b64encode(data).decode(), "read": len(data)}


def do_source(path):
    """The text of a source file whose name the client has, and of no other file."""
    if path not in sources:
        raise gdb.GdbError("%s is no source file that this session has named" % path)
    with open(path, "rb") as file:
        return {"content": file.read(16 << 20).decode(errors="replace")}


# The beginning

setup_slide = 0


def do_setup(commands, slide):
    """Reads symbol files and connects."""
    global setup_slide
    setup_slide = slide
    warnings = []
    for command in commands[:-1]:
        try:
            gdb.execute(command, False, True)
        except ERRORS as error:
            warnings.append(str(error))
    gdb.execute(commands[-1], False, True)
    return {"warnings": warnings}


last = {}


def answer_to(request):
    """The answer to a request: its result, or an error."""
    name = request.pop("do")
    if name == "last":
        return last
    try:
        return globals()["do_" + name](**request)
    except (MemoryError, OSError, gdb.GdbError, *ERRORS) as error:
        return {"error": str(error)}


class Request(gdb.MICommand):
    """The MI command."""

    def __init__(self):
        super().__init__("-tt-dap")

    def invoke(self, words):
        global last
        last = answer_to(json.loads(base64.b64decode(words[0])))
        return {"answer": base64.b64encode(json.dumps(last).encode()).decode()}


Request()
