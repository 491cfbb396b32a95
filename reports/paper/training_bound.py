"""Theorem 4.1: the bound on the movement of every lag, drawn over what was measured, and the steps to learn a lag."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy import special

from wideproof.derive import training_bound
from wideproof.derive.latex.text import Cite, Latex, Math, Ref, Text, marked
from wideproof.numeric.core.checks import Verdict
from wideproof.numeric.paper.experiments import BoundSizes, Setting
from wideproof.numeric.paper.experiments.assumptions import whole
from wideproof.numeric.paper.training_bound import BoundRun, LearningSteps, learning_steps, measure_bound
from wideproof.reports.document.blocks import Block, Paragraph
from wideproof.reports.document.numbers import value
from wideproof.reports.paper.item import Context, PaperClaim, Result, goal, theorem, verified
from wideproof.reports.paper.width_gaps import LEVEL, exact, rate
from wideproof.reports.write import figures
from wideproof.reports.write.picture import placed

LETTERS: Text = marked(
    r"Here $L^{(\ell)}_j$ is lag $j$ of the impulse response after $\ell$ steps of size $\eta$ on "
    r"half the sum of squares, $\mathcal{T}$ the block Toeplitz operator that maps the stacked "
    r"lags to all outputs, $\mathcal{T}_j$ its block of lag $j$, "
    r"$u^{(\ell)} = y - \mathcal{T} L^{(\ell)}$ the error of the outputs. In the proof, $D$ holds "
    r"the roots of the scale factors on its diagonal, $\theta$ are the parameters of the scaled "
    r"convolution, and $E_j^{\mathsf{T}}$ takes out lag $j$. The paper's $B_1$ is the largest step "
    r"size that the condition allows, and its $B_2$ what stands beside $\rho_j\,\ell$ on the right."
)


def theorem_41(context: Context) -> Result:
    """Gradient descent moves each lag at most by B_2 rho_j l, in the convolution always and in the RNN in the limit."""
    derivation = training_bound(context.rnn)
    run, steps = bound_run(context), learning_steps(context.setting(Setting))
    context.runs["bound"], context.runs["learning steps"] = run, steps
    lead = (
        "Gradient descent on the scaled convolution, in steps of size at most the reciprocal of a bound on the scale "
        "factors times the squared norm of the data operator, moves each lag by at most the bound below; on the linear "
        "RNN it does so in the limit of infinite width, for any fixed number of steps:"
    )
    blocks = (
        *theorem(context, "thm-41", "Training", derivation, lead, tail=LETTERS),
        Paragraph(
            marked(
                r"The trajectory of the convolution is known exactly: along an eigenvector of "
                r"$\mathcal{T}\,D^{2}\,\mathcal{T}^{\mathsf{T}}$ of the eigenvalue $\sigma$, the first error counts in "
                "the movement with the factor"
            )
        ),
        *goal(derivation.trajectory, "eq:trajectory"),
        Paragraph("and the number of steps that move a lag by a given distance is at least"),
        *goal(derivation.steps, "eq:least-steps"),
        *_movement(context, run),
        *_learning(context, steps),
        *context.assumptions("thm-4.1"),
    )
    claims = (
        verified("bound on the movement of every lag", derivation),
        verified("exact trajectory", derivation.trajectory),
        verified("least number of steps", derivation.steps),
        *measured(run, steps),
    )
    return Result(blocks, claims)


def bound_run(context: Context) -> BoundRun:
    """The convolution and networks of every width beside the bound."""
    setting, sizes = context.setting(Setting), context.setting(BoundSizes)
    with context.stage("training against its bound") as progress:
        return measure_bound(
            replace(setting, steps=sizes.bound_steps), widths=sizes.bound_widths, seeds=sizes.bound_networks,
            announce=context.announce, progress=progress, tasks=context.tasks,
        )  # fmt: skip


def measured(run: BoundRun, steps: LearningSteps) -> tuple[PaperClaim, ...]:
    """What training says of the bound, of the trajectory and of the steps that a lag takes."""
    return (
        PaperClaim("largest movement of the convolution over its bound, at most 1",
              "holds" if run.convolution_ratio <= 1 else "refuted", run.convolution_ratio),
        _in_the_limit(run),
        exact("training equals the exact trajectory", run.exactness),
        PaperClaim("every lag takes at least the derived number of steps: smallest number over the bound, at least 1",
              "holds" if _fewest(steps) >= 1 else "refuted", _fewest(steps)),
        rate("steps to learn a lag against 1/rho_j, slope in the logarithms", steps.slope, steps.slope_stderr, 1.0),
    )  # fmt: skip


def _fewest(steps: LearningSteps) -> float:
    return float(np.min(np.array(steps.steps) / np.array(steps.least)))


def _in_the_limit(run: BoundRun) -> PaperClaim:
    """The widest networks against the bound, by Student's test of the largest ratio over lags and steps."""
    ratios = np.array(run.ratios[-1])
    mean, stderr = float(ratios.mean()), float(ratios.std(ddof=1) / len(ratios) ** 0.5)
    below = float(special.stdtr(len(ratios) - 1, (mean - 1) / stderr))
    verdict: Verdict = "refuted" if below >= 1 - LEVEL else "holds" if below <= LEVEL else "undecided"
    return PaperClaim(
        f"the same of the RNN of width {whole(run.widths[-1])}, at most 1 in the limit", verdict, mean, stderr
    )


