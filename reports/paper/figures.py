"""Figures 1 to 4 and Table 1 of the paper, from its experiments."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
from scipy import special

from wideproof.derive.latex.text import Ref, Text
from wideproof.numeric.core.checks import Verdict
from wideproof.numeric.core.statistics import holm
from wideproof.numeric.linear_rnn.training_choice import DRAWN, EXACT
from wideproof.numeric.paper.experiments import (
    DelayCurves,
    DelaySetting,
    Dynamics,
    GapLadder,
    Protocol,
    RecordingComparison,
    Setting,
    Sizes,
    compare,
    delay_experiment,
    dynamics,
)
from wideproof.numeric.paper.experiments.assumptions import whole
from wideproof.numeric.paper.experiments.bias_verdicts import FALSE_ALARM, MARGIN
from wideproof.numeric.paper.experiments.model_selection import UNSCALED
from wideproof.numeric.recordings import Recording
from wideproof.numeric.runs.tasks import every
from wideproof.reports.document.blocks import Block, Paragraph, Table
from wideproof.reports.paper.item import Context, Item, PaperClaim, Result
from wideproof.reports.paper.width_gaps import LEVEL, gap_figure, gaps_of, rate
from wideproof.reports.sections.linear.recordings import protocol_paragraph, recording_blocks, sentence, tags_of
from wideproof.reports.sections.linear.training import trained
from wideproof.reports.write import figures
from wideproof.reports.write.inline_math import inlines
from wideproof.reports.write.picture import placed

HALF, TINY = 0.5, 1e-12


def training_figure(context: Context) -> Result:
    """Figure 1: training error of RNN and scaled convolution, and their gap against the width."""
    found = _dynamics(context)
    curves = {"linear RNN": found.rnn_train, "scaled convolution": found.scaled_train}
    return _learning(context, "fig1", "training", curves, gaps_of(context), found.train_gap)


def test_figure(context: Context) -> Result:
    """Figure 2: test error of the same two models."""
    found, gaps = _dynamics(context), gaps_of(context).test
    assert gaps is not None
    curves = {"linear RNN": found.rnn_test, "scaled convolution": found.scaled_test}
    made = _learning(context, "fig2", "test", curves, gaps, found.test_gap)
    return replace(made, claims=(*(_learns(name, curve) for name, curve in curves.items()), *made.claims))


def _learning(context: Context, name: str, which: str, curves: dict[str, tuple[float, ...]], gaps: GapLadder,
              gap: float) -> Result:  # fmt: skip
    """The curves, their gap against the width, and what is assumed of both."""
    found = _dynamics(context)
    blocks = (
        *_curves(context, found, curves, name, f"{which.capitalize()} error"),
        *gap_figure(context, gaps, which, f"{name}-gap"),
        *context.assumptions(name),
    )
    return Result(blocks, (
        rate("the gap falls as the width to the power -1/2", gaps.slope, gaps.slope_stderr),
        _one_of(gaps, found.width, gap),
    ))  # fmt: skip


def _learns(name: str, curve: tuple[float, ...]) -> PaperClaim:
    return PaperClaim(
        f"{name}: last test error over the first, below 1",
        "holds" if curve[-1] < curve[0] else "refuted",
        curve[-1] / curve[0],
    )


def _one_of(gaps: GapLadder, width: int, gap: float) -> PaperClaim:
    """The drawn network's gap is not larger than those of the ladder, carried to its width: an exact rank test."""
    p, least = gaps.exceeded(width, gap), 1 / (1 + len(gaps.gaps) * len(gaps.gaps[0]))
    verdict: Verdict = "refuted" if p <= LEVEL else "holds" if least <= LEVEL else "undecided"
    fitted = float(np.exp(gaps.intercept) * width**gaps.slope)
    return PaperClaim(
        f"the gap of the network drawn at width {whole(width)} is no larger than those of the ladder, carried there by "
        f"the power: rank test, p = {p:.2g}", verdict, gap, None, fitted,
    )  # fmt: skip


def _dynamics(context: Context) -> Dynamics:
    setting, width = context.setting(Setting), context.setting(Sizes).curve_width
    if "dynamics" not in context.runs:
        with context.stage(f"training at width {whole(width)}") as progress:
            context.runs["dynamics"] = dynamics(
                setting, width=width, seed=context.seed + 1, method=context.method, announce=context.announce,
                progress=progress, tasks=context.tasks,
            )  # fmt: skip
    return context.runs["dynamics"]


