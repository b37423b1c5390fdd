# SPDX-License-Identifier: GPL-2.0-or-later
"""Separates the code, the string literals and the comments of Swift and C sources."""
import re

SWIFT_STRING = re.compile(r'(#*)("""|")')


class Source:
    """One file. `code`, `strings` and `comments` have the length and the line breaks of the text; what belongs to
    another of the three is blank."""

    def __init__(self, path, text):
        self.path = path
        self.text = text
        self.layers = {"code": list(text), "strings": list(text), "comments": list(text)}
        self.end = len(text)
        if path.endswith(".swift"):
            self._swift(0, None)
        else:
            self._c()
        for name, layer in self.layers.items():
            setattr(self, name, "".join(layer))

    def lines(self, layer):
        """(line number, text) of a layer."""
        return enumerate(getattr(self, layer).split("\n"), 1)

    def _keep(self, start, end, layer):
        """Blanks text[start:end] in the layers that it does not belong to."""
        for name, characters in self.layers.items():
            if name != layer:
                for i in range(start, min(end, self.end)):
                    if characters[i] != "\n":
                        characters[i] = " "

    def _comment_end(self, start, nested):
        """The end of the comment that begins at `start`."""
        text = self.text
        if text.startswith("//", start):
            end = text.find("\n", start)
            return self.end if end < 0 else end
        depth, at = 1, start + 2
        while at < self.end and depth > 0:
            if text.startswith("*/", at):
                depth, at = depth - 1, at + 2
            elif nested and text.startswith("/*", at):
                depth, at = depth + 1, at + 2
            else:
                at += 1
        return at

    def _swift(self, at, closing):
        """Reads code from `at`; inside an interpolation to its closing parenthesis, whose position it returns."""
        text, depth, start = self.text, 0, at
        while at < self.end:
            if text.startswith(("//", "/*"), at):
                self._keep(start, at, "code")
                end = self._comment_end(at, nested=True)
                self._keep(at, end, "comments")
                at = start = end
                continue
            literal = SWIFT_STRING.match(text, at)
            if literal:
                self._keep(start, at, "code")
                at = start = self._swift_string(at, literal.group(1), literal.group(2))
                continue
            if closing and text[at] == "(":
                depth += 1
            elif closing and text[at] == ")":
                if depth == 0:
                    break
                depth -= 1
            at += 1
        self._keep(start, at, "code")
        return at

    def _swift_string(self, at, hashes, quote):
        """Reads a string literal that begins at `at`; returns the position after it."""
        text, start = self.text, at
        at += len(hashes) + len(quote)
        escape = "\\" + hashes
        while at < self.end:
            if text.startswith(quote + hashes, at):
                at += len(quote) + len(hashes)
                break
            if text.startswith(escape + "(", at):
                at += len(escape) + 1
                self._keep(start, at, "strings")
                at = start = self._swift(at, ")")
            elif text.startswith(escape, at):
                at += len(escape) + 1
            elif text[at] == "\n" and quote == '"':
                break
            else:
                at += 1
        self._keep(start, at, "strings")
        return at

    def _c(self):
        text, at, start = self.text, 0, 0
        while at < self.end:
            if text.startswith(("//", "/*"), at):
                self._keep(start, at, "code")
                end = self._comment_end(at, nested=False)
                self._keep(at, end, "comments")
                at = start = end
            elif text[at] in "\"'":
                self._keep(start, at, "code")
                end = at + 1
                while end < self.end and text[end] not in (text[at], "\n"):
                    end += 2 if text[end] == "\\" else 1
                self._keep(at, end + 1, "strings")
                at = start = end + 1
            else:
                at += 1
        self._keep(start, at, "code")

