"""Section 5.2 on real recordings: a question put to each, and its answer."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from wideproof.derive.latex.text import Cite, Inline, Latex, Math, Ref, Text
from wideproof.numeric.paper.experiments import RecordingComparison
from wideproof.numeric.paper.experiments.bias_verdicts import FALSE_ALARM, MARGIN, JudgedDifferences
from wideproof.numeric.paper.experiments.recording_comparison import Regime, Score
from wideproof.numeric.paper.experiments.settling import SETTLED
from wideproof.reports.document.blocks import Block, Figure, Paragraph, Section, Table
from wideproof.reports.document.numbers import value
from wideproof.reports.sections.linear.run import LinearRun
from wideproof.reports.write import figures

DASH = "\N{EN DASH}"
LARGE = 100_000  # numbers of steps from here on are shown as powers of ten
LOWEST = -0.6  # test scores below are cut off in the figures
CUT: tuple[Inline, ...] = (
    "Each picture begins at ", Math(Latex(f"{LOWEST:g}")), ", or at the best score of the lowest model where that is "
    "less; what lies below is cut off.",
)  # fmt: skip
R2 = Math(Latex("R^2"))
NU_W = Math(Latex(r"\nu_W"))


def recordings(run: LinearRun, folder: Path) -> Section:
    """§ 5.2 on real data: a question put to each recording, and its answer."""
    tags = tags_of([c.recording for c in run.recordings])
    parts = tuple(_recording(c, folder, tag) for c, tag in zip(run.recordings, tags, strict=True))
    return Section("Real recordings", (protocol_paragraph(), *parts), "sec:recordings")


def protocol_paragraph() -> Paragraph:
    """The question, and how every recording is treated alike."""
    return Paragraph(
        (
            "Does the bias help with little data, and make no difference with much, as ",
            Cite("emami2021implicit", "section 5.2"),
            " reports for its own recording? Outputs are predicted from inputs by a causal filter; parts are "
            "contiguous "
            "in time; standardisation uses the training part alone. Limited data are several disjoint segments of the "
            "training part, each with a network of its own. One rule serves every model: ",
            NU_W,
            " and the step size are those of the largest mean validation ",
            R2,
            ", and each run takes the number of steps that does best on the validation part: a convolution, whose "
            "descent has a closed form, of all steps to convergence, the RNN of those that it is given. What has "
            f"settled is judged: a run that may still gain more than {SETTLED:g} of validation ",
            R2,
            " is not, by what it gained over the last half of its steps, or by what its scaled convolution gains after "
            "as much training. Convolutions start at the response of the RNN they are matched to, or at zero. Errors "
            "join the spread over segments (limited data) "
            "or "
            "networks (full data) with a moving-block bootstrap of the test part; with full data there is one training "
            "part, so what another one would have given is not in them. ",
            R2,
            " has no lower bound: a segment in which little happens weighs heavily in its mean.",
        )
    )


def tags_of(names: Sequence[str]) -> list[str]:
    """A different word for each recording, of letters, digits and single hyphens: file names and labels hold it."""
    tags: list[str] = []
    for k, name in enumerate(names, 1):
        tag = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "recording"
        tags.append(f"{tag}-{k}" if tag in tags else tag)
    return tags


def _recording(c: RecordingComparison, folder: Path, tag: str) -> Section:
    return Section(c.recording, recording_blocks(c, folder, tag), f"sec:{tag}")


def recording_blocks(
    c: RecordingComparison, folder: Path, tag: str, tables: bool = True, curves: bool = True
) -> tuple[Block, ...]:
    """What was compared, the scores with their answer, and the test score against the training step."""
    scored = [f"tab:{tag}-{regime.name}" for regime in c.regimes]
    shown = [f"fig:{tag}-{regime.name}" for regime in c.regimes] if curves else []
    shown += [f"fig:{tag}-sweep", *scored, *(f"{label}-bias" for label in scored)] if tables else []
    refs: list[Inline] = [part for label in shown for part in (", ", Ref(label))]
    blocks: list[Block] = [Paragraph((_facts(c), " See ", *refs[1:], "."))]
    if curves:
        blocks += [_curves(c, regime, folder, tag) for regime in c.regimes]
    if tables:
        blocks += [_sweep(c, folder, tag)]
        blocks += [_scores(c, regime, f"tab:{tag}-{regime.name}") for regime in c.regimes]
        blocks += [_verdicts(c, regime, f"tab:{tag}-{regime.name}-bias") for regime in c.regimes]
        blocks += [Paragraph(_answer(c))]
    return tuple(blocks)


def _facts(c: RecordingComparison) -> str:
    p = c.protocol
    outputs = ", ".join(
        f"{short} = {name}" if short != name else name for short, name in zip(_short(c), c.outputs, strict=True)
    )
    return (
        f"{c.recording}: {c.samples} samples" + (f" at {c.rate:g} Hz" if c.rate else "") + f", {len(c.inputs)} inputs; "
        f"outputs {outputs}; {p.lags} lags, RNN of width {p.width}, at most {p.steps} steps of it"
        + "".join(f"; of the recording, {words}" for words in c.cut)
        + f". Source: {c.citation}."
    )


def _curves(c: RecordingComparison, regime: Regime, folder: Path, tag: str) -> Figure:
    """Figure 4: the test score of every output against the step, all models from the matched start."""
    own = [score for score in regime.scores if score.start == "matched"]
    parts = {name: {s.model: [r2[k] for r2 in s.curve] for s in own} for k, name in enumerate(c.outputs)}
    errors = {name: {s.model: [r2[k] for r2 in s.curve_stderr] for s in own} for k, name in enumerate(c.outputs)}
    figure = figures.panels(own[0].curve_steps, parts, "gradient step", "test $R^2$", errors, LOWEST, steps=True)
    stem = figures.save(figure, folder, f"{tag}-{regime.name}")
    caption: Text = (
        f"{c.recording}, {regime.name} data: test ", R2, " of every output against the step, mean and standard error "
        "(band) over "
        f"{regime.runs} {_units(regime)}; each model at the ", NU_W, " and step size that validation chose. ", *CUT,
    )  # fmt: skip
    return Figure(stem, caption, "scores of three models against the training step", f"fig:{tag}-{regime.name}", 1.0)


def _sweep(c: RecordingComparison, folder: Path, tag: str) -> Figure:
    """The validation score against nu_W, every model at its best step size."""
    grid = c.protocol.nu_W
    parts, errors = {}, {}
    for regime in c.regimes:
        points = {f"{_model(s.model)}, {s.start}": {p.nu_W: p for p in s.sweep} for s in regime.scores}
        parts[f"{regime.name} data"] = {
            n: [p[nu].mean if nu in p else np.nan for nu in grid] for n, p in points.items()
        }
        errors[f"{regime.name} data"] = {
            n: [p[nu].stderr if nu in p else np.nan for nu in grid] for n, p in points.items()
        }
    figure = figures.panels(grid, parts, r"$\nu_W$", "validation $R^2$", errors, LOWEST)
    stem = figures.save(figure, folder, f"{tag}-sweep")
    caption: Text = (
        f"{c.recording}: validation ", R2, " against ", NU_W, ", the step size chosen for each point, mean and "
        "standard "
        "error over runs. Every model takes its own maximum. ", *CUT,
    )  # fmt: skip
    return Figure(stem, caption, "validation scores of five models against the variance", f"fig:{tag}-sweep", 1.0)


def _units(regime: Regime) -> str:
    return "segments" if regime.name == "limited" else "networks"


def _short(c: RecordingComparison) -> tuple[str, ...]:
    """Column heads that fit: y1, y2, ... where there are several outputs."""
    return c.outputs if len(c.outputs) == 1 else tuple(f"y{i}" for i in range(1, len(c.outputs) + 1))


def _model(name: str) -> str:
    return name.removesuffix(" convolution").removeprefix("linear ")


def _scores(c: RecordingComparison, regime: Regime, label: str) -> Table:
    rows: tuple[tuple[Text, ...], ...] = tuple(
        (
            _model(score.model),
            score.start,
            value(score.nu_W),
            value(score.step_fraction),
            _steps(score),
            *(value(r, e) for r, e in zip(score.r2, score.stderr, strict=True)),
        )
        for score in regime.scores
    )
    each = " each," if regime.name == "limited" else ","
    return Table(
        ("model", "start", NU_W, "step size", "steps", *_short(c)),
        rows,
        (
            "Test ", R2, f" per output, {regime.name} data ({regime.runs} {_units(regime)}, {regime.training_samples} "
            f"training samples{each} {regime.test_samples} test samples). Step sizes are over the inverse of the "
            f"largest "
            "curvature; + marks models with runs that still improve.",
        ),
        label,
        "llrrr" + "r" * len(c.outputs),
    )  # fmt: skip


def _steps(score: Score) -> str:
    """The range of the best numbers of steps over the runs; large ones are those of a closed form."""
    steps = sorted({min(score.best_steps), max(score.best_steps)})
    return DASH.join(str(k) if k < LARGE else f"{k:.0e}" for k in steps) + ("+" if score.improving else "")


def _verdicts(c: RecordingComparison, regime: Regime, label: str) -> Table:
    short = dict(zip(c.outputs, _short(c), strict=True))
    rows: tuple[tuple[Text, ...], ...] = tuple(
        (
            short[j.what.output],
            j.what.start,
            _claim(j),
            value(j.what.difference, j.what.stderr),
            value(j.p_for, digits=2),
            value(j.p_against, digits=2),
            j.verdict,
        )
        for j in c.judged
        if j.what.regime == regime.name
    )
    return Table(
        ("output", "start", "statement", "difference", "p for", "p against", "verdict"),
        rows,
        (
            f"The paper's statements with {regime.name} data, put to the test. Differences of test ", R2,
            f" are paired; = means a difference below {MARGIN:g} in size, > one above 0. The p for a statement is the "
            "probability of evidence this strong for it though it is false, the p against it of evidence this strong "
            f"against it though it is true; both are corrected (Holm) for all {len(c.judged)} statements about this "
            f"recording, and a verdict needs at most {FALSE_ALARM:g}; both are 1 where a run still improves.",
        ),
        label,
        "llXrrrl",
    )  # fmt: skip


def sentence(j: JudgedDifferences) -> str:
    """The statement about one difference, in words."""
    d = j.what
    still = f" (not judged: {d.unsettled})" if d.unsettled else ""
    return f"{d.output}, {d.regime} data, {d.start} start: {_claim(j)}{still}"


def _claim(j: JudgedDifferences) -> str:
    first, second = _model(j.what.first), _model(j.what.second)
    return f"{first} > {second}" if j.what.kind == "helps" else f"{first} = {second}"


def _answer(c: RecordingComparison) -> tuple[Inline, ...]:
    """In words, how many of the statements about the bias held."""
    said = []
    for regime, kind, words in (
        ("limited", "helps", "With limited data the scaled convolution beats the unscaled one"),
        ("full", "vanishes", "With full data the two do not differ"),
    ):
        own = [j.verdict for j in c.judged if j.what.regime == regime and j.what.kind == kind
               and j.what.first == "scaled convolution"]  # fmt: skip
        counts = ", ".join(f"{verdict} {own.count(verdict)}" for verdict in ("holds", "refuted", "undecided")
                           if verdict in own)  # fmt: skip
        said.append(f"{words}: {counts} of {len(own)}. ")
    still = [f"With {r.name} data, {s.improving}. " for r in c.regimes for s in r.scores if s.improving]
    why = "A statement is undecided where the data cannot tell it from its opposite, or a run still improves. "
    return (*said, why, *still)
