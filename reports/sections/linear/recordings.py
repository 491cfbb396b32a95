"""Section 5.2 on real recordings: a question put to each, and its answer."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from wideproof.derive.latex.text import Cite, Inline, Latex, Math, Ref, Text, inlines
from wideproof.numeric.paper.experiments import Protocol, RecordingComparison, compare
from wideproof.numeric.paper.experiments.bias_verdicts import FALSE_ALARM, MARGIN, JudgedDifferences
from wideproof.numeric.paper.experiments.recording_comparison import Regime, Score
from wideproof.numeric.paper.experiments.recording_protocol import QUICK
from wideproof.numeric.paper.experiments.settling import SETTLED
from wideproof.numeric.recordings import Recording, load_recording
from wideproof.numeric.runs.gathering import Progress
from wideproof.numeric.runs.tasks import every
from wideproof.numeric.validation.linear_rnn import variances
from wideproof.reports.document.blocks import Block, Figure, Paragraph, Section, Table
from wideproof.reports.document.numbers import value
from wideproof.reports.sections.linear.run import trainer
from wideproof.reports.sections.needs import Making, ReportRun, checked, measured
from wideproof.reports.sections.section import Draft, section
from wideproof.reports.write import figures
from wideproof.reports.write.picture import placed

DASH = "\N{EN DASH}"
LARGE = 100_000  # numbers of steps from here on are shown as powers of ten
LOWEST = -0.6  # test scores below are cut off in the figures
CUT: tuple[Inline, ...] = (
    " A picture of scores begins at ", Math(Latex(f"{LOWEST:g}")), ", or at the best score of the lowest model where "
    "that is less; what lies below is cut off.",
)  # fmt: skip
NAMES = {"RNN": "the RNN", "scaled": "the scaled convolution", "unscaled": "the unscaled convolution"}
R2 = Math(Latex("R^2"))
NU_W = Math(Latex(r"\nu_W"))


@checked
def loaded(run: Making) -> list[Recording]:
    """The recordings: a wrong path is told before the long work."""
    return [load_recording(name, **run.columns) for name in run.data]


@measured("", record="recordings")
def compared(run: Making, progress: Progress) -> tuple[RecordingComparison, ...]:
    """The models of the paper compared on each recording."""
    nu = variances(run.program, run.nu)
    protocol = replace(QUICK, **(nu | {"nu_W": tuple(sorted({*QUICK.nu_W, nu["nu_W"]}))}))
    return tuple(every(partial(_compared, run, recording, protocol) for recording in run[loaded]))


def _compared(run: Making, recording: Recording, protocol: Protocol) -> RecordingComparison:
    with run.stage(f"recording {recording.name}") as progress:
        return compare(recording, protocol, seed=run.seed, progress=progress, **trainer(run))


@section("Real recordings", "sec:recordings", 70, (loaded, compared),
         "puts the paper's question to real recordings")  # fmt: skip
def recordings(run: ReportRun, draft: Draft) -> tuple[Block, ...]:
    """§ 5.2 on real data: a question put to each recording, and its answer."""
    found = run[compared]
    tags = tags_of([c.recording for c in found])
    parts = tuple(_recording(c, draft.folder, tag) for c, tag in zip(found, tags, strict=True))
    return (protocol_paragraph(), *parts) if parts else ()


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
            " has no lower bound: a segment in which little happens weighs heavily in its mean. Differences are "
            "paired. The p for a statement is the probability of evidence this strong for it though it is false, the p "
            "against it of evidence this strong against it though it is true; both are corrected (Holm) for all "
            f"statements about a recording, a verdict needs at most {FALSE_ALARM:g}, and both are 1 where a run still "
            "improves.",
            *CUT,
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
    c: RecordingComparison, folder: Path, tag: str, tables: bool = True, curves: bool = True, facts: bool = True
) -> tuple[Block, ...]:
    """What was decided and why the rest could not be; what was compared; scores, and the course of the training."""
    name = () if facts else (f"{c.recording}. ",)
    blocks: list[Block] = [Paragraph((*name, *inlines(_answer(c))))] if tables else []
    blocks += [Paragraph(_facts(c))] if facts else []
    if curves:
        blocks += [
            Paragraph((Ref(f"fig:{tag}-course"), " follows the test scores over the steps.")),
            _curves(c, folder, tag),
        ]
    if tables:
        blocks += [
            Paragraph((Ref(f"tab:{tag}-scores"), " has the test scores of what validation chose, and ",
                       Ref(f"fig:{tag}-sweep"), " shows what it chose from. ", Ref(f"tab:{tag}-bias"),
                       " has the verdict on each of the paper's statements, by differences of test ",
                       R2, f" and corrected for all {len(c.judged)} of them; = means a difference below {MARGIN:g} in "
                       "size, > one above 0.")),
            _scores(c, f"tab:{tag}-scores"),
            _sweep(c, folder, tag),
            _verdicts(c, f"tab:{tag}-bias"),
        ]  # fmt: skip
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


def _curves(c: RecordingComparison, folder: Path, tag: str) -> Figure:
    """Figure 4: the test score of every output against the step, all models from the matched start."""
    parts: dict[str, dict[str, list[float]]] = {}
    errors: dict[str, dict[str, list[float]]] = {}
    steps: tuple[int, ...] = ()
    for regime in c.regimes:
        own = [score for score in regime.scores if score.start == "matched"]
        steps = own[0].curve_steps
        for k, name in enumerate(_short(c)):
            title = f"{regime.name} data" if len(c.outputs) == 1 else f"{name}, {regime.name} data"
            parts[title] = {s.model: [r2[k] for r2 in s.curve] for s in own}
            errors[title] = {s.model: [r2[k] for r2 in s.curve_stderr] for s in own}
    drawn = figures.panels(steps, parts, "gradient step", "test $R^2$", errors, LOWEST, steps=True)
    runs = " and ".join(f"{r.runs} {_units(r)} ({r.name} data)" for r in c.regimes)
    caption: Text = (
        f"{c.recording}: test ", R2, " against the step, mean and standard error over ", runs, "; each model at the ",
        NU_W, " and step size that validation chose.",
    )  # fmt: skip
    return placed(drawn, folder, f"{tag}-course", caption, f"fig:{tag}-course")


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
    caption: Text = (
        f"{c.recording}: validation ", R2, " against ", NU_W, ", the step size chosen for each point, mean and "
        "standard error over runs; curves are set side by side. Every model takes its own maximum.",
    )  # fmt: skip
    return placed(figure, folder, f"{tag}-sweep", caption, f"fig:{tag}-sweep")


def _units(regime: Regime) -> str:
    return "segments" if regime.name == "limited" else "networks"


def _short(c: RecordingComparison) -> tuple[str, ...]:
    """Column heads that fit: y1, y2, ... where there are several outputs."""
    return c.outputs if len(c.outputs) == 1 else tuple(f"y{i}" for i in range(1, len(c.outputs) + 1))


def _model(name: str) -> str:
    return name.removesuffix(" convolution").removeprefix("linear ")


def _scores(c: RecordingComparison, label: str) -> Table:
    rows: tuple[tuple[Text, ...], ...] = tuple(
        (
            regime.name,
            _model(score.model),
            score.start,
            value(score.nu_W),
            value(score.step_fraction),
            _steps(score),
            *(value(r, e) for r, e in zip(score.r2, score.stderr, strict=True)),
        )
        for regime in c.regimes
        for score in regime.scores
    )
    sizes = "; ".join(
        f"{r.name}: {r.runs} {_units(r)}, {r.training_samples} training samples"
        + (" each, " if r.name == "limited" else ", ")
        + f"{r.test_samples} test samples"
        for r in c.regimes
    )
    return Table(
        ("data", "model", "start", NU_W, "step size", "steps", *_short(c)),
        rows,
        (f"{c.recording}: test ", R2, f" per output ({sizes}). Step sizes are over the inverse of the largest "
         "curvature; + marks models with runs that still improve."),
        label,
        "lllrrr" + "r" * len(c.outputs),
    )  # fmt: skip


def _steps(score: Score) -> Text:
    """The range of the best numbers of steps over the runs; large ones are those of a closed form."""
    steps = sorted({min(score.best_steps), max(score.best_steps)})
    said: list[Inline] = [str(k) if k < LARGE else value(k, digits=1) for k in steps]
    return (said[0], *(x for k in said[1:] for x in (DASH, k)), "+" if score.improving else "")


def _verdicts(c: RecordingComparison, label: str) -> Table:
    short = dict(zip(c.outputs, _short(c), strict=True))
    rows: tuple[tuple[Text, ...], ...] = tuple(
        (
            j.what.regime,
            short[j.what.output],
            j.what.start,
            _claim(j),
            value(j.what.difference, j.what.stderr),
            value(j.p_for, digits=2),
            value(j.p_against, digits=2),
            j.verdict,
        )
        for j in c.judged
    )
    return Table(
        ("data", "output", "start", "statement", "difference", "p for", "p against", "verdict"),
        rows,
        f"{c.recording}: the paper's statements, put to the test.",
        label,
        "llllrrrl",
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
    """In words: what was decided, and why the rest could not be."""
    decided = [words for words in map(_decided, _kinds(c)) if words]
    open_ = [j for j in c.judged if j.verdict == "undecided"]
    count = len(c.judged) - len(open_)
    lead = f"Of {len(c.judged)} statements {count} {'is' if count == 1 else 'are'} decided: {'; '.join(decided)}. "
    lead = lead if decided else f"None of {len(c.judged)} statements is decided. "
    return (lead, *((*_undecided(open_), *_improving(c)) if open_ else ()))


def _kinds(c: RecordingComparison) -> list[list[JudgedDifferences]]:
    """The statements that say one thing of all outputs and starts, in their order."""
    found: dict[tuple[str, str], list[JudgedDifferences]] = {}
    for j in c.judged:
        found.setdefault((j.what.regime, _claim(j)), []).append(j)
    return list(found.values())


def _decided(own: list[JudgedDifferences]) -> str:
    """How many statements of one kind hold and how many are refuted; nothing where none is decided."""
    first = own[0]
    verb = "beats" if first.what.kind == "helps" else "scores as"
    models = [NAMES[_model(name)] for name in (first.what.first, first.what.second)]
    holds, refuted = (sum(j.verdict == verdict for j in own) for verdict in ("holds", "refuted"))
    counts = [f"{n} of {len(own)} {word}" for n, word in ((holds, "hold"), (refuted, "are refuted")) if n]
    return f"with {first.what.regime} data {models[0]} {verb} {models[1]} ({', '.join(counts)})" if counts else ""


def _undecided(open_: Sequence[JudgedDifferences]) -> tuple[Inline, ...]:
    """Why statements stay undecided: runs that still improve, or errors too large for the question."""
    moving = sum(bool(j.what.unsettled) for j in open_)
    wide = [j.what.stderr for j in open_ if not j.what.unsettled]
    reasons: list[Inline] = []
    if moving:
        reasons += [f"{moving} because a run that {'it' if moving == 1 else 'they'} would judge still improves"]
    if wide:
        reasons += [", " if reasons else "", f"{len(wide)} because the standard error of the difference, ",
                    value(min(wide), digits=2), *((" to ", value(max(wide), digits=2)) if len(wide) > 1 else ()),
                    f", is too large to tell it from its opposite at {FALSE_ALARM:g}"]  # fmt: skip
    return (f"Undecided {'is' if len(open_) == 1 else 'are'} {len(open_)}: ", *reasons, ". ")


def _improving(c: RecordingComparison) -> tuple[str, ...]:
    """Which runs still improve."""
    return tuple(f"With {r.name} data, {s.improving}. " for r in c.regimes for s in r.scores if s.improving)
