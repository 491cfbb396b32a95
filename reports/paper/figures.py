"""Figures 1 to 4 and Table 1 of the paper, from its experiments."""

from __future__ import annotations

import numpy as np

from numeric.checks import Verdict
from numeric.experiments import (
    Comparison,
    DelaySetting,
    Dynamics,
    GapLadder,
    Setting,
    compare,
    delay_experiment,
    dynamics,
    gap_ladder,
)
from numeric.experiments.comparison import UNSCALED
from numeric.recordings import load_recording
from reports import figures
from reports.document import Block, Figure, Itemize, Paragraph
from reports.linear.recordings import recording_blocks, tags_of
from reports.paper.item import Claim, Context, Item, Result
from reports.paper.theory import rate
from reports.text import Text

SHOWN_WIDTH = 1000


def training_figure(context: Context) -> Result:
    """Figure 1: training error of RNN and scaled convolution, and their gap against the width."""
    found, gaps = _dynamics(context), _gaps(context)
    curves = {"linear RNN": found.rnn_train, "scaled convolution": found.scaled_train}
    blocks = (
        *_curves(
            context, found, curves, "fig1", "Training error of the wide linear RNN and of the scaled convolution."
        ),
        *_gap_figure(context, gaps),
        *_assumptions(found.setting, found.width),
    )
    bound = float(np.mean(gaps.mean[:1]))
    claims = (
        rate("the gap falls as the width to the power -1/2", gaps.slope, gaps.slope_stderr),
        Claim(f"largest relative gap at width {found.width:g}, below that of the narrowest",
              "holds" if found.train_gap < bound else "refuted", found.train_gap),
    )  # fmt: skip
    return Result(blocks, claims)


def test_figure(context: Context) -> Result:
    """Figure 2: test error of the same two models."""
    found = _dynamics(context)
    curves = {"linear RNN": found.rnn_test, "scaled convolution": found.scaled_test}
    blocks = (
        *_curves(context, found, curves, "fig2", "Test error of the wide linear RNN and of the scaled convolution."),
        *_assumptions(found.setting, found.width),
    )
    learned = found.rnn_test[-1] < found.rnn_test[0] and found.scaled_test[-1] < found.scaled_test[0]
    return Result(blocks, (
        Claim("both models learn: the test error falls", "holds" if learned else "refuted", found.scaled_test[-1]),
        Claim("largest relative gap of the test errors, below that of the training errors at width 100",
              "holds" if found.test_gap < _gaps(context).mean[0] else "refuted", found.test_gap),
    ))  # fmt: skip


def _dynamics(context: Context) -> Dynamics:
    width = context.width or SHOWN_WIDTH
    if ("dynamics", width) not in context.runs:
        with context.stage(f"training at width {width:g}") as progress:
            context.runs["dynamics", width] = dynamics(width=width, seed=context.seed + 1, progress=progress)
    return context.runs["dynamics", width]


def _gaps(context: Context) -> GapLadder:
    if "gaps" not in context.runs:
        with context.stage("training gap against width") as progress:
            context.runs["gaps"] = gap_ladder(seeds=6 if context.quick else 16, progress=progress)
    return context.runs["gaps"]


def _curves(context: Context, found: Dynamics, curves: dict[str, tuple[float, ...]], stem: str,
            caption: str) -> tuple[Block, ...]:  # fmt: skip
    path = figures.save(figures.training(curves), context.folder, stem)
    text = Paragraph(f"Both models start from one impulse response and take {found.setting.steps} steps of one size on "
                     f"{found.setting.sequences} sequences of a teacher with {found.setting.teacher} hidden units at "
                     f"{found.setting.snr_db:g} dB.")  # fmt: skip
    return text, Figure(path, caption, "two coinciding falling curves", f"fig:{stem}")


def _gap_figure(context: Context, gaps: GapLadder) -> tuple[Block, ...]:
    drawn = figures.power_law(gaps.widths, {"gap": gaps.mean}, "width $n$", "gap of the training losses",
                              {"gap": gaps.stderr})  # fmt: skip
    path = figures.save(drawn, context.folder, "fig1-gap")
    return (Figure(path, "Gap between RNN and scaled convolution against the width, networks sampled in law.",
                   "a falling line of slope about minus one half", "fig:fig1-gap"),)  # fmt: skip


def _assumptions(setting: Setting, width: int) -> tuple[Block, ...]:
    """Hyper-parameters that the paper leaves unstated."""
    facts: tuple[Text, ...] = (
        f"width {width:g}", f"horizon {setting.horizon}, {setting.n_x} input, {setting.n_y} output",
        f"nu_W = {setting.nu_W:g}, nu_F = {setting.nu_F:g}, nu_C = {setting.nu_C:g}",
        f"{setting.steps} steps of {setting.step_fraction:g} times the largest stable size", f"data seed "
        f"{setting.data_seed}",
    )  # fmt: skip
    return Paragraph("The paper leaves these unstated; they are our assumption:"), Itemize(facts)


