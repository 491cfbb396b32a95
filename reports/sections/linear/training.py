"""The wide linear RNN trained beside the scaled convolution."""

from __future__ import annotations

from dataclasses import replace

from wideproof.derive.latex.text import Cite, Latex, Math, Ref
from wideproof.numeric.paper.experiments import Dynamics, GapLadder, dynamics, gap_ladder
from wideproof.numeric.runs.gathering import Progress
from wideproof.reports.document.blocks import Block, Paragraph
from wideproof.reports.document.numbers import value
from wideproof.reports.sections.linear.run import setting, trainer
from wideproof.reports.sections.needs import Making, ReportRun, measured
from wideproof.reports.sections.section import Draft, section
from wideproof.reports.write import figures
from wideproof.reports.write.picture import placed

GAP_STEPS = 40  # the gap between the training curves is largest in the first few


@measured("training beside the scaled convolution", record="training")
def descents(run: Making, progress: Progress) -> Dynamics:
    """The training curves of the RNN and of the scaled convolution."""
    return dynamics(run[setting], seed=run.seed + 1, method=run.method, progress=progress, **trainer(run))


@measured("training gap against width", record="gaps")
def gaps(run: Making, progress: Progress) -> GapLadder:
    """The gap between the two curves at each width."""
    return gap_ladder(replace(run[setting], steps=GAP_STEPS), seeds=8, progress=progress, **trainer(run))


@section("Training", "sec:training", 60, (setting, descents, gaps), "trains networks beside their limit")
def training(run: ReportRun, draft: Draft) -> tuple[Block, ...]:
    """The wide RNN and the scaled convolution learn alike, and ever more so with the width."""
    d, g, made = run[descents], run[gaps], run[descents].setting
    curves = {
        "linear RNN, train": d.rnn_train,
        "convolution, train": d.scaled_train,
        "linear RNN, test": d.rnn_test,
        "convolution, test": d.scaled_test,
    }
    name = "largest relative gap"
    gap = figures.power_law(
        g.widths,
        {name: g.mean},
        "width $n$",
        "gap of the training losses",
        {name: g.stderr},
        {name: (g.slope, g.slope_stderr)},
    )
    return (
        Paragraph(
            (
                f"A teacher RNN with {made.teacher} hidden units makes {made.sequences} training and "
                f"{made.sequences} test sequences of length {made.horizon} at a signal-to-noise ratio of "
                f"{made.snr_db:g} dB, as in ",
                Cite("emami2021implicit", "section 5.1"),
                f". A linear RNN of width "
                f"{d.width} and the scaled convolution with the derived scale factors start from the same impulse "
                "response and descend the mean square error by full-batch gradient descent with one step size, ",
                value(d.step_size),
                f". {trained(d)} ",
                Ref("fig:training"),
                " shows both.",
            )
        ),
        placed(
            figures.training(curves),
            draft.folder,
            "training",
            "Mean square error of the wide linear RNN and of the scaled convolution.",
            "fig:training",
        ),
        Paragraph(
            (
                "The largest relative gap between the two training curves is ",
                value(d.train_gap, digits=3),
                " at this width. ",
                Ref("fig:gap"),
                " measures it from width ",
                _power(g.widths[0]),
                " to ",
                _power(g.widths[-1]),
                f", {len(g.gaps[0])} networks each: the fitted slope in the logarithms is ",
                value(g.slope, g.slope_stderr),
                ". Networks are sampled in law, at a cost that does not depend on the width."
                if g.method == "sampled"
                else ".",
            )
        ),
        placed(
            gap,
            draft.folder,
            "training-gap",
            "Gap between the training curves of RNN and scaled convolution against the width.",
            "fig:gap",
        ),
    )


def trained(found: Dynamics) -> str:
    """By which method the RNN was trained, why, and how far its losses may be off."""
    off = (
        f"its losses are within {found.error:.1g} of a finer run's"
        if found.error
        else "its losses are exact to rounding"
    )
    return f"The RNN is trained by the method {found.method} ({found.reason}); {off}."


def _power(width: int) -> Math:
    exponent = len(str(width)) - 1
    return Math(Latex(f"10^{{{exponent}}}" if width == 10**exponent else str(width)))