def _curves(context: Context, found: Dynamics, curves: dict[str, tuple[float, ...]], stem: str,
            what: str) -> tuple[Block, ...]:  # fmt: skip
    first = context.stands.setdefault("dynamics", f"fig:{stem}")
    text = Paragraph((Ref(f"fig:{stem}"), f" has the {what.lower()} in the run of ", Ref(first), "."))
    if first == f"fig:{stem}":
        text = Paragraph((
            f"Both models start from one impulse response and take {found.setting.steps} steps of one size on "
            f"{found.setting.sequences} sequences of a teacher with {found.setting.teacher} hidden units at a "
            f"signal-to-noise ratio of {found.setting.snr_db:g} dB (", Ref(f"fig:{stem}"), "). ",
            *inlines(trained(found)),
        ))  # fmt: skip
    drawn = "sampled in law, which costs the same at any width" if found.method == "sampled" else "its matrices drawn"
    caption = f"{what} of the linear RNN of width {whole(found.width)}, {drawn}, and of the scaled convolution."
    return text, placed(figures.training(curves), context.folder, stem, caption, f"fig:{stem}")


def delay_figure(context: Context) -> Result:
    """Figure 3: test error against the delay of the teacher."""
    setting, found = context.setting(DelaySetting), _delays(context)
    curves = dict(zip(found.models, map(np.array, found.mean), strict=True))
    errors = dict(zip(found.models, map(np.array, found.stderr), strict=True))
    drawn = figures.decay(
        setting.delays, curves, "delay of the teacher", "relative test error", errors, curves, log=False
    )
    text = Paragraph((
        "The teacher repeats its white input after a delay, with noise. All models start from one impulse "
        "response, take the inverse of their largest curvature as step size, and the number of steps that does "
        "best on a validation set. ", Ref("fig:fig3"), " shows the test error over the power of the clean outputs: an "
        "error of 1 is that of predicting nothing. The claims are about training of at most "
        f"{setting.steps} steps, which move old lags little, as Theorem 4.1 bounds, not about training without end. "
        "They are tested by Student's law over the seeds, corrected by Holm, and hold or are refuted at the level "
        f"{LEVEL:g}.",
    ))  # fmt: skip
    blocks = (
        text,
        placed(
            drawn,
            context.folder,
            "fig3",
            f"Test error against the delay, mean and standard error over {len(setting.seeds)} seeds.",
            "fig:fig3",
        ),
        *context.assumptions("fig3"),
    )
    return Result(blocks, _forgets(found))


def _delays(context: Context) -> DelayCurves:
    with context.stage("teachers of growing delay") as progress:
        context.runs["delays"] = delay_experiment(
            context.setting(DelaySetting), method=context.method, announce=context.announce, progress=progress,
            tasks=context.tasks,
        )  # fmt: skip
    return context.runs["delays"]


def _forgets(found: DelayCurves) -> tuple[PaperClaim, ...]:
    """The biased models lose the longest delay and the unbiased one keeps it: Student's test, corrected by Holm."""
    scores = [
        (1 if name != UNSCALED else -1) * (mean[-1] - HALF) / max(stderr[-1], TINY)
        for name, mean, stderr in zip(found.models, found.mean, found.stderr, strict=True)
    ]
    freedom = len(found.setting.seeds) - 1
    against, for_it = holm(special.stdtr(freedom, scores)), holm(special.stdtr(freedom, np.negative(scores)))
    claims = []
    for k, name in enumerate(found.models):
        verdict: Verdict = "refuted" if against[k] <= LEVEL else "holds" if for_it[k] <= LEVEL else "undecided"
        word = "keeps the longest delay: error below one half" if name == UNSCALED else (
            f"loses the longest delay within {found.setting.steps} steps: error above one half")  # fmt: skip
        claims.append(PaperClaim(f"the {name} {word}", verdict, found.mean[k][-1], found.stderr[k][-1]))
    return tuple(claims)


