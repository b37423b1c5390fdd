# SPDX-License-Identifier: GPL-2.0-or-later
"""What Package.swift declares, and what the sources of its targets import."""
import json
import os
import re
import subprocess
import tempfile

from .sources import Source

IMPORT = re.compile(
    r"^\s*(?:@\w+(?:\([^)]*\))?\s+)*(?:(?:public|package|internal|fileprivate|private)\s+)?import\s+"
    r"(?:(?:struct|class|enum|protocol|func|var|let|typealias)\s+)?(\w+)"
)
INCLUDE = re.compile(r'^\s*#\s*include\s*(?:"([^"]+)"|<([^>]+)>)')


class Target:
    """A target of Package.swift and its sources."""

    def __init__(self, description):
        self.name = description["name"]
        self.kind = description["type"]  # regular, executable, test, system
        default = ("Tests/" if self.kind == "test" else "Sources/") + self.name
        self.path = description.get("path") or default
        self.declared = [dependency_name(d) for d in description["dependencies"]]
        self.settings = description.get("settings", [])
        self.only = description.get("sources")
        self.headers = description.get("publicHeadersPath") or "include"
        self.sources = []
        self.imports = {}  # module name or header → "file:line" of its first use

    @property
    def is_library(self):
        """Whether other packages and rooms call it, and it must leave printing to its callers."""
        return self.kind in ("regular", "system") and self.path.startswith("Sources/")

    def read(self):
        names = []
        for directory, _, files in os.walk(self.path):
            names += [os.path.join(directory, f) for f in files if f.endswith((".swift", ".c", ".h"))]
        if self.only:
            names = [os.path.join(self.path, f) for f in self.only]
        for name in sorted(names):
            with open(name, encoding="utf-8") as file:
                self.sources.append(Source(name, file.read()))

    def own_headers(self):
        """The names under which other targets include this one's headers."""
        base = os.path.normpath(os.path.join(self.path, self.headers))
        if self.kind == "system":
            base = self.path
        if not os.path.isdir(base):
            return []
        return [f for f in os.listdir(base) if f.endswith(".h")]


class Package:
    """Package.swift of the current directory."""

    def __init__(self):
        # A scratch path of its own: a build that runs at the same time holds the lock of .build.
        with tempfile.TemporaryDirectory() as scratch:
            command = ["swift", "package", "--scratch-path", scratch, "dump-package"]
            text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        description = json.loads(text)
        self.targets = {d["name"]: Target(d) for d in description["targets"]}
        self.products = description["products"]
        self.foreign = {
            name for target in self.targets.values() for name in target.declared if name not in self.targets
        }
        for target in self.targets.values():
            target.read()
        self._find_imports()

    def _find_imports(self):
        owner = {h: t.name for t in self.targets.values() for h in t.own_headers()}
        for target in self.targets.values():
            for source in target.sources:
                is_swift = source.path.endswith(".swift")
                # C: the name of a header is a string literal, so the whole text counts.
                for number, line in source.lines("code" if is_swift else "text"):
                    place = "%s:%d" % (source.path, number)
                    if is_swift:
                        found = IMPORT.match(line)
                        module = found.group(1) if found else None
                    else:
                        found = INCLUDE.match(line)
                        module = owner.get(os.path.basename(found.group(1) or found.group(2))) if found else None
                    if module and module != target.name:
                        target.imports.setdefault(module, place)

    def rooms(self):
        """The targets that are not tests and that the picture shows, in the order of Package.swift."""
        return [t for t in self.targets.values() if t.path.startswith("Sources/")]


def dependency_name(dependency):
    for kind in ("byName", "target", "product"):
        if kind in dependency:
            return dependency[kind][0]
    raise ValueError("an unknown kind of dependency: %r" % dependency)
