"""What stands around the items of the paper: abstract, introduction with the index, and what all of it came to."""

from __future__ import annotations

from collections.abc import Sequence

from wideproof.derive import scale_factors
from wideproof.derive.language.notation import j
from wideproof.derive.latex.printer import math
from wideproof.derive.latex.text import Cite, Code, Inline, Ref, Text, marked
from wideproof.numeric.core.checks import Verdict
from wideproof.reports.document.blocks import Block, Paragraph, Section, Table
from wideproof.reports.document.numbers import value
from wideproof.reports.paper.catalogue import ITEMS, THEORY_ITEMS
from wideproof.reports.paper.certificates import FOLDER, unasked
from wideproof.reports.paper.errata import ERRATUM_ITEMS
from wideproof.reports.paper.figures import FIGURE_ITEMS
from wideproof.reports.paper.item import Context, Item, PaperClaim, Result, worst
from wideproof.reports.paper.width_gaps import EFFECT, LEVEL, ROUNDING
from wideproof.reports.sections import opening

Made = Sequence[tuple[Item, Result]]
GROUPS: dict[str, tuple[Item, ...]] = {
    "claims about theorems, propositions and lemmas": THEORY_ITEMS,
    "claims about figures and tables": FIGURE_ITEMS,
    "errata": ERRATUM_ITEMS,
}
PAPER = Cite("emami2021implicit")
WHOLE = "every numbered result, figure and table"


def subject(made: Made) -> str:
    """What of the paper is told."""
    if {item.name for item, _ in made} == set(ITEMS):
        return WHOLE
    places = [item.place for item, _ in made]
    return " and ".join(filter(None, (", ".join(places[:-1]), places[-1])))


def abstract(made: Made, context: Context) -> Text:
    """The theorem on the kernel where it is among the items, and the verdicts with their numbers."""
    said: list[Inline] = []
    if {"thm-3.2", "thm-3.3b"} & {item.name for item, _ in made}:
        scale = scale_factors(context.rnn).formula.expr
        said += ["As its width grows, the tangent kernel of the linear RNN converges to that of a convolution which "
                 "scales lag ", math(j), " by ", math(scale, context.rnn.program()), ". "]  # fmt: skip
    proved = f" by proofs of {len(context.known.told)} steps in all" if context.known.told else ""
    what = subject(made)
    said += [f"{what[0].upper()}{what[1:]} of ", PAPER, f": derived from the definition of the recursion{proved} or "
             "cited where this is said, measured at finite width, and judged. ", *_counted(made), *_powers(context),
             f"Together: {_verdict(made)}."]  # fmt: skip
    return tuple(said)


def introduction(made: Made, context: Context) -> Section:
    """Five sentences, the index, and by which rules a claim holds."""
    return Section("Introduction", (Paragraph(_five(made)), Paragraph(_rules()), _index(made)), "sec:introduction")


def _five(made: Made) -> Text:
    return (
        f"This report goes through {subject(made)} of ", PAPER, *marked(", which is about the linear RNN, a recurrent "
        "network without activations whose state has the width $n$. As $n$ grows, gradient descent on it is governed "
        "by its tangent kernel "), Cite("jacot2018neural"), ", that of a convolution "
        "which learns some lags faster than others. What is proved here is proved from the definition alone, by steps ",
        opening.PROVED, ". ", Ref("tab:index"), " has the items, each with its section and its verdict. Every number "
        "is derived or measured: a measured one carries its standard error in brackets, in units of its last digits.",
    )  # fmt: skip


def _rules() -> Text:
    return (
        "A derived statement holds if its proof was replayed and audited; a measured one by the rule stated with it. "
        "An equality up to rounding holds below ", value(ROUNDING), f". A power of the width is refuted where it is "
        f"off at the level {LEVEL:g}, and holds where, besides, one that is off by {EFFECT:g} would be refuted nine "
        "times in ten. Undecided is a difference whose interval is too wide for either verdict at this size, which "
        "more networks, seeds or data narrow.",
    )  # fmt: skip


def _index(made: Made) -> Table:
    rows = tuple(
        (item.place, item.title, Ref(f"sec:{item.name.replace('.', '-')}"), worst([c.verdict for c in result.claims]))
        for item, result in made
    )
    return Table(("paper", "item", "section", "verdict"), rows, "Items of the paper.", "tab:index", "llll")


def conclusion(made: Made, context: Context) -> Section:
    """How many claims of each kind hold, which do not, and the powers that were measured."""
    told = (*_counted(made), *_open(made), *_powers(context))
    return opening.conclusion(_verdict(made), told)


def _claims(made: Made, group: Sequence[Item]) -> list[PaperClaim]:
    names = {item.name for item in group}
    return [claim for item, result in made if item.name in names for claim in result.claims]


def _counted(made: Made) -> tuple[Inline, ...]:
    """How many claims of each kind hold, one sentence for each kind that there is."""
    found = {noun: _claims(made, group) for noun, group in GROUPS.items()}
    return tuple(f"{opening.sentence(opening.tally(claims, noun))} " for noun, claims in found.items() if claims)


def _open(made: Made) -> tuple[Inline, ...]:
    """The items that do not hold, by their places."""
    said: list[Inline] = []
    for verdict, words in (("refuted", "A claim is refuted in"), ("undecided", "Claims are undecided in")):
        found = [item for item, result in made if verdict in {claim.verdict for claim in result.claims}]
        for k, item in enumerate(found):
            joint = f"{words} " if k == 0 else " and " if k == len(found) - 1 else ", "
            said += [joint, Ref(f"sec:{item.name.replace('.', '-')}")]
        said += [". "] if found else []
    return tuple(said)


def _powers(context: Context) -> tuple[Inline, ...]:
    """The powers of the width at which training approaches its limits, where they were measured."""
    if "gaps" not in context.runs:
        return ()
    gaps = context.runs["gaps"]
    return ("The training curves of network and convolution approach each other as the width to the power ",
            value(gaps.slope, gaps.slope_stderr), ". ")  # fmt: skip


def _verdict(made: Made) -> Verdict:
    return worst([claim.verdict for _, result in made for claim in result.claims])


def provenance(context: Context) -> Section:
    """What the numbers depend on, and what was asked of coqc."""
    size = "at their quick size" if context.quick else "at full size"
    blocks: tuple[Block, ...] = (
        Paragraph((
            f"The items were measured {size} with the seed {context.seed}. The file ", Code("run.json"), " beside this "
            "report holds the inputs, the seed, the versions of all programs, the time, and every claim.",
        )),
    )  # fmt: skip
    if context.known.told:
        said = (f"The folder {FOLDER} holds a Coq file for each proof that has one. ", unasked(context.quick))
        blocks = (*blocks, Paragraph(tuple(filter(None, said))))
    return Section("How this report was made", blocks, "sec:provenance")
