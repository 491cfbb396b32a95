"""Proposition 3.1: a random linear RNN and its own linearisation, trained side by side at growing width."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import numpy as np

from wideproof.derive.language.errors import ParameterError
from wideproof.numeric.core.arrays import Host, backend
from wideproof.numeric.linear_rnn.quadratic_loss import Quadratic, largest_stable_step, loss_and_slope
from wideproof.numeric.linear_rnn.subspace import LazyDescent, RandomRNN, finest_tolerance
from wideproof.numeric.linear_rnn.training_choice import Announce, choose_network
from wideproof.numeric.paper.experiments.assumptions import choice
from wideproof.numeric.paper.experiments.scale_factors import scale_of_lags
from wideproof.numeric.paper.experiments.training_dynamics import Curve, Setting, fit_rate, relative_gap, teacher_data
from wideproof.numeric.runs.tasks import NOTHING_KEPT, Arrays, Tasks

NUDGE = 1e-5  # of a central difference: its error is of the order of NUDGE over the root of the width

MOVES = 3  # of the network, for each tap of the linearisation


@dataclass(frozen=True)
class Ladder:
    """The widths and networks of the measurement: all of it our choice, not the paper's."""

    linearised_widths: tuple[int, ...] = choice(
        (10**2, 10**3, 10**4, 10**5, 10**6), "widths at which RNN and linearisation are compared"
    )
    linearised_networks: int = choice(16, "networks drawn at each of these widths")
    linearised_steps: int = choice(40, "steps over which the gap is the largest one")

    def __post_init__(self) -> None:
        if len(set(self.linearised_widths)) < 4 or self.linearised_networks < 2 or self.linearised_steps < 1:
            got = f"{len(set(self.linearised_widths))} widths, {self.linearised_networks} networks"
            raise ParameterError("Ladder", "four widths, two networks and a step", got, "A rate needs its error.")


@dataclass(frozen=True)
class LinearisedGaps:
    """max_l |loss_lin/loss_RNN − 1| of networks and their linearisations, with the fitted log–log slope.

    Shapes: gaps[width][network], mean and stderr per width; rnn and linearised are the first network's losses.
    """

    setting: Setting
    widths: tuple[int, ...]
    gaps: tuple[Curve, ...]
    mean: Curve
    stderr: Curve
    slope: float
    slope_stderr: float
    rnn: Curve
    linearised: Curve


def linearised_gaps(
    setting: Setting | None = None,
    ladder: Ladder | None = None,
    *,
    tangent: Callable[[LazyDescent, Quadratic], Host] | None = None,
    announce: Announce | None = None,
    progress: Callable[[int, int], None] | None = None,
    tasks: Tasks = NOTHING_KEPT,
) -> LinearisedGaps:
    """Train networks of every width and their linearisations at the start, with one step size on one data set.

    Networks are sampled in law; a network and its linearisation share one draw. `tasks` keep the losses of each
    network and say who trains; `tangent` is for tests.
    Source: emami2021implicit, Proposition 3.1 and (16).
    """
    setting, ladder = setting or Setting(), ladder or Ladder()
    data, _, _ = teacher_data(setting)
    rho = scale_of_lags(setting.horizon, nu_W=setting.nu_W, nu_F=setting.nu_F, nu_C=setting.nu_C)
    step = setting.step_fraction * largest_stable_step(data, rho)
    widths, count = ladder.linearised_widths, ladder.linearised_networks
    if announce is not None:
        moves = ladder.linearised_steps + MOVES * data.lags * data.n_x * data.n_y
        announce(choose_network(max(widths), data, moves, method="sampled").times(len(widths) * count))
    common = {"setting": asdict(setting), "step": step, "steps": ladder.linearised_steps}
    plans = [common | {"width": width, "seed": k} for width in widths for k in range(count)]
    work = linearised_pair if tangent is None else partial(linearised_pair, tangent=tangent)
    pairs = [x["losses"] for x in tasks.results(work, plans, progress)]
    gaps, shown = np.array([relative_gap(*pair) for pair in pairs]).reshape(len(widths), count), pairs[0]
    slope, slope_stderr, _ = fit_rate(np.repeat(widths, count), gaps.ravel(), correction=0.5)
    return LinearisedGaps(
        setting, widths, tuple(map(_curve, gaps)), _curve(gaps.mean(axis=1)),
        _curve(gaps.std(axis=1, ddof=1) / count**0.5), slope, slope_stderr, _curve(shown[0]), _curve(shown[1]),
    )  # fmt: skip


def _network(setting: Setting, width: int, seed: int) -> RandomRNN:
    """A tolerance far below the nudge: what is shorter than it is lost in a difference."""
    nu = setting.nu_W, setting.nu_F, setting.nu_C
    return RandomRNN(width, setting.n_x, setting.n_y, *nu, seed, 10.0 * finest_tolerance(width))


def linearised_pair(plan: dict[str, Any], tangent: Callable[[LazyDescent, Quadratic], Host] | None = None) -> Arrays:
    """Return the losses after 0 … steps steps of a network and of its linearisation.

    Shapes: losses (2, steps + 1).  Units: output^2.  Error: of the tangent, by central differences.
    Source: emami2021implicit, (16).
    """
    setting, step, steps = Setting(**plan["setting"]), plan["step"], plan["steps"]
    data, _, _ = teacher_data(setting)
    descent = LazyDescent(_network(setting, plan["width"], plan["seed"]), data.lags)
    taps = descent.taps()
    gram = (tangent or tangent_gram)(descent, data)
    losses = np.empty((2, steps + 1))
    for k in range(steps + 1):
        moving = descent.taps()
        losses[0, k], slope = loss_and_slope(data, moving)
        descent.move(slope, step)
        losses[1, k], slope = loss_and_slope(data, taps)
        taps = taps - step * (gram @ slope.ravel()).reshape(taps.shape)
    return {"losses": losses}


def tangent_gram(descent: LazyDescent, data: Quadratic) -> Host:
    """Inner products of the gradients of all taps, by central differences, at the last `taps()`.

    The images that it needs are drawn first, so that every copy and later training share them.
    Shapes: -> (P, P), P = T n_x n_y.
    """
    xp, columns = backend("numpy"), []
    for slope in _directions(data):
        descent.move(slope, 0.0)
    for slope in _directions(data):
        sides = []
        for sign in (NUDGE, -NUDGE):
            copy = deepcopy(descent, {id(xp): xp})  # a module is no state
            copy.taps()
            copy.move(slope, sign)
            sides.append(copy.taps())
        columns.append(((sides[1] - sides[0]) / (2.0 * NUDGE)).ravel())
    return np.column_stack(columns)


def _directions(data: Quadratic) -> Iterator[Host]:
    size = data.lags * data.n_x * data.n_y
    for unit in np.eye(size):
        yield unit.reshape(data.lags * data.n_x, data.n_y)


def _curve(values: Host) -> Curve:
    return tuple(float(v) for v in values)
