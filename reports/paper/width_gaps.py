"""The gap between trained models against the width, and claims about powers of the width."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from wideproof.derive.latex.text import Ref
from wideproof.numeric.core.statistics import normal_quantile, two_sided_p
from wideproof.numeric.paper.experiments import GapLadder, Setting, Sizes, gap_ladder
from wideproof.numeric.paper.experiments.training_dynamics import fit_rate
from wideproof.numeric.validation.convergence import KernelError
from wideproof.reports.document.blocks import Block, Paragraph
from wideproof.reports.paper.item import Context, PaperClaim
from wideproof.reports.write import figures
from wideproof.reports.write.picture import placed

ROUNDING = 1e-9
LEVEL = 0.01
EFFECT = 0.1  # of a slope
LAW_POWER = -0.4  # of the distance of an empirical law, which falls as (log log n / n)^(1/2)


def exact(text: str, error: float) -> PaperClaim:
    """A claim that two computations of one number agree up to rounding."""
    return PaperClaim(f"{text} up to rounding", "holds" if error < ROUNDING else "refuted", error)


def rate(text: str, slope: float, stderr: float, predicted: float = -0.5) -> PaperClaim:
    """A claim about a power of the width: refuted where the slope is off at the level of the check.

    It holds where, besides, a slope off by EFFECT would be refuted with a probability of nine in ten.
    """
    refuted = two_sided_p((slope - predicted) / stderr) < LEVEL
    seen = (normal_quantile(LEVEL / 2) + normal_quantile(0.1)) * stderr
    return PaperClaim(
        text, "refuted" if refuted else "holds" if seen <= EFFECT else "undecided", slope, stderr, predicted
    )


def at_most(text: str, slope: float, stderr: float, bound: float) -> PaperClaim:
    """A claim that a power of the width is at most a bound: one-sided tests of it and of its opposite."""
    score = (slope - bound) / stderr
    sure = normal_quantile(LEVEL)
    return PaperClaim(
        text, "refuted" if score > sure else "holds" if score < -sure else "undecided", slope, stderr, bound
    )


def falling(error: KernelError, stem: str, context: Context, what: str, caption: str) -> tuple[Block, ...]:
    """An error against the width, with its fitted power; `what` is on the axis."""
    drawn = figures.power_law(error.widths, {what: error.error}, "width $n$", what, {what: error.stderr},
                              {what: power(error)})  # fmt: skip
    told = f"{caption} and standard error over {error.trials} networks at each width. The line has the fitted power."
    return (placed(drawn, context.folder, f"paper-{stem}", told, f"fig:paper-{stem}"),)


def power(error: KernelError) -> tuple[float, float]:
    """The power of the width by its own standard errors, with a term in 1/n for the narrow networks."""
    widths, errors, spread = (np.array(x, dtype=float) for x in (error.widths, error.error, error.stderr))
    return fit_rate(widths, errors, correction=1.0, errors=spread)[:2]


def slope_claim(text: str, error: KernelError) -> PaperClaim:
    """A claim that an error falls as the width to the power -1/2, with its own standard errors."""
    return rate(text, *power(error))


def gaps_of(context: Context) -> GapLadder:
    """The gap between RNN and scaled convolution at every width, measured once for all items that read it."""
    sizes = context.setting(Sizes)
    if "gaps" not in context.runs:
        setting = replace(context.setting(Setting), steps=sizes.gap_steps)
        with context.stage("training gap against width") as progress:
            context.runs["gaps"] = gap_ladder(
                setting,
                widths=sizes.widths,
                seeds=sizes.networks,
                announce=context.announce,
                progress=progress,
                tasks=context.tasks,
            )
    return context.runs["gaps"]


def gap_figure(context: Context, gaps: GapLadder, which: str, stem: str) -> tuple[Block, ...]:
    """The gap against the width with its fitted rate, and what it is, each told once."""
    if which in context.stands:
        return (Paragraph((f"The gap of the {which} errors against the width is that of ", Ref(context.stands[which]),
                           ".")),)  # fmt: skip
    before = [context.stands[x] for x in ("training", "test") if x in context.stands]
    context.stands[which] = f"fig:{stem}"
    drawn = figures.power_law(gaps.widths, {"gap": gaps.mean}, "width $n$", f"gap of the {which} errors",
                              {"gap": gaps.stderr}, {"gap": (gaps.slope, gaps.slope_stderr)})  # fmt: skip
    decades = np.log10(gaps.widths[-1] / gaps.widths[0])
    text = Paragraph(
        (f"The gap of the {which} errors, taken and fitted as in ", Ref(before[0]), ", is in ", Ref(f"fig:{stem}"), ".")
    ) if before else Paragraph((
        f"The gap is the largest relative difference of the two {which} errors over the first {gaps.setting.steps} "
        "steps. ", Ref(f"fig:{stem}"), f" shows it over {decades:.3g} decades of widths, {len(gaps.gaps[0])} networks "
        "each, sampled in law; its power of the width is fitted to the logarithms, with a term in the inverse root of "
        "the width for the narrow networks.",
    ))  # fmt: skip
    caption = (f"Gap between the {which} errors of RNN and scaled convolution against the width: mean and standard "
               f"error over {len(gaps.gaps[0])} networks. The line has the fitted power.")  # fmt: skip
    return text, placed(drawn, context.folder, stem, caption, f"fig:{stem}")
