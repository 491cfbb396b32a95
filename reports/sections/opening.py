"""How every report begins and ends: an introduction of five sentences, and what its checks came to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from wideproof.derive import Derivation
from wideproof.derive.latex.text import Cite, Code, Inline, Ref, Text, inlines, marked
from wideproof.numeric.core.checks import Check, Verdict
from wideproof.reports.document.blocks import Itemize, Paragraph, Section
from wideproof.reports.document.numbers import value

PROVED = "of which every step was replayed from its premises and audited by code that shares no rule with the engine"
KERNEL_THEORY: tuple[Inline, ...] = (
    *marked("As the width $n$ grows, the outputs of such a network at its random start become a Gaussian process, "
            "and gradient descent is governed by the tangent kernel "), Cite("jacot2018neural"), ", ",
    Cite("yang2020tensor2"), ". ",
)  # fmt: skip


def introduction(subject: Text, theory: Text, derived: Text, announced: Sequence[tuple[str, str]]) -> Section:
    """Five sentences: what is studied, why, what is proved, what each section does, and how numbers are to be read.

    `announced` are labels of sections, each with what it does.
    """
    told: list[Inline] = []
    for k, (label, does) in enumerate(announced):
        told += ["" if not k else " and " if k == len(announced) - 1 else ", ", Ref(label), f" {does}"]
    reading = (
        "Every number is derived or measured: a measured one carries its standard error in brackets, in units of its "
        "last digits, and a verdict the rate at which it would refute a true statement."
    )
    text = (
        *inlines(subject),
        *inlines(theory),
        *inlines(derived),
        *(part for part in told if part != ""),
        ". ",
        reading,
    )
    return Section("Introduction", (Paragraph(text),), "sec:introduction")


def steps(*derivations: Derivation) -> str:
    """How long proofs are, in words."""
    counts = [str(len(d.proof.steps)) for d in derivations]
    return " and ".join(filter(None, (", ".join(counts[:-1]), counts[-1])))


class HasVerdict(Protocol):
    """What has a verdict."""

    @property
    def verdict(self) -> Verdict:
        """Whether it holds."""


def tally(checks: Sequence[HasVerdict], noun: str) -> str:
    """How many checks hold, are refuted and are undecided: of 72 entries 57 hold, 15 are undecided, none is refuted."""
    count = {verdict: sum(c.verdict == verdict for c in checks) for verdict in ("holds", "undecided", "refuted")}
    for verdict, words in (("holds", "hold"), ("undecided", "are undecided"), ("refuted", "are refuted")):
        if count[verdict] == len(checks):
            return f"all {len(checks)} {noun} {words}"
    parts = [_counted(count["holds"], "holds", "hold")]
    parts += [_counted(count["undecided"], "is undecided", "are undecided")] if count["undecided"] else []
    parts.append(_counted(count["refuted"], "is refuted", "are refuted"))
    return f"of {len(checks)} {noun} {', '.join(parts[:-1])} and {parts[-1]}"


def sentence(words: str) -> str:
    """A clause as a sentence."""
    return f"{words[:1].upper()}{words[1:]}."


def _counted(count: int, one: str, many: str) -> str:
    return f"{count or 'none'} {one if count < 2 else many}"


def undecided(checks: Sequence[Check], noun: str, nouns: str) -> tuple[Inline, ...]:
    """Why checks are undecided, and what would decide them; nothing where none is."""
    found = [c for c in checks if c.verdict == "undecided"]
    if not found:
        return ()
    reach = max(c.detectable / c.effect for c in found)
    who = f"The one undecided {noun} is" if len(found) == 1 else f"The {len(found)} undecided {nouns} are"
    if reach <= 1:
        return (f"{who} not judged: {found[0].note}. ",)
    worst = max(found, key=lambda c: c.detectable / c.effect)
    return (
        f"{who} too inexact: an error of ", value(worst.detectable, digits=2), f" would be seen where {worst.effect:g} "
        f"must be, which takes about ", value(reach**2, digits=2), " times as many draws. ",
    )  # fmt: skip


def conclusion(verdict: Verdict, *parts: Text) -> Section:
    """What the results say, and the joint verdict."""
    words = {
        "holds": "Every check of this report holds: the limits that were proved are what finite networks approach.",
        "refuted": "A check of this report is refuted: theory and experiment disagree at the sizes used.",
        "undecided": "No check of this report is refuted, and some are undecided at the sizes used.",
    }
    said = tuple(part for text in parts for part in inlines(text))
    return Section("Conclusion", (Paragraph((*said, words[verdict])),), "sec:conclusion")


Assumed = tuple[Text, tuple[Text, ...]]
"""A sentence on what we assumed, and the assumptions as a list."""


def nothing_assumed(run: object) -> Assumed:
    """No assumption that is not told elsewhere."""
    return "", ()


def provenance(seed: int, said: Text = "", listed: tuple[Text, ...] = ()) -> Section:
    """What the numbers depend on."""
    text = (
        f"The seed is {seed}. The file ", Code("run.json"), " beside this report holds the inputs, the seed, the "
        "versions of all programs, the time, and every number above.", *inlines(said),
    )  # fmt: skip
    blocks = (Paragraph(text), *((Itemize(listed),) if listed else ()))
    return Section("How this report was made", blocks, "sec:provenance")