def delay_figure(context: Context) -> Result:
    """Figure 3: test error against the delay of the teacher."""
    setting = (
        DelaySetting(delays=(0, 3, 6, 9, 12), seeds=(1, 2, 3), width=300, steps=200)
        if context.quick
        else DelaySetting()
    )
    with context.stage("teachers of growing delay") as progress:
        found = delay_experiment(setting, progress=progress)
    curves = dict(zip(found.models, map(np.array, found.mean), strict=True))
    errors = dict(zip(found.models, map(np.array, found.stderr), strict=True))
    drawn = figures.decay(
        setting.delays, curves, "delay of the teacher", "relative test error", errors, curves, log=False
    )
    path = figures.save(drawn, context.folder, "fig3")
    text = Paragraph(
        "The teacher repeats its white input after a delay, with noise. All models start from one impulse "
        "response, take the inverse of their largest curvature as step size, and the number of steps that does "
        "best on a validation set. An error of 1 is that of predicting nothing."
    )
    facts = (
        f"delays {', '.join(map(str, setting.delays))}, horizon {setting.horizon}",
        f"width {setting.width}, at most {setting.steps} steps",
        f"{setting.sequences} sequences at {setting.snr_db:g} dB, {len(setting.seeds)} seeds",
        f"nu_W = {setting.nu_W:g}, nu_F = {setting.nu_F:g}, nu_C = {setting.nu_C:g}",
    )
    blocks = (
        text,
        Figure(
            path,
            "Test error against the delay, mean and standard error over seeds.",
            "two rising curves and a flat one",
            "fig:fig3",
        ),
        Paragraph("The paper leaves these unstated; they are our assumption:"),
        Itemize(facts),
    )
    return Result(
        blocks,
        tuple(
            _forgets(name, mean, stderr)
            for name, mean, stderr in zip(found.models, found.mean, found.stderr, strict=True)
        ),
    )


def _forgets(name: str, mean: tuple[float, ...], stderr: tuple[float, ...]) -> Claim:
    """The biased models lose the longest delay and the unbiased one keeps it, at three standard errors."""
    error, spread = mean[-1] - 0.5, max(stderr[-1], 1e-12)
    biased = name != UNSCALED
    seen = error / spread if biased else -error / spread
    verdict: Verdict = "holds" if seen > 3 else "refuted" if seen < -3 else "undecided"
    words = (
        "loses the longest delay: error above one half" if biased else "keeps the longest delay: error below one half"
    )
    return Claim(f"the {name} {words}", verdict, mean[-1], stderr[-1])


def recording_figure(context: Context) -> Result:
    """Figure 4: R^2 against the training step, limited and full data."""
    blocks: list[Block] = [Paragraph("The recording of the paper is not ours to ship; these are others, so this is its "
                                     "protocol and not a replication.")]  # fmt: skip
    claims: list[Claim] = []
    found_all = _comparisons(context)
    for found, tag in zip(found_all, tags_of([c.recording for c in found_all]), strict=True):
        blocks += recording_blocks(found, context.folder, f"fig4-{tag}", tables=False)
        claims += [
            Claim(f"{found.recording}, {regime.name} data: RNN and scaled convolution agree on {name}",
                  "holds" if abs(gap) < 3 * stderr else "refuted", gap, stderr, 0.0)
            for regime in found.regimes for k in regime.contrasts if k.first == "linear RNN"
            for name, gap, stderr in zip(found.outputs, k.difference, k.stderr, strict=True)
        ]  # fmt: skip
    return Result(tuple(blocks), tuple(claims))


def score_table(context: Context) -> Result:
    """Table 1: test R^2 of the three models, and whether the bias helps with little data."""
    blocks: list[Block] = []
    claims: list[Claim] = []
    found_all = _comparisons(context)
    for found, tag in zip(found_all, tags_of([c.recording for c in found_all]), strict=True):
        blocks += recording_blocks(found, context.folder, f"table1-{tag}", curves=False)
        claims += _crossover(found)
    return Result(tuple(blocks), tuple(claims))


def _crossover(found: Comparison) -> list[Claim]:
    """The paper's crossover, put to the data: refuted only where the opposite is seen."""
    claims = []
    for regime, sign, word in zip(found.regimes, (-1, 1), ("hurts with much", "helps with little"), strict=True):
        for k in (k for k in regime.contrasts if k.first == "scaled convolution"):
            for name, gap, stderr in zip(found.outputs, k.difference, k.stderr, strict=True):
                z = sign * gap / stderr
                verdict = "holds" if z > 3 else "refuted" if z < -3 else "undecided"
                claims.append(Claim(f"{found.recording}, {k.start} start: the bias {word} data on {name}", verdict,  # type: ignore[arg-type]
                                    gap, stderr))  # fmt: skip
    return claims


def _comparisons(context: Context) -> list[Comparison]:
    for name in context.data:
        if ("recording", name) not in context.runs:
            recording = load_recording(name)
            with context.stage(f"recording {recording.name}") as progress:
                context.runs["recording", name] = compare(recording, seed=context.seed, progress=progress)
    return [context.runs["recording", name] for name in context.data]


FIGURE_ITEMS: tuple[Item, ...] = (
    Item("fig1", "Figure 1", "training dynamics", training_figure),
    Item("fig2", "Figure 2", "test dynamics", test_figure),
    Item("fig3", "Figure 3", "test error against delay", delay_figure),
    Item("fig4", "Figure 4", "real recordings during training", recording_figure),
    Item("table1", "Table 1", "scores on real recordings", score_table),
)
