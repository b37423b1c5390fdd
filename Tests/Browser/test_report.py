# SPDX-License-Identifier: GPL-2.0-or-later
"""Opens reports in a real browser, from file: URLs, and looks at what is there.

Environment: TT_BIN, the directory with tt-analyze; TT_AXE, axe.min.js. scripts/test-report sets both.
"""
import json
import os
import re
import shutil
import subprocess
import tempfile
import unittest

from chromium import Chromium

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
TINY = os.path.join(ROOT, "Fixtures/tiny")
SOURCES = os.path.join(ROOT, "hypervisor/guests/tiny")
# Ends an attribute, an element, a script and a comment; the marks after < and " make other characters of them.
HOSTILE = "\"'><img src=x onerror=alert(1)></script><!--<\u0301b>\"\u0301\u2028&amp;"


def report(directory, name, logs, *options):
    """Writes a report as HTML and as JSON; returns the page's path and the document."""
    made = []
    for end in ("html", "json"):
        path = os.path.join(directory, "%s.%s" % (name, end))
        command = [os.path.join(os.environ["TT_BIN"], "tt-analyze"), "report", *logs, *options, "-o", path]
        result = subprocess.run(command, capture_output=True, text=True)
        if result.returncode not in (0, 1):
            raise RuntimeError(result.stderr)
        made.append(path)
    with open(made[1]) as file:
        return made[0], json.load(file)


def bundle(directory, name, logs, *options):
    """Writes a bundle and unpacks it; returns the page's path and the document in it."""
    path, target = os.path.join(directory, name + ".ttbug"), os.path.join(directory, name)
    command = [os.path.join(os.environ["TT_BIN"], "tt-analyze"), "report", *logs, *options, "-o", path]
    result = subprocess.run(command, capture_output=True, text=True)
    if result.returncode not in (0, 1):
        raise RuntimeError(result.stderr)
    os.mkdir(target)
    subprocess.run(["tar", "--zstd", "-xf", path, "-C", target], check=True)
    with open(os.path.join(target, "report.json")) as file:
        return os.path.join(target, "report.html"), json.load(file)


def resolve(document, pointer):
    """The value at a JSON pointer."""
    value = document
    for part in pointer.split("/")[1:]:
        part = part.replace("~1", "/").replace("~0", "~")
        value = value[int(part)] if isinstance(value, list) else value[part]
    return value


def shown(value):
    """A value as the page shows it."""
    text = str(value)
    if re.fullmatch(r"[0-9]{1,19}", text):
        return "{:,}".format(int(text))
    # Control characters and marks that change the direction of text are escaped.
    unsafe = "[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]"
    return re.sub(unsafe, lambda m: ("\\x%02x" if ord(m[0]) < 256 else "\\u{%x}") % ord(m[0]), text)


FIGURES = """Array.from(document.querySelectorAll('[data-figure]'))
    .map(e => [e.dataset.figure, e.title || e.textContent])"""


