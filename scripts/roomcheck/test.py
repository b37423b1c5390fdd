# SPDX-License-Identifier: GPL-2.0-or-later
"""Tests of scripts/rooms: each rule on a small piece of source that breaks it.

usage: python3 -m roomcheck.test      (in scripts/)
"""
import re
import types
import unittest

from . import checks, design
from .documented import undocumented
from .sources import Source

SWIFT = '''import LogFormat  // print("comment")
/* print("nested /* comment */") */
let text = "a \\(name("inner", 1)) --force print(x)"
let raw = #"not \\(code) but "quoted" text"#
let lines = """
    print(1) --name
    """
print(text)
'''


class Layers(unittest.TestCase):
    def test_layers_add_up_to_the_text(self):
        source = Source("a.swift", SWIFT)
        for i, character in enumerate(SWIFT):
            found = {source.code[i], source.strings[i], source.comments[i]} - {" "}
            self.assertLessEqual(found, {character})
            if not character.isspace():
                self.assertEqual(found, {character}, "position %d is in no layer" % i)

    def test_only_code_prints(self):
        source = Source("a.swift", SWIFT)
        lines = [n for n, line in source.lines("code") if checks.PRINTS.search(line)]
        self.assertEqual(lines, [8])

    def test_options_are_found_in_strings(self):
        source = Source("a.swift", SWIFT)
        found = [(n, m.group(1)) for n, line in source.lines("strings") for m in checks.OPTION.finditer(line)]
        self.assertEqual(found, [(3, "force"), (6, "name")])

    def test_interpolations_are_code(self):
        self.assertIn("name(", Source("a.swift", SWIFT).code)
        self.assertIn("inner", Source("a.swift", SWIFT).strings)

    def test_c(self):
        source = Source("a.c", 'int a; // print("x")\nchar *b = "/* --no */ \\""; /* c */ puts(b);\n')
        self.assertIn("puts(b);", source.code)
        self.assertNotIn("c */", source.code)
        self.assertIn("--no", source.strings)


class Printing(unittest.TestCase):
    def test_what_prints(self):
        for line in (
            "print(1)", "fputs(text, stderr)", "exit(2)", "Output.standard.write(x)", "Diagnostics.note(x)",
            "write(STDERR_FILENO, p, 1)", "FileHandle.standardOutput", "isatty(STDOUT_FILENO)", "fprintf(stderr, x);",
        ):
            self.assertTrue(checks.PRINTS.search(line), line)

    def test_what_does_not(self):
        for line in ("sink.write(x)", "sprint(1)", "onExit(2)", "posix_spawn_file_actions_adddup2(&a, fd, STDERR_FILENO)"):
            self.assertFalse(checks.PRINTS.search(line), line)


class Documentation(unittest.TestCase):
    def missing(self, text):
        """(how many declarations are public, the lines of those without a doc comment)"""
        count, missing = undocumented(Source("a.swift", text))
        return count, [line for line, _ in missing]

    def test_missing_comments_are_found(self):
        text = (
            "/// A.\npublic struct A {\n    public var b = 1\n    /// C.\n    @inlinable\n    public func c() {}\n"
            "    // not a doc comment\n    public init() {}\n    var internal = 1\n    public static let d = 1\n}\n"
            "public import LogFormat\n"
        )
        self.assertEqual(self.missing(text), (5, [3, 8, 10]))

    def test_cases_of_public_enumerations_are_public(self):
        text = "/// E.\npublic enum E {\n    /// A.\n    case a\n    case b(Int, c: Int), d\n    private enum F { case e }\n}\n"
        self.assertEqual(self.missing(text), (4, [5, 5]))
        self.assertEqual(self.missing("/// E.\npublic enum E { case a, b }\nenum F { case c }\n"), (3, [2, 2]))
        # `case` of a switch is no declaration.
        body = "    public func a() {\n        switch self {\n        case .b: break\n        }\n    }\n"
        self.assertEqual(self.missing("/// E.\npublic enum E {\n    /// A.\n%s}\n" % body), (2, []))

    def test_requirements_of_public_protocols_are_public(self):
        text = "/// P.\npublic protocol P {\n    associatedtype T\n    /// V.\n    var v: Int { get }\n    func f()\n}\n"
        self.assertEqual(self.missing(text), (4, [3, 6]))
        self.assertEqual(self.missing("protocol P { func f() }\n"), (0, []))

    def test_extensions(self):
        text = "public extension A {\n    var b: Int { 1 }\n    private func c() {}\n}\nextension A {\n    func d() {}\n    public func e() {}\n}\n"
        self.assertEqual(self.missing(text), (2, [2, 7]))

    def test_members_of_internal_types_are_not_public(self):
        self.assertEqual(self.missing("struct A {\n    public var b = 1\n}\n"), (0, []))

    def test_attributes_and_setters(self):
        text = (
            "/// A.\n@Suite(\n    name: \"a \\(b)\")\npublic final class A {\n    /// B.\n    @Option(help: \"( {\")\n"
            "    public private(set) var b: Int { 1 }\n    private(set) public var c = { 2 }()\n    public class func d() {}\n}\n"
        )
        self.assertEqual(self.missing(text), (4, [8, 9]))


class Extension(unittest.TestCase):
    def test_foundation_below_the_extension_is_found(self):
        def room(declared, *imports):
            return types.SimpleNamespace(declared=declared, imports={name: "%s.swift:1" % name for name in imports})

        package = types.SimpleNamespace(targets={
            "TTLogSQLite": room(["TraceIndex"], "TraceIndex"), "TraceIndex": room(["Formatting"], "Formatting"),
            "Formatting": room([], "FoundationEssentials"), "Reporting": room(["Formatting"], "Foundation"),
        })
        self.assertEqual([place for place, _ in checks.extension(package)], ["FoundationEssentials.swift:1"])


class Graph(unittest.TestCase):
    def test_arrows_that_follow_are_left_out(self):
        graph = {"a": [], "b": ["a"], "c": ["a", "b"], "d": ["a", "c"]}
        self.assertEqual(design.reduced(graph), {"a": [], "b": ["a"], "c": ["b"], "d": ["c"]})

    def test_the_table_is_read(self):
        table = design.read_table()
        self.assertIn("CTTLog", table["LogFormat"])
        self.assertEqual(table["tt-analyze"], {"all"})
        self.assertTrue(all(re.fullmatch(r"[\w-]+", name) for name in table))


if __name__ == "__main__":
    import os

    os.chdir(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../.."))
    unittest.main()
