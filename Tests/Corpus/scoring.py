# SPDX-License-Identifier: GPL-2.0-or-later
"""Cases with their expectations, and the score of an answer."""

import re
from dataclasses import dataclass, field


@dataclass
class Place:
    """Where the runs part. Each field that is set must agree."""

    icount: int = None      # instruction count, in the original unless `side` says otherwise
    brctr: int = None
    symbol: str = None      # pattern of the symbol at the instruction
    source: str = None      # FILE:LINE of the instruction, in any inline frame
    before: int = None      # the place is before this instruction count (a phase of the guest that has not begun)
    moved: int = None       # instructions by which an event moved
    clocks: range = None    # the clock is in this range
    kind: str = None        # pattern of the kind of event that differs
    side: str = "original"
    is_branch: bool = False  # cmp finds the same clock

    def __str__(self):
        parts = []
        if self.kind:
            parts.append(self.kind)
        if self.icount is not None:
            parts.append(f"icount {self.icount}")
        if self.brctr is not None:
            parts.append(f"brctr {self.brctr}")
        if self.clocks is not None:
            parts.append(f"brctr {self.clocks.start}:{self.clocks.stop}")
        if self.source:
            parts.append(self.source)
        elif self.symbol:
            parts.append(f"in {self.symbol}".replace("|", " or "))
        if self.before is not None:
            parts.append(f"before icount {self.before}")
        if self.moved is not None:
            parts.append(f"moved by {self.moved:+}")
        if self.is_branch:
            parts.append("first branch of cmp")
        return ", ".join(parts) or "none"


@dataclass
class Case:
    name: str
    guest: str
    why: str                 # how the expectation follows from the way in which the case is made
    make: object             # Runs -> Pair
    verdict: object          # the class, or (Pair, Runs) -> class
    place: object = field(default_factory=Place)   # a Place, or Pair -> Place
    cause: str = None        # pattern of a cause that the report must name; None: no cause can be named
    corrected: str = None    # why the first expectation was wrong
    quick: bool = False
    options: tuple = ()


class Answer:
    """What `diverge --format json` says."""

    def __init__(self, document):
        self.document = document
        self.verdict = document["verdict"]
        vcpus = [vcpu for vcpu in document["vcpus"] if vcpu["vcpu"] == document.get("vcpu")]
        self.divergence = (vcpus[0] if vcpus else {}).get("divergence")
        self.causes = (self.divergence or {}).get("causes", [])

    @property
    def text(self):
        if not self.divergence:
            return self.verdict
        place = self.divergence["original"]
        text = f"{self.verdict} at brctr {place['brctr']}"
        if "icount" in place:
            text += f", icount {place['icount']}"
        if place.get("symbol"):
            text += " in " + place["symbol"].split("+")[0]
        moved = self.document.get("moved", {}).get("instructions")
        return text + (f", moved by {moved}" if moved else "")

    def side(self, name):
        return (self.divergence or {}).get(name, {})


def place_agrees(place, answer, made, runs):
    """Whether the answer's place is the expected one."""
    if answer.divergence is None:
        return str(place) == "none"
    found = answer.side(place.side)
    brctr, icount = int(found["brctr"]), int(found.get("icount", -1))
    checks = [
        place.icount is None or icount == place.icount,
        place.brctr is None or brctr == place.brctr,
        place.clocks is None or brctr in place.clocks,
        place.before is None or icount < place.before,
        place.symbol is None or re.search(place.symbol, found.get("symbol", "")) is not None,
        place.source is None or any(text.endswith("/" + place.source) for text in found.get("source", [])),
        place.moved is None or answer.document.get("moved", {}).get("instructions", "").lstrip("+") == str(place.moved),
        place.kind is None or re.search(place.kind, answer.document["summary"]) is not None,
        not place.is_branch or runs.first_branch(made) == int(answer.side("original")["brctr"]),
    ]
    return all(checks)


def score(case, expected, place, answer, made, runs):
    cause, named_by = None, "–"
    if case.cause is not None:
        named = [item for item in answer.causes if re.search(case.cause, item["text"])]
        cause = bool(named)
        named_by = named[0]["kind"] if named else ", ".join(item["kind"] for item in answer.causes) or "nothing"
    is_class = answer.verdict == expected
    return {"class": is_class, "place": is_class and place_agrees(place, answer, made, runs), "cause": cause,
            "by": named_by}
