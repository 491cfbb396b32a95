"""Networks that are trained at finite width beside the descent of the limit."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from matplotlib.ticker import MaxNLocator
from scipy.special import ndtri, stdtrit

from wideproof.derive.language.plain_form import program_data, program_of
from wideproof.derive.latex.text import Ref, marked
from wideproof.numeric.core.arrays import Host, seed_sequence, to_host
from wideproof.numeric.core.checks import Check, Level, judge
from wideproof.numeric.kernels.kernel import Kernel
from wideproof.numeric.networks.narrow_width import quiet_widths
from wideproof.numeric.networks.training import train_network
from wideproof.numeric.runs.gathering import Progress
from wideproof.numeric.runs.tasks import Arrays
from wideproof.numeric.validation.ladder import Rungs, at_infinity
from wideproof.reports.document.blocks import Block, Paragraph, Table
from wideproof.reports.document.numbers import value
from wideproof.reports.sections.needs import Making, ReportRun, measured
from wideproof.reports.sections.section import Draft, section
from wideproof.reports.write import figures
from wideproof.reports.write.picture import placed

TRAINED_WIDTHS, TRAINED_NETWORKS, STEPS, SEQUENCES = (64, 128, 256, 512), 12, 20, 6
SEEN = 0.1
"""The relative distance of trained outputs from the limiting descent that its check must be able to see."""


@dataclass(frozen=True)
class Trained:
    """Networks trained by gradient descent beside the descent that the limiting kernel predicts.

    Shapes: losses (steps + 1,) of one network by width; gaps (widths,), the distance of the outputs after training
    relative to that of the outputs from the targets before, root mean square over the networks.
    Error: stderrs, by the delta method; `check` judges the mean square at infinite width, which is zero in the limit.
    """

    widths: tuple[int, ...]
    step_size: float
    losses: tuple[Host, ...]
    predicted: Host
    gaps: tuple[float, ...]
    stderrs: tuple[float, ...]
    networks: int
    check: Check


@measured("training beside the limit", record="training", checks=lambda found: (found.check,))
def descents(run: Making, progress: Progress) -> Trained:
    """Networks at each width, and the descent of their outputs by the limiting kernel from the same starts."""
    generator = np.random.default_rng(seed_sequence(run.seed, 5))
    X, Y = generator.standard_normal((SEQUENCES, 4, 2)) / 2**0.5, generator.standard_normal((SEQUENCES, 1))
    numbers: dict[str, Any] = dict(run.nu)
    K = to_host(Kernel(run.program, readout="last", **numbers).ntk(X))
    step = float(SEQUENCES / (2 * np.linalg.eigvalsh(K)[-1]))
    common = {"program": program_data(run.program), "X": X.tolist(), "Y": Y.tolist(), "step": step, "steps": STEPS,
              "values": numbers}  # fmt: skip
    plans = [common | {"width": width, "seed": int(seed_sequence(run.seed, 6, width, k).generate_state(1)[0])}
             for width in TRAINED_WIDTHS for k in range(TRAINED_NETWORKS)]  # fmt: skip
    found = run.tasks.results(trained_network, plans, progress)
    ways = [_descent(K, (one["first"] - Y)[:, 0], step) for one in found]
    squares = np.array([np.sum(((one["last"] - Y)[:, 0] - way[-1]) ** 2) / np.sum(way[0] ** 2)
                        for one, way in zip(found, ways, strict=True)]).reshape(len(TRAINED_WIDTHS), -1)  # fmt: skip
    losses = [one["loss"] for one in found[::TRAINED_NETWORKS]]
    predicted = np.mean(ways[-TRAINED_NETWORKS] ** 2, axis=1)
    gaps, spread = squares.mean(axis=1) ** 0.5, squares.std(axis=1, ddof=1) / TRAINED_NETWORKS**0.5
    errors = spread / (2 * gaps)
    return Trained(TRAINED_WIDTHS, step, tuple(losses), predicted, tuple(gaps.tolist()), tuple(errors.tolist()),
                   TRAINED_NETWORKS, _judged(squares.mean(axis=1), spread))  # fmt: skip


def trained_network(plan: dict[str, Any]) -> Arrays:
    """Return the losses of one network, and its outputs before and after training.

    Shapes: loss (steps + 1,); first, last (N, 1).  Units: output^2, output.  Error: rounding.  Source: `train_network`.
    """
    X, Y = np.asarray(plan["X"]), np.asarray(plan["Y"])
    with quiet_widths():
        run = train_network(program_of(plan["program"]), X, Y, plan["width"], steps=plan["steps"],
                            step_size=plan["step"], seed=plan["seed"], **plan["values"])  # fmt: skip
    return {"loss": run.loss, "first": run.first, "last": run.last}


def _descent(K: Host, start: Host, step: float) -> Host:
    """Residuals f - y of gradient descent by the limiting kernel.  Shapes: (N, N), (N,) -> (STEPS + 1, N)."""
    found = [start]
    for _ in range(STEPS):
        found.append(found[-1] - 2 * step / SEQUENCES * K @ found[-1])
    return np.array(found)


def _judged(means: Host, stderrs: Host) -> Check:
    """The mean square distance extrapolated in 1/n, which vanishes in the limit if networks train as it says.

    Errors of so few networks are scaled from Student's law to the normal one of `judge`, at its level.
    """
    level = Level(effects={"training": SEEN**2})
    scale = stdtrit(TRAINED_NETWORKS - 1, level.false_alarm / 2) / ndtri(level.false_alarm / 2)
    rungs = Rungs("training", STEPS, TRAINED_WIDTHS, TRAINED_NETWORKS, means, scale * stderrs, 2.0, least_trials=2)
    claim = replace(at_infinity(rungs, 0.0, 1), guard=None, method="trained networks")
    return judge((claim,), level)[0]


@section("Training", "sec:training", 70, (descents,), "trains networks beside their limit")
def training(run: ReportRun, draft: Draft) -> tuple[Block, ...]:
    """Networks descend as the limiting kernel says, ever more so with the width."""
    made = run[descents]
    curves = {"limit": made.predicted, **{f"$n = {n}$": loss for n, loss in zip(made.widths, made.losses, strict=True)}}
    drawn = figures.training(curves)
    drawn.axes[0].xaxis.set_major_locator(MaxNLocator(integer=True))
    rows = [(str(width), value(gap, stderr))
            for width, gap, stderr in zip(made.widths, made.gaps, made.stderrs, strict=True)]  # fmt: skip
    check = made.check
    return (
            Paragraph(
                (
                    f"At each width {made.networks} networks learn {SEQUENCES} random targets from the last outputs by "
                    f"{STEPS} steps of full-batch gradient descent on the mean square error, with the step size ",
                    value(made.step_size, digits=3),
                    *marked(", half the largest stable one of the limit. The limit predicts the outputs by "
                            r"$f \leftarrow f - \frac{2 \eta}{N} K (f - y)$ from the outputs of each network at its "
                            "start. "), Ref("tab:training"), *marked(" gives the "
                                                                                                     "distance of "
                                                                                                     "the outputs "
                                                                                                     "after training "
                                                                                                     "from this "
                                                                                                     "prediction, "
                                                                                                     "relative to "
                                                                                                     "their first "
                                                                                                     "distance from "
                                                                                                     "the targets. "
                                                                                                     "Its mean "
                                                                                                     "square, fitted "
                                                                                                     "in powers of "
                                                                                                     "$1/n$ and read "
                                                                                                     "off at "
                                                                                                     "infinite "
                                                                                                     "width, is "),
                    value(check.estimate, check.stderr), f", where the limit says zero: {check.verdict}. "
                    f"A true limit would be refuted with probability at most {check.false_alarm:g}, and it holds only "
                    f"if a distance of {SEEN:.0%} would have been seen with probability 0.9. ",
                    Ref("fig:training"), " shows how the errors fall.",
                )
            ),
            Table(
                ("width", "distance"), tuple(rows),
                f"Distance of trained outputs from those of the limit, root mean square over {made.networks} networks.",
                "tab:training", "rr",
            ),
            placed(drawn, draft.folder, "training",
                   "Mean square error of one network of each width, and of the limiting descent from the start of the "
                   "widest one. Each network has its own start.", "fig:training"),
    )  # fmt: skip