class Reports(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.scratch = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls.scratch.cleanup)
        cls.page = Chromium()
        cls.addClassCleanup(cls.page.__exit__)
        directory = cls.scratch.name
        logs = [os.path.join(TINY, name) for name in ("recording.log", "extra-turn.log")]
        symbols = ["--symbols", os.path.join(TINY, "tiny.elf"), "--replay-symbols", os.path.join(TINY, "tiny-extra-turn.elf")]
        cls.different = report(directory, "different", logs, *symbols, "--source", SOURCES)
        cls.same = report(directory, "same", [logs[0], os.path.join(TINY, "faithful.log")])
        cls.long = report(directory, "long", logs, *symbols, "--context", "20000")
        cls.hostile = cls.make_hostile(directory, logs)
        cls.make_bundles(directory, logs, symbols)

    @classmethod
    def make_bundles(cls, directory, logs, symbols):
        """Runs with consoles, as a page of its own, as a bundle, and as one without contents."""
        runs = []
        for number, log in enumerate(logs):
            run = os.path.join(directory, "run%d" % number)
            os.mkdir(run)
            shutil.copy(log, os.path.join(run, "ttd.log"))
            with open(os.path.join(run, "serial.log"), "w") as file:
                file.write("a secret\nthe end %d\n" % number)
            runs.append(run)
        cls.alone = report(directory, "alone", runs, *symbols)
        cls.bundle = bundle(directory, "bundle", runs, *symbols)
        cls.redacted = bundle(directory, "redacted", runs, *symbols, "--redact")

    @classmethod
    def make_hostile(cls, directory, logs):
        """Runs whose paths, consoles, manifests, symbols and sources are hostile text."""
        runs = []
        for number, log in enumerate(logs):
            run = os.path.join(directory, HOSTILE.replace("/", "") + str(number))
            os.mkdir(run)
            with open(log, "rb") as source, open(os.path.join(run, "ttd.log"), "wb") as copy:
                copy.write(source.read())
            with open(os.path.join(run, "serial.log"), "w") as file:
                file.write("common %s\n" % HOSTILE + "%s %d\n" % (HOSTILE, number))
            runs.append(run)
        program = os.path.join(directory, "program.elf")
        with open(os.path.join(TINY, "tiny.elf"), "rb") as file:
            data = file.read()
        # Names of the same length in the string tables: symbols and functions.
        for name, other in ((b"\0trap_entry\0", b"\0<img/src=x\0"), (b"\0handle_trap\0", b"\0</script>'\"\0")):
            assert len(name) == len(other) and name in data
            data = data.replace(name, other)
        with open(program, "wb") as file:
            file.write(data)
        source = os.path.join(directory, "source")
        os.mkdir(source)
        with open(os.path.join(source, "main.c"), "w") as file:
            file.write((HOSTILE.replace("\u2028", "") + "\n") * 400)
        return report(directory, "hostile", runs, "--symbols", program, "--source", source)

    def check_figures(self, document, least):
        figures = self.page.run(FIGURES)
        self.assertGreater(len(figures), least)
        for pointer, text in figures:
            self.assertEqual(text, shown(resolve(document, pointer)), pointer)
        return {pointer for pointer, _ in figures}

    def check_problems(self):
        self.assertEqual(self.page.problems(), [])

    def test_every_figure_is_that_of_the_json_report(self):
        for (path, document), least in ((self.different, 300), (self.same, 20), (self.hostile, 300)):
            self.page.open(path)
            self.check_figures(document, least)
            self.check_problems()

    def test_the_page_in_a_bundle_is_the_whole_page(self):
        def parts(path):
            self.page.open(path)
            return self.page.run("Array.from(document.querySelectorAll('section')).map(e => e.id)")
        whole = parts(self.alone[0])
        self.assertLessEqual({"overview", "streams", "stack", "after", "console"}, set(whole))
        self.assertEqual(parts(self.bundle[0]), whole)
        figures = self.check_figures(self.bundle[1], 300)
        self.page.open(self.alone[0])
        self.assertEqual(self.check_figures(self.alone[1], 300), figures)
        # Without contents there is no console.
        self.assertEqual(parts(self.redacted[0]), [part for part in whole if part != "console"])
        self.check_figures(self.redacted[1], 300)
        with open(self.redacted[0]) as file:
            self.assertNotIn("a secret", file.read())
        self.check_problems()

    def test_every_number_in_the_page_is_a_figure(self):
        path, document = self.different
        self.page.open(path)
        # Text outside figures: words, numbers of vCPUs, counts that the script makes, and the costs in titles.
        text = self.page.run("""(() => {
            const copy = document.querySelector('main').cloneNode(true);
            copy.querySelectorAll('[data-figure], [role=status], #strip, svg').forEach(e => e.remove());
            return copy.textContent;
        })()""")
        sentence = text.split("Afterwards, ")[1].split("In all")[0]
        rest = text.replace(sentence, "")
        self.assertEqual(set(re.findall(r"[0-9]+", rest)) - {"0"}, set(), rest)
        values = json.dumps(document)
        for number in re.findall(r"[0-9][0-9,]*", sentence):
            self.assertIn('"%s"' % number.replace(",", ""), values)

    def test_costs_in_the_flame_graph(self):
        path, document = self.different
        self.page.open(path)
        titles = self.page.run("Array.from(document.querySelectorAll('.flame title')).map(e => e.textContent)")
        expected = set()

        def add(node):
            expected.add("%s: original %s, replay %s" % (node["name"], shown(node["original"]), shown(node["replay"])))
            for child in node["children"]:
                add(child)
        add(document["vcpus"][0]["divergence"]["window"]["root"])
        self.assertGreater(len(titles), 10)
        self.assertLessEqual(set(titles), expected)

    def test_the_streams_have_every_record(self):
        path, document = self.different
        self.page.size(1280, 900)
        self.page.open(path)
        seen = set()
        height = self.page.run("document.getElementById('stream-view').scrollHeight")
        for top in range(0, height, 400):
            self.page.run("""new Promise(done => { document.getElementById('stream-view').scrollTop = %d;
                requestAnimationFrame(() => requestAnimationFrame(done)); })""" % top)
            seen |= self.check_figures(document, 100)
        divergence = document["vcpus"][0]["divergence"]
        for name, records in (("lastCommonBranches", divergence["lastCommonBranches"]),
                              ("originalNext/branches", divergence["originalNext"]["branches"]),
                              ("replayNext/branches", divergence["replayNext"]["branches"])):
            for index in range(len(records)):
                self.assertIn("/vcpus/0/divergence/%s/%d/brctr" % (name, index), seen)

    def test_it_opens_with_a_context_of_20000_branches(self):
        path, document = self.long
        self.assertEqual(len(document["vcpus"][0]["divergence"]["lastCommonBranches"]), 20000)
        times = [self.page.open(path) for _ in range(3)]
        print("a context of 20,000 branches: opened in %.2f s, %d bytes" % (min(times), os.path.getsize(path)))
        # Elements are drawn for the rows in view only: the page's size decides about the time.
        self.assertLess(self.page.run("document.querySelectorAll('*').length"), 6000)
        rows = int(self.page.run("document.getElementById('stream-view').getAttribute('aria-rowcount')"))
        self.assertGreater(rows, 40000)
        self.check_figures(document, 100)
        self.check_problems()

    def test_hostile_text_stays_text(self):
        path, document = self.hostile
        self.page.open(path)
        self.check_problems()
        self.assertEqual(self.page.run("document.querySelectorAll('main img, main script, main style').length"), 0)
        self.assertEqual(self.page.run("document.scripts.length"), 2)
        inline = self.page.run("""Array.from(document.querySelectorAll('*')).filter(e =>
            Array.from(e.attributes).some(a => a.name.startsWith('on') || a.name === 'style' && a.ownerElement.closest('svg')))
            .length""")
        self.assertEqual(inline, 0)
        text = self.page.run("document.body.textContent")
        for piece in ("<img src=x onerror=alert(1)>", "<img/src=x", "</script>'\""):
            self.assertIn(piece, text)

    def test_nothing_that_was_injected_runs(self):
        path, _ = self.different
        self.page.open(path)
        self.page.run("""(() => {
            const script = document.createElement('script');
            script.textContent = 'window.injected = 1';
            document.body.append(script);
            const box = document.createElement('div');
            box.innerHTML = '<img src="data:image/gif;base64,AAAA" onerror="window.injected = 2">';
            document.body.append(box);
            return new Promise(done => setTimeout(done, 100));
        })()""")
        self.assertIsNone(self.page.run("window.injected"))
        self.assertTrue(any("Content Security Policy" in problem for problem in self.page.problems()))

    def test_axe_finds_nothing(self):
        with open(os.environ["TT_AXE"]) as file:
            axe = file.read()
        sizes = ((1280, False), (1280, True), (400, False))
        for (path, _), some in ((self.different, sizes), (self.same, sizes[:1]), (self.hostile, sizes[:1])):
            for width, dark in some:
                self.page.size(width, 900, dark)
                self.page.open(path)
                self.page.run("document.querySelectorAll('details').forEach(d => { d.open = true; })")
                self.page.run(axe + "; 0")
                found = self.page.run("""axe.run(document, {resultTypes: ['violations', 'incomplete']}).then(r => r.violations
                    .map(v => v.id + ': ' + v.nodes.map(n => n.html + ' ' + n.failureSummary).slice(0, 3).join(' | ')))""")
                self.assertEqual(found, [], "%s at %d px, dark: %s" % (path, width, dark))
        self.page.size(1280, 900)

    def test_the_page_is_never_wider_than_the_window(self):
        for path, _ in (self.different, self.same, self.hostile):
            for width in (400, 1280, 2560):
                self.page.size(width, 900)
                self.page.open(path)
                self.assertLessEqual(self.page.run("document.documentElement.scrollWidth"), width, path)
        self.page.size(1280, 900)

    def test_the_keyboard_reaches_everything(self):
        path, _ = self.different
        self.page.open(path)
        focus = "document.activeElement.id || document.activeElement.getAttribute('href') || document.activeElement.tagName"
        self.page.key("Tab")
        self.assertEqual(self.page.run("document.activeElement.className"), "skip")
        seen = []
        for _ in range(200):
            self.page.key("Tab")
            seen.append(self.page.run(focus))
            if seen[-1] == "BODY" or len(seen) > 3 and seen[-1] == "#main":
                break
            visible = self.page.run("document.activeElement.matches(':focus-visible')")
            self.assertTrue(visible, seen[-1])
        for name in ("#where", "zoom-in", "strip-view", "to-next", "find", "stream-view", "SUMMARY"):
            self.assertIn(name, seen)
        self.page.run("document.getElementById('strip-view').focus()")
        before = self.page.run("document.getElementById('strip-range').textContent")
        self.page.key("+")
        after = self.page.run("document.getElementById('strip-range').textContent")
        self.assertNotEqual(before, after)
        self.page.key("Home")
        self.assertEqual(self.page.run("document.getElementById('strip-range').textContent"), before)
        self.page.run("document.getElementById('to-first').focus()")
        self.page.key("Enter", text="\r")
        self.assertEqual(self.page.run("document.getElementById('stream-view').scrollTop"), 0)
        self.page.run("document.getElementById('to-next').focus()")
        self.page.key("Enter", text="\r")
        self.assertGreater(self.page.run("document.getElementById('stream-view').scrollTop"), 0)

    def test_the_strip_zooms_down_to_events(self):
        path, document = self.different
        self.page.open(path)
        self.page.run("document.getElementById('zoom-divergence').click()")
        counts = self.page.run("""['.branch.both', '.branch.replay', '.event', '.divergence'].map(name =>
            document.querySelectorAll('#strip-content ' + name).length)""")
        self.assertTrue(all(count > 0 for count in counts), counts)
        brctr = int(document["vcpus"][0]["divergence"]["original"]["brctr"])
        self.assertIn("{:,}".format(brctr - 32), self.page.run("document.getElementById('strip-range').textContent"))
        states = self.page.run("""Array.from(document.querySelectorAll('#strip-content .cell')).map(e => e.className.baseVal)""")
        self.assertIn("cell different", states)
        self.page.run("document.getElementById('zoom-all').click()")
        titles = self.page.run("Array.from(document.querySelectorAll('#strip-content .cell title')).map(e => e.textContent)")
        for stretch in document["strip"]["branches"]:
            text = "brctr %s to %s: %s" % (shown(stretch["from"]), shown(stretch["to"]), stretch["state"])
            self.assertTrue(any(title.startswith(text) for title in titles), text)

    def test_without_scripts_the_verdict_reads(self):
        path, document = self.different
        self.page.open(path, scripts=False)
        text = self.page.run("document.body.innerText")
        self.page.call("Emulation.setScriptExecutionDisabled", value=False)
        for piece in (document["title"], document["summary"], "Records around the divergence"):
            self.assertIn(piece.lower(), text.lower())

    def test_it_prints(self):
        path, _ = self.different
        self.page.open(path)
        self.page.pdf(os.path.join(self.scratch.name, "page.pdf"))
        self.page.call("Emulation.setEmulatedMedia", media="print")
        visible = self.page.run("""['.near table', '#stream', 'nav', '.flame'].map(name =>
            document.querySelector(name).getClientRects().length > 0)""")
        self.page.call("Emulation.setEmulatedMedia", media="")
        self.assertEqual(visible, [True, False, False, True])


if __name__ == "__main__":
    unittest.main()
