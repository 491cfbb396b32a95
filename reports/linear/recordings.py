"""Section 5.2 on real recordings: a question put to each, and its answer."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from numeric.experiments import Comparison
from numeric.experiments.comparison import Contrast, Regime
from reports import figures
from reports.document import (
    Block,
    Figure,
    Paragraph,
    Section,
    Table,
)
from reports.linear.run import LinearRun
from reports.numbers import value
from reports.text import Cite, Inline, Latex, Math, Text

DASH = "\N{EN DASH}"


def recordings(run: LinearRun, folder: Path) -> Section:
    """§ 5.2 on real data: a question put to each recording, and its answer."""
    opening = Paragraph(
        (
            "Does the bias help with little data and hurt with much, as ",
            Cite("emami2021implicit", "section 5.2"),
            " reports for a recording that we do not have? The recordings here are others, so this is no replication. "
            "Outputs are predicted from inputs by a causal filter; parts are contiguous in time; "
            "standardisation uses the "
            "training part alone; each model takes the inverse of its largest curvature as step size, and "
            "the number of "
            "steps that does best on the validation part. Convolutions start at the response of the RNN they "
            "are matched "
            "to, or at zero. Errors are from a moving-block bootstrap of the test part and the spread over networks.",
        )
    )
    tags = tags_of([c.recording for c in run.recordings])
    parts = tuple(_recording(c, folder, tag) for c, tag in zip(run.recordings, tags, strict=True))
    return Section("Real recordings", (opening, *parts), "sec:recordings")


def tags_of(names: Sequence[str]) -> list[str]:
    """A different word for each recording, of letters, digits and single hyphens: file names and labels hold it."""
    tags: list[str] = []
    for k, name in enumerate(names, 1):
        tag = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "recording"
        tags.append(f"{tag}-{k}" if tag in tags else tag)
    return tags


def _recording(c: Comparison, folder: Path, tag: str) -> Section:
    return Section(c.recording, recording_blocks(c, folder, tag), f"sec:{tag}")


def recording_blocks(
    c: Comparison, folder: Path, tag: str, tables: bool = True, curves: bool = True
) -> tuple[Block, ...]:
    """What was compared, the scores with their answer, and the test score against the training step."""
    p = c.protocol
    outputs = ", ".join(f"{short} = {name}" for short, name in zip(_short(c), c.outputs, strict=True))
    facts = (
        f"{c.recording}: {c.samples} samples" + (f" at {c.rate:g} Hz" if c.rate else "") + f", {len(c.inputs)} inputs, "
        f"outputs {outputs}; {p.lags} lags, RNN of width {p.width} (chosen to fit the time), {len(p.seeds)} "
        f"networks, at "
        f"most {p.steps} steps. Source: {c.citation}."
    )
    blocks: list[Block] = [Paragraph(facts)]
    if tables:
        blocks += [_scores(c, regime, f"tab:{tag}-{regime.name}") for regime in c.regimes]
        blocks += [_contrasts(c, f"tab:{tag}-bias"), Paragraph(_answer(c))]
    if curves:
        blocks += [_curves(c, regime, folder, tag) for regime in c.regimes]
    return tuple(blocks)


def _curves(c: Comparison, regime: Regime, folder: Path, tag: str) -> Figure:
    curves = {score.model: [r2[0] for r2 in score.curve_r2] for score in regime.scores if score.start == "matched"}
    steps = np.array(regime.scores[0].curve_steps)
    figure = figures.training(curves, "gradient step", f"test $R^2$ of {c.outputs[0]}", steps=steps, log=False)
    figure.axes[0].set_xscale("symlog")
    floor = min(0.0, *(values[-1] for values in curves.values())) - 0.5
    figure.axes[0].set_ylim(max(floor, figure.axes[0].get_ylim()[0]), 1)
    stem = figures.save(figure, folder, f"{tag}-{regime.name}")
    caption = f"{c.recording}, {regime.name} data: test score of {c.outputs[0]} against the step, first network."
    return Figure(stem, caption, "rising curves", f"fig:{tag}-{regime.name}")


def _short(c: Comparison) -> tuple[str, ...]:
    """Column heads that fit: y1, y2, ... where there are several outputs."""
    return c.outputs if len(c.outputs) == 1 else tuple(f"y{i}" for i in range(1, len(c.outputs) + 1))


def _model(name: str) -> str:
    return name.removesuffix(" convolution").removeprefix("linear ")


def _scores(c: Comparison, regime: Regime, label: str) -> Table:
    rows: tuple[tuple[Text, ...], ...] = tuple(
        (
            _model(score.model),
            score.start,
            *(value(r, e) for r, e in zip(score.r2, score.stderr, strict=True)),
            ", ".join(map(str, score.best_steps)),
        )
        for score in regime.scores
    )
    return Table(
        ("model", "start", *_short(c), "steps"),
        rows,
        (
            "Test ",
            Math(Latex("R^2")),
            f" per output, {regime.name} data ({regime.training_samples} training and "
            f"{regime.test_samples} test samples).",
        ),
        label,
        "ll" + "r" * len(c.outputs) + "r",
    )


def _contrasts(c: Comparison, label: str) -> Table:
    rows: tuple[tuple[Text, ...], ...] = tuple(
        (
            regime.name,
            f"{_model(k.first)} {DASH} {_model(k.second)}",
            k.start,
            *(value(d, e) for d, e in zip(k.difference, k.stderr, strict=True)),
        )
        for regime in c.regimes
        for k in regime.contrasts
    )
    return Table(
        ("data", "contrast", "start", *_short(c)),
        rows,
        ("Paired differences of test ", Math(Latex("R^2")), "."),
        label,
        "lll" + "r" * len(c.outputs),
    )


def _answer(c: Comparison) -> tuple[Inline, ...]:
    """In words, what the paired differences say about the bias, at two standard errors."""
    words: list[Inline] = []
    for regime in c.regimes:
        for k in (k for k in regime.contrasts if k.first == "scaled convolution"):
            words.append(f"With {regime.name} data and a {k.start} start the bias {_effect(k)}. ")
    return (
        *words,
        "Differences beyond two standard errors count; with this many comparisons one in twenty would by chance.",
    )


def _effect(k: Contrast) -> str:
    better = sum(d > 2 * e for d, e in zip(k.difference, k.stderr, strict=True))
    worse = sum(d < -2 * e for d, e in zip(k.difference, k.stderr, strict=True))
    count = len(k.difference)
    parts = [f"helps on {better}" if better else "", f"hurts on {worse}" if worse else ""]
    said = " and ".join(part for part in parts if part) or "makes no clear difference on any"
    return f"{said} of {count} outputs" if count > 1 else said.replace(" on 1", "").replace(" on any", "")
