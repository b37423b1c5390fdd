# SPDX-License-Identifier: GPL-2.0-or-later
"""Finds the public declarations of a Swift source, and those without a doc comment.

Public are the declarations with `public` or `open`, the cases of public enumerations, the requirements of public
protocols, and the members of a `public extension`. A declaration in a type that is not public is not.
"""
import re

TYPES = ("struct", "class", "enum", "protocol", "actor", "extension")
KEYWORD = re.compile(
    r"(func|var|let|init|subscript|struct|class|enum|protocol|typealias|actor|case|associatedtype|macro|extension)\b"
)
MODIFIER = re.compile(
    r"(?:(public|open|package|internal|fileprivate|private)(?!\()|(?:public|package|internal|fileprivate|private)\(set\)"
    r"|nonisolated\(unsafe\)|unowned\(\w+\)|class(?=\s+(?:func|var|let|subscript)\b)"
    r"|(?:final|static|mutating|nonmutating|nonisolated|override|indirect|required|convenience|lazy|weak|unowned|dynamic"
    r"|consuming|borrowing|prefix|postfix|infix|optional)\b)\s*"
)
ATTRIBUTE = re.compile(r"@[\w.]+")
SPACE = re.compile(r"\s*")


class Declaration:
    """A declaration: where it begins (with its attributes) and where its keyword is, in characters; its names."""

    def __init__(self, start, keyword, names):
        self.start = start
        self.keyword = keyword
        self.names = names


def group_end(code, at):
    """The end of the parenthesised group that begins at `at`."""
    depth = 0
    while at < len(code):
        depth += (code[at] == "(") - (code[at] == ")")
        at += 1
        if depth == 0:
            break
    return at


def case_names(code, at):
    """The names of `a, b(Int), c = 3`."""
    names, start = 0, at
    while at < len(code):
        if code[at] == "(":
            at = group_end(code, at)
            continue
        if code[at] == ",":
            names += 1
        elif code[at] in "}\n;" and not code[start:at].rstrip().endswith(","):
            break
        at += 1
    return names + 1


def public_declarations(code):
    """The public declarations of the code layer of a Swift source, in its order."""
    found = []
    scopes = [("file", True, 0)]  # of the position: its kind and whether its members may be public
    opening = ("body", False)  # the scope that the next brace opens
    at, depth, is_start = 0, 0, True
    while at < len(code):
        character = code[at]
        if character in "{};\n":
            if character == "{":
                scopes.append((*opening, depth))
                opening, depth = ("body", False), 0
            elif character == "}" and len(scopes) > 1:
                depth = scopes.pop()[2]
            at, is_start = at + 1, True
        elif character.isspace():
            at += 1
        elif is_start and depth == 0 and scopes[-1][0] != "body":
            at, is_start = declaration(code, at, scopes[-1], found), False
            if at < 0:  # it opens a scope
                at, opening = -at, found.pop()
        else:
            depth += (character in "([") - (character in ")]")
            at, is_start = at + 1, False
    return found


def declaration(code, at, scope, found):
    """Reads what begins at `at`: adds a public declaration to `found`. Returns the position after the keyword; for one
    that opens a scope the negative position, with the scope as the last of `found`."""
    start, access = at, None
    while True:
        attribute, modifier = ATTRIBUTE.match(code, at), MODIFIER.match(code, at)
        if attribute:
            at = attribute.end()
            if code[at : at + 1] == "(":
                at = group_end(code, at)
        elif modifier:
            access, at = modifier.group(1) or access, modifier.end()
        else:
            break
        at = SPACE.match(code, at).end()
    keyword = KEYWORD.match(code, at)
    if not keyword:
        return at
    kind = keyword.group(1)
    inherits = scope[0] in ("protocol", "public extension") or (scope[0] == "enum" and kind == "case")
    is_public = scope[1] and (access in ("public", "open") or (access is None and inherits))
    if is_public and kind != "extension":
        names = case_names(code, keyword.end()) if kind == "case" else 1
        found.append(Declaration(start, keyword.start(), names))
    # A member of an extension is public if it is declared so: the extended type is in another file.
    if kind == "extension":
        found.append(("public extension" if access == "public" else "extension", True))
    else:
        found.append((kind if kind in TYPES else "body", is_public))
    return -keyword.end()


def undocumented(source):
    """The public declarations of a Swift file: (how many, [(line, text) of those without a doc comment])."""
    code, comments, text = source.code.split("\n"), source.comments.split("\n"), source.text.split("\n")
    count, missing = 0, []
    for declaration in public_declarations(source.code):
        count += declaration.names
        first = source.code.count("\n", 0, declaration.start)
        # What another declaration begins on the same line has no comment of its own.
        is_alone = not source.code[:declaration.start].rsplit("\n", 1)[-1].strip()
        above = first - 1 if is_alone else -1
        while above >= 0 and code[above].lstrip().startswith("#"):
            above -= 1
        before = comments[above].strip() if above >= 0 else ""
        if not before.startswith("///") and not before.endswith("*/"):
            line = source.code.count("\n", 0, declaration.keyword)
            missing += [(line + 1, text[line].strip())] * declaration.names
    return count, missing