def recording_figure(context: Context) -> Result:
    """Figure 4: R^2 against the training step, limited and full data."""
    blocks: list[Block] = [*_whose(context, "fig4"), protocol_paragraph(), Paragraph(
        f"Claimed is that RNN and scaled convolution have one score: = means a difference of less than {MARGIN:g}. "
        "This and its opposite are tested by Student's law, corrected by Holm over all statements about a recording, "
        f"and hold or are refuted at the level {FALSE_ALARM:g}."
    )]  # fmt: skip
    claims: list[PaperClaim] = []
    found_all = _comparisons(context)
    for found, tag in zip(found_all, tags_of([c.recording for c in found_all]), strict=True):
        blocks += recording_blocks(found, context.folder, f"fig4-{tag}", tables=False)
        context.stands[f"recording {tag}"] = f"fig:fig4-{tag}-course"
        claims += _judged(found, biased=True)
    return Result((*blocks, *context.assumptions("fig4")), tuple(claims))


def score_table(context: Context) -> Result:
    """Table 1: test R^2 of the three models, and whether the bias helps with little data."""
    blocks: list[Block] = [*_whose(context, "table1")]
    claims: list[PaperClaim] = []
    found_all = _comparisons(context)
    for found, tag in zip(found_all, tags_of([c.recording for c in found_all]), strict=True):
        told = f"recording {tag}" in context.stands
        blocks += recording_blocks(found, context.folder, f"table1-{tag}", curves=False, facts=not told)
        claims += _judged(found, biased=False)
    return Result((*blocks, *context.assumptions("table1")), tuple(claims), listed=True)


def _whose(context: Context, item: str) -> tuple[Block, ...]:
    """Which recordings these are, and published facts beside what a file holds; told once."""
    if "recordings" in context.stands:
        return (Paragraph(("The recordings are those of ", Ref(context.stands["recordings"]), ".")),)
    context.stands["recordings"] = f"sec:{item}"
    blocks: list[Block] = [
        Paragraph(
            f"Recordings: {', '.join(found.name for found in context.recordings) or 'none'}. On any but the paper's "
            f"own "
            "recording, which is not ours to ship, this is its protocol and not a replication."
        )
    ]
    for found, tag in zip(context.recordings, tags_of([x.name for x in context.recordings]), strict=True):
        if found.facts:
            rows: tuple[tuple[Text, ...], ...] = tuple(
                (fact.name, fact.published, fact.found, "yes" if fact.agrees else "no") for fact in found.facts
            )
            heads: tuple[Text, ...] = ("fact", "published", "found", "agrees")
            caption = f"{found.name} beside the published facts of the paper's recording."
            blocks.append(Table(heads, rows, caption, f"tab:{tag}-facts", "Xlll"))
    return tuple(blocks)


def _judged(found: RecordingComparison, biased: bool) -> list[PaperClaim]:
    """The judged differences: RNN against scaled convolution if biased, else scaled against unscaled."""
    return [
        PaperClaim(f"{found.recording}, {sentence(j)}", j.verdict, j.what.difference, j.what.stderr,
              0.0 if j.what.kind == "vanishes" else None)
        for j in found.judged if (j.what.second == UNSCALED) is not biased
    ]  # fmt: skip


def _comparisons(context: Context) -> list[RecordingComparison]:
    return every(partial(_comparison, context, recording) for recording in context.recordings)


def _comparison(context: Context, recording: Recording) -> RecordingComparison:
    name = f"recording {recording.name}"
    if name not in context.runs:
        with context.stage(name) as progress:
            context.runs[name] = compare(
                recording,
                context.setting(Protocol),
                seed=context.seed,
                method=context.method,
                announce=context.announce,
                progress=progress,
                tasks=context.tasks,
            )
    return context.runs[name]


FIGURE_ITEMS: tuple[Item, ...] = (
    Item("fig1", "Figure 1", "training dynamics", training_figure, DRAWN, (_dynamics, gaps_of), (Setting, Sizes)),
    Item("fig2", "Figure 2", "test dynamics", test_figure, DRAWN, (_dynamics, gaps_of), (Setting, Sizes)),
    Item("fig3", "Figure 3", "test error against delay", delay_figure, EXACT, (_delays,), (DelaySetting,)),
    Item("fig4", "Figure 4", "real recordings during training", recording_figure, EXACT, (_comparisons,), (Protocol,)),
    Item("table1", "Table 1", "scores on real recordings", score_table, EXACT, (_comparisons,), (Protocol,)),
)
