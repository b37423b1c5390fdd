# SPDX-License-Identifier: GPL-2.0-or-later
"""The rules for rooms. Each check returns its problems as (place, text)."""
import glob
import os
import re
import subprocess

from . import design
from .documented import undocumented

# Modules of the toolchain and the system.
SYSTEM_MODULES = {
    "Swift", "Glibc", "Foundation", "FoundationEssentials", "Synchronization", "Testing", "XCTest", "PackageDescription",
    "Dispatch",
}
MAY_PRINT = {"ToolSupport", "TravelSupport"}
PRINTS = re.compile(
    r"\b(?:print|debugPrint|puts|fputs|fputc|printf|fprintf|perror|vfprintf|exit|_exit|_Exit|abort)\s*\("
    r"|\b(?:stdout|stderr)\b|\bstandardOutput\b|\bstandardError\b|\bOutput\.standard\b|\bDiagnostics\.\w+"
    r"|(?:\bd?write|\bisatty|\bfdopen)\s*\(\s*(?:STDOUT_FILENO|STDERR_FILENO|[12]\s*,)|descriptor: STD(?:OUT|ERR)_FILENO"
)
OPTION = re.compile(r"(?<![\w-])--([a-z][a-z0-9-]*)")
UNSAFE_FLAGS = re.compile(r"\bunsafeFlags\b")
HAS_SPDX = (".swift", ".c", ".h", ".S", ".ld", ".py", ".sh", ".modulemap")


def arrows(package):
    """Arrows that docs/design.md's table does not allow, and entries of the table that the package does not have."""
    table, problems = design.read_table(), []
    order = {name: i for i, name in enumerate(table)}
    for target in package.rooms():
        if target.name not in table:
            problems.append(("Package.swift", "the table in %s has no row for %s" % (design.PATH, target.name)))
            continue
        allowed = table[target.name]
        for name in target.declared:
            if "all" not in allowed and name not in allowed:
                problems.append(("Package.swift", "%s may not import %s (%s)" % (target.name, name, design.PATH)))
            if name in order and order[name] > order[target.name]:
                problems.append((design.PATH, "%s imports %s, which is below it in the table" % (target.name, name)))
        for name in sorted(allowed - set(target.declared) - {"all"}):
            problems.append((design.PATH, "the table lets %s import %s, which it does not do" % (target.name, name)))
    known = {t.name for t in package.rooms()}
    problems += [(design.PATH, "the table has a row for %s, which is no target" % n) for n in table if n not in known]
    return problems


def declarations(package):
    """Imports that a target does not declare, and dependencies that it does not import."""
    problems = []
    for target in package.targets.values():
        for module, place in sorted(target.imports.items()):
            if module not in target.declared and module not in SYSTEM_MODULES:
                problems.append((place, "%s imports %s, which Package.swift does not declare" % (target.name, module)))
        for name in target.declared:
            dependency = package.targets.get(name)
            # A test that starts a program depends on it and does not import it.
            is_program = dependency is not None and dependency.kind == "executable" and target.kind == "test"
            if name not in target.imports and not is_program:
                problems.append(("Package.swift", "%s declares %s and does not import it" % (target.name, name)))
    return problems


def extension(package):
    """Foundation in what the shared libraries link: it doubles their size, and one with a static runtime cannot hold it."""
    problems, seen, pending = [], set(), ["TTLogSQLite", "ArrowStreams"]
    while pending:
        name = pending.pop()
        target = package.targets.get(name)
        if target is None or name in seen:
            continue
        seen.add(name)
        pending += target.declared
        for module, place in sorted(target.imports.items()):
            if module.startswith("Foundation"):
                problems.append((place, "%s imports %s, and a shared library links %s" % (name, module, name)))
    return problems


def own_options():
    """The options of our tools, as their man pages list them. Libraries may name those of other programs."""
    options = set()
    for path in glob.glob("docs/man/*.1"):
        with open(path, encoding="utf-8") as file:
            options |= {o.replace("\\", "") for o in re.findall(r"^\\fB(?:.*, )?\\-\\-([a-z\\-]+)\\fR", file.read(), re.M)}
    return options


def libraries(package):
    """Libraries that print, exit or name a command-line option."""
    problems, options = [], own_options()
    for target in package.targets.values():
        if not target.is_library or target.name in MAY_PRINT:
            continue
        for source in target.sources:
            for number, line in source.lines("code"):
                for found in PRINTS.finditer(line):
                    problems.append(("%s:%d" % (source.path, number), "a library prints or exits: %s" % found.group()))
            for number, line in source.lines("strings"):
                for found in OPTION.finditer(line):
                    if found.group(1) not in options:
                        continue
                    problems.append(("%s:%d" % (source.path, number), "a library names the option %s" % found.group()))
    return problems


def hygiene(package):
    """unsafeFlags, products that are no rooms, modules with a public type of their own name."""
    problems = []
    for path in ("Package.swift", "Benchmarks/Package.swift", "Examples/Package.swift"):
        if os.path.exists(path):
            with open(path, encoding="utf-8") as file:
                for number, line in enumerate(file, 1):
                    if UNSAFE_FLAGS.search(line):
                        problems.append(("%s:%d" % (path, number), "unsafeFlags bar the package from use by others"))
    for product in package.products:
        for name in product["targets"]:
            if not package.targets[name].path.startswith("Sources/"):
                problems.append(("Package.swift", "product %s is not in Sources" % name))
    for target in package.rooms():
        own = re.compile(r"\bpublic\b.*\b(?:struct|class|enum|protocol|actor|typealias)\s+%s\b" % re.escape(target.name))
        for source in target.sources:
            for number, line in source.lines("code"):
                if own.search(line):
                    problems.append(("%s:%d" % (source.path, number), "a public type has the name of its module"))
    return problems


def tracked_files():
    """The files of the project: what git knows, or, without git, what is there."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listing = subprocess.run(command, capture_output=True, text=True)
    if listing.returncode == 0:
        return sorted(p for p in set(listing.stdout.splitlines()) if os.path.isfile(p) and not os.path.islink(p))
    found = []
    for directory, folders, files in os.walk("."):
        folders[:] = [f for f in folders if f != "build" and not f.startswith(".")]
        found += [os.path.normpath(os.path.join(directory, f)) for f in files]
    return sorted(found)


def licences(_):
    """Source files and scripts without an SPDX line among the first two."""
    problems = []
    for path in tracked_files():
        with open(path, "rb") as file:
            head = [file.readline(200), file.readline(200)]
        is_source = path.endswith(HAS_SPDX) or os.path.basename(path) == "Makefile" or head[0].startswith(b"#!")
        if is_source and not any(b"SPDX-License-Identifier: " in line for line in head):
            problems.append((path, "no SPDX-License-Identifier in the first two lines"))
    return problems


def documentation(package):
    """Public declarations without a doc comment, and (room, declarations, documented) for each room."""
    problems, shares = [], []
    for target in package.rooms():
        if target.kind == "executable":
            continue
        total, without = 0, 0
        for source in target.sources:
            if source.path.endswith(".swift"):
                count, missing = undocumented(source)
                total, without = total + count, without + len(missing)
                problems += [("%s:%d" % (source.path, n), "no doc comment: %s" % text) for n, text in missing]
        if total:
            shares.append((target.name, total, total - without))
    return problems, shares


def picture(package):
    """A picture in docs/design.md that is not the package's."""
    if design.split()[1] == design.picture(package):
        return []
    return [(design.PATH, "the picture is out of date: scripts/rooms --picture draws it again")]