def _movement(context: Context, run: BoundRun) -> tuple[Block, ...]:
    lags = sorted({0, run.setting.horizon // 3, 2 * run.setting.horizon // 3})
    names = ["convolution" if m.width == 0 else f"RNN, ${_width(m.width)}$" for m in run.movements]
    parts = {
        f"lag {lag}": {name: m.moved[lag] for name, m in zip(names, run.movements, strict=True)}
        | {"bound": run.movements[0].bound[lag]}
        for lag in lags
    }
    drawn = figures.panels(run.steps, parts, "gradient step", "movement", log=True, steps=True)
    ratios = [(", ", f"{np.mean(row):.3g} at ", Math(_width(n))) for n, row in zip(run.widths, run.ratios, strict=True)]
    return (
        Paragraph((
            "The proof is that of the convolution; the RNN follows it by ", Cite("emami2021implicit", "(65) to (67)"),
            ", and is measured: on the data of the paper's figure 1, at the largest step size that the theorem allows "
            "(", Ref("fig:thm-41"), "). The largest ratio of movement to bound, over all lags and steps, mean over "
            f"{run.seeds} networks: ", *[part for ratio in ratios for part in ratio][1:],
            f"; convolution {run.convolution_ratio:.3g} at most. Narrow networks may pass the bound, most of all at "
            "long lags (E5).",
        )),
        placed(drawn, context.folder, "thm-41-bound",
               "How far a lag of the impulse response has moved, in one network of each width, and the bound of "
               "the theorem for the start that the convolution and the widest network share. Other networks start "
               "elsewhere and have bounds of their own, which the ratios in the text are to.", "fig:thm-41"),
    )  # fmt: skip


def _width(n: int) -> Latex:
    return Latex(f"n = {value(n, digits=7).body}")


def _learning(context: Context, steps: LearningSteps) -> tuple[Block, ...]:
    lags = np.arange(len(steps.steps))
    curves = {"until half of the way is made": steps.steps, "at least, by the bound": steps.least}
    drawn = figures.decay(lags, curves, "lag $j$", "gradient steps", points=curves)
    return (
        Paragraph((*marked(r"A lag is learned at the rate of its scale factor $\rho_j$, so the steps it takes grow "
                           "exponentially with the lag. "), Ref("fig:thm-41-steps"), " counts them by the exact "
                   "trajectory, on white inputs whose targets need every lag alike.")),
        placed(drawn, context.folder, "thm-41-steps",
               "Steps until each lag has made half of its way, and the least that the bound allows.",
               "fig:thm-41-steps"),
    )  # fmt: skip
