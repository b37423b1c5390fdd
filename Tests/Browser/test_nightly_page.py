# SPDX-License-Identifier: GPL-2.0-or-later
"""The page of `python -m ttlog nightly` in a headless Chromium.

Environment: TT_AXE, axe.min.js. TT_SCREENSHOTS, a folder: also writes pictures. scripts/test-report sets the first.
"""
import os
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../../python"))

from chromium import Chromium  # noqa: E402
from ttlog import _nightly_page  # noqa: E402

HOSTILE = "<img src=http://127.0.0.1:9/x onerror=\"window.injected=1\"></script><script>window.injected=1</script>"


def row(night, guest, number, statuses):
    replays = []
    for index, status in enumerate(statuses, 1):
        replay = {"name": str(index), "status": status, "verdict": ("identical", "control-flow", "failed")[status]}
        if status == 1:
            replay.update({"title": "control flow differs", "class": "path", "original_ip": 0x201048 + number % 3,
                           "summary": f"at 0x{0x201048 + number % 3:x} <step+0x40 @ work_through_round+0xa8> the replay branches, "
                                      "the original goes straight on", "original_brctr": 1179128 + number,
                           "report": f"reports/{night}/{guest}-{number:04d}-{index}.html"})
        if status == 2:
            replay["error"] = "tt-replay: status 2: the replay made no progress for 10 s " + HOSTILE
        replays.append(replay)
    return {"night": night, "guest": guest, "number": number, "run": f"runs/{night}/{guest}/{number:04d}", "status": max(statuses),
            "bytes": 480_000 + number, "seconds": 1.5, "error": None, "replays": replays}


def corpus(nights=40):
    rows = []
    for night in range(nights):
        name = f"2026-{10 + night // 30}-{night % 30 + 1:02d}"
        for number in range(1, 9):
            rows.append(row(name, "linux-boot", number, [int(number % 5 == night % 7), 0]))
            rows.append(row(name, "tiny", number, [2 if number == 8 and night % 9 == 4 else 0]))
    return rows


class NightlyPage(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.path = cls.write("index.html", corpus())
        # axe takes a minute for a thousand rows.
        cls.short = cls.write("short.html", corpus(5))
        cls.page = Chromium().__enter__()

    @classmethod
    def write(cls, name, rows):
        path = os.path.join(cls.folder.name, name)
        bad = [row for row in rows if row["status"] == 1]
        references = {row["run"]: (f"runs/{row['night']}/linux-boot/0002", 1179128) for row in bad}
        with open(path, "w", encoding="utf-8") as file:
            file.write(_nightly_page.page(rows, references, {row["run"] for row in bad}))
        return path

    @classmethod
    def tearDownClass(cls):
        cls.page.__exit__()
        cls.folder.cleanup()

    def shown(self):
        return self.page.run("[...document.querySelectorAll('#rows tbody tr')].filter(row => !row.hidden).length")

    def choose(self, key, value):
        self.page.run(f"(() => {{ const it = document.querySelector('[data-key={key}]'); it.value = '{value}';"
                      " it.dispatchEvent(new Event('input', {bubbles: true})); })()")

    def test_filters(self):
        self.page.open(self.path)
        every = self.shown()
        self.assertEqual(every, 40 * 8 * 3)
        self.choose("state", "parted")
        parted = self.shown()
        self.assertEqual(parted, sum(row["status"] == 1 for row in corpus()))
        self.choose("night", "2026-10-03")
        self.choose("text", "0x20104A")
        self.assertTrue(0 < self.shown() < parted)
        # The address of the page has the choice.
        address = self.page.run("location.hash")
        count = self.shown()
        self.page.open(self.path)
        self.assertEqual(self.shown(), every)
        self.page.run(f"location.hash = '{address}'; location.reload()")
        self.page.events = []
        self.page.wait("Page.loadEventFired")
        self.assertEqual(self.shown(), count)
        self.assertEqual(self.page.problems(), [])

    def test_nothing_that_was_injected_runs_and_nothing_is_fetched(self):
        self.page.open(self.path)
        self.assertEqual(self.page.run("typeof window.injected"), "undefined")
        self.assertEqual(self.page.problems(), [])

    def test_axe_finds_nothing_and_no_width_overflows(self):
        with open(os.environ["TT_AXE"], encoding="utf-8") as file:
            axe = file.read()
        for width in (400, 1280):
            for dark in (False, True):
                self.page.size(width, 900, dark)
                self.page.open(self.short)
                self.page.run("document.querySelector('details').open = true")
                self.assertLessEqual(self.page.run("document.documentElement.scrollWidth"), width)
                self.page.run(axe + "; 0")
                found = self.page.run("axe.run(document).then(r => r.violations.map(v => v.id + ': ' + v.nodes[0].html))")
                self.assertEqual(found, [], (width, dark))
                if os.environ.get("TT_SCREENSHOTS"):
                    name = f"nightly-{width}-{'dark' if dark else 'light'}.png"
                    self.page.open(self.path)
                    self.page.screenshot_page(os.path.join(os.environ["TT_SCREENSHOTS"], name), 1400)
        self.page.size(1280, 900)

    def test_without_scripts_everything_reads(self):
        self.page.open(self.path, scripts=False)
        self.page.call("Emulation.setScriptExecutionDisabled", value=False)
        self.assertTrue(self.page.run("document.querySelector('.filters').hidden"))
        self.assertEqual(self.shown(), 40 * 8 * 3)
        self.page.open(self.path)


if __name__ == "__main__":
    unittest.main()
