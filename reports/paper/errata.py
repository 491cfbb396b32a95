"""The errata section: what the paper says, what is true, and the machine's check of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import sympy as sp

from wideproof.derive.language.grammar import parse
from wideproof.derive.latex.printer import math
from wideproof.derive.latex.text import Emph, Inline, Ref, Text
from wideproof.derive.linear.errata import ERRATA, Erratum
from wideproof.derive.linear.scale_factor_bounds import LargestRho
from wideproof.derive.referee.readings import judged_readings
from wideproof.numeric.paper.errata import check_errata
from wideproof.numeric.paper.experiments import MomentSizes, RadiusSizes, StartSizes
from wideproof.reports.document.blocks import Block, Paragraph, Table
from wideproof.reports.document.numbers import value
from wideproof.reports.paper.certificates import FOLDER, certified
from wideproof.reports.paper.item import Context, Item, PaperClaim, Result
from wideproof.reports.write.inline_math import inlines

LETTERS = {name: sp.Symbol(name) for name in ("nu_W", "nu_F", "nu_C", "T", "j", "n", "N", "n_x", "n_y")}
FUNCTIONS = {"LargestRho": LargestRho, "Max": sp.Max, "sqrt": sp.sqrt}

WORDS = {"stderr": "standard error", "deviation": "standard deviation", "holds": "condition met"}
SHOWN = {
    "lemma-c1": "Lemma C.1, for Lipschitz maps",
    "tensor-programs": "tensor programs, for polynomially bounded maps",
}
CHECKED = {
    "E1": "Spectral radius of W over sqrt(n) in random matrices, mean with standard error, and its limit sqrt(nu_W); "
          "the operator norm at the first nu_W; and the share of draws whose radius is above 1. At this "
          "width the radius is still above its limit; the statement holds if it is less than half as far from it as "
          "from nu_W. Both readings were put to the referee, which refutes them at the points beside them.",
    "E2": "E|L_t|^2 over its limit in (24) at t = 0 to 5: exact, by the derived formulas, and in random networks. The "
          "statement holds if all agree within five standard errors and the last is as far from 1. (24) at t = 2 was "
          "put to the referee, which refutes it at the point beside it.",
    "E3": "Bounds proved, readings of (22) that the referee refutes at the point beside them, and the lag of the "
          "largest scale factor for nu_F = nu_C = 1.",
    "E4": "The error |y - Toep L^0| at random starts, on the data of the paper's figure 1, and the derived bound of "
          "its mean.",
    "E5": "Largest ratio of movement to bound over lags and steps, the larger of two networks of each width, and of "
          "the convolution.",
    "E6": "Rank of the limiting kernel of N random sequences beside its size and the most it can be.",
    "E7": "A matrix that multiplies one vector at three steps: the rank of its Gram matrix, and whether the "
          "innovations form passes replay and audit all the same.",
    "E8": "How far a matrix conditioned on its products is from having them, with the fresh part projected on the "
          "kernel of A or on what is orthogonal to it.",
    "E9": "Ratio from one lag to the next of the initial and of the learned part, at lag 40 for nu_W = 0.3 and "
          "nu_F = nu_C = 1, and the first over the second at lags 1, 11, 21 and 31.",
    "E11": "The theorem that the derivation of the tangent kernel rests on.",
    "E12": "Movement after 20 steps on the mean square error, relative to the exact trajectory for half the sum of "
           "squares, with the step size converted and without.",
}  # fmt: skip
"""What the numbers of each check are, and the rule of its verdict where it is not a matter of course."""


SIZES: dict[str, tuple[type, ...]] = {"E1": (RadiusSizes,), "E2": (MomentSizes,), "E4": (StartSizes,)}


def erratum_item(erratum: Erratum) -> Item:
    """One erratum as an item of the paper."""
    kinds: tuple[type, ...] = SIZES.get(erratum.item, ())

    def make(context: Context) -> Result:
        with context.stage(f"erratum {erratum.item}") as progress:
            sizes: dict[str, Any] = {erratum.item: context.setting(kinds[0])} if kinds else {}
            (found,) = check_errata((erratum.item,), context.seed, sizes)
            progress(1, 1)
        claim = PaperClaim("a matter of wording", "holds")
        if found.holds is not None:
            claim = PaperClaim("the corrected statement", "holds" if found.holds else "refuted")
        chosen = context.assumptions(erratum.item) if kinds else ()
        beside = _certificates(context, erratum)
        blocks = (*_told(erratum), *_evidence(erratum, found.evidence, claim, beside))
        return Result((*blocks, *chosen), (claim,), listed=True)

    return Item(erratum.item, erratum.item, f"erratum to {erratum.where}", make, settings=kinds)


def _certificates(context: Context, erratum: Erratum) -> tuple[Inline, ...]:
    """The certificate of each refutation by the referee."""
    found = enumerate(judged_readings(erratum.item), 1)
    proofs = {f"{erratum.item}-{number}": judged.proof for number, judged in found if judged.proof is not None}
    return certified(context.folder.parent / FOLDER, proofs, asked=not context.quick)


def _told(erratum: Erratum) -> tuple[Block, ...]:
    seen = "its own words" if erratum.wording == "visible" else "as restored from its proof"
    return (
        Paragraph((Emph("The paper"), f", {erratum.where}, {seen}: ", *inlines(erratum.claim))),
        Paragraph((Emph("What is true: "), *inlines(erratum.corrected))),
    )


def _evidence(
    erratum: Erratum, evidence: dict[str, object], claim: PaperClaim, beside: tuple[Inline, ...]
) -> tuple[Block, ...]:
    rows, label = tuple(_rows(evidence)), f"tab:{erratum.item}-check"
    if claim.text[0] == "a" or not rows:
        return (Paragraph((Emph("Verdict: "), f"{claim.text}; nothing to compute.")),)
    verdict = Paragraph((Emph("Verdict: "), f"{claim.text} {claim.verdict} (", Ref(label), "). ", *beside))
    caption = (f"The machine's check of {erratum.item}. ", *inlines(CHECKED[erratum.item]))
    return (Table(("quantity", "found"), rows, caption, label, "lX"), verdict)


def _rows(evidence: dict[str, object], lead: tuple[Inline, ...] = ()) -> Iterator[tuple[Text, ...]]:
    """One row for each number, list, formula or point; the names of nested tables lead those inside."""
    for name, found in evidence.items():
        words = (*lead, *_name(name))
        if not isinstance(found, dict):
            yield words, _list(found if isinstance(found, list | tuple) else [found])
        elif set(found) <= set(LETTERS) and not any(isinstance(x, dict) for x in found.values()):
            yield words, _list([f"{letter} = {number}" for letter, number in found.items()])
        else:
            yield from _rows(found, (*words, ": "))


def _name(name: str) -> tuple[Inline, ...]:
    name = WORDS.get(name, name)
    if any(sign in name for sign in "*("):
        return (math(_parsed(name)),)
    return inlines(name if name in LETTERS or not name.replace("_", "").isalpha() else name.replace("_", " "))


def _list(parts: Sequence[object]) -> Text:
    return tuple(part for x in parts for part in (", ", *_shown(x)))[1:]


def _shown(found: object) -> tuple[Inline, ...]:
    if isinstance(found, bool):
        return ("yes" if found else "no",)
    if isinstance(found, int | float):
        return (value(found),)
    text = SHOWN.get(str(found), str(found))
    if any(sign in text for sign in "*(") or text in LETTERS:
        return (math(_parsed(text)),)
    return inlines(text)


def _parsed(text: str) -> sp.Expr:
    return parse(text, LETTERS, FUNCTIONS, "erratum")


ERRATUM_ITEMS = tuple(erratum_item(erratum) for erratum in ERRATA)
