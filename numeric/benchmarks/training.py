"""A step of gradient descent against back-propagation through time, and descent in law at any width."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from wideproof.numeric.benchmarks.machine import floor
from wideproof.numeric.benchmarks.records import Case, DisagreementError, Floor, Row
from wideproof.numeric.benchmarks.rivals import LIBRARIES, Gradient, Library
from wideproof.numeric.benchmarks.rows import Note, Outcome, row
from wideproof.numeric.core.arrays import Array, Host
from wideproof.numeric.core.timing import paired
from wideproof.numeric.linear_rnn.compressed import CompressedDescent
from wideproof.numeric.linear_rnn.krylov import KrylovDescent, LinearRNN, draw_rnn, impulse_response, rnn_curvature
from wideproof.numeric.linear_rnn.quadratic_loss import (
    Quadratic,
    apply_filter,
    largest_stable_step,
    loss_and_slope,
    quadratic,
)
from wideproof.numeric.linear_rnn.subspace import LazyDescent, RandomRNN, SubspaceDescent
from wideproof.numeric.paper.experiments.scale_factors import scale_of_lags
from wideproof.numeric.paper.experiments.training_dynamics import Setting, teacher_data

TOLERANCE = {"float64": 1e-10, "float32": 1e-4}
"""The relative distance in which a rival's loss and gradient count as ours."""
STEP = 0.01
SUBSPACE = 1e-4
"""The relative distance in which the losses of subspace descent at tolerance 1e-5 count as those of exact steps."""


@dataclass(frozen=True, eq=False)
class Problem:
    """A random wide RNN to be trained on the noisy outputs of a small random teacher."""

    start: LinearRNN
    x: Array
    y: Array


def problem(case: Case) -> Problem:
    """Draw the problem of a case.  Shapes: x (N, T, n_x), y (N, T, n_y)."""
    rng = np.random.default_rng(0)
    nu = {"nu_W": case.nu_W, "nu_F": case.nu_F, "nu_C": case.nu_C}
    teacher = draw_rnn(4, case.n_x, case.n_y, **nu, rng=rng)
    x = rng.standard_normal((case.N or 1, case.T, case.n_x))
    y = apply_filter(impulse_response(teacher, case.T), x)
    y = y + 0.1 * rng.standard_normal(y.shape)
    start = draw_rnn(case.n, case.n_x, case.n_y, **nu, rng=rng)
    start = LinearRNN(*(a.astype(case.dtype) for a in (start.W, start.F, start.C)))
    return Problem(start, x.astype(case.dtype), y.astype(case.dtype))


def gradient(task: Problem) -> Gradient:
    """Our loss and gradient in W, F, C, read off one long step: the step is linear in its length."""
    data, start, size = quadratic(task.x, task.y), task.start, 1e3
    descent = KrylovDescent(start, data.lags)
    value, slope = loss_and_slope(data, descent.taps())
    descent.move(slope, size)
    after = descent.model()
    W, F, C = (
        (a.astype(np.float64) - b) / size for a, b in ((start.W, after.W), (start.F, after.F), (start.C, after.C))
    )
    return float(value), W, F, C


def distance(ours: Gradient, theirs: Gradient) -> float:
    """The largest relative distance among the loss and the three gradients, each in its Euclidean norm.

    A gradient of ours that is zero, as that of W at T = 1, counts as of norm one.
    """
    pairs = [(np.asarray(a), np.asarray(b)) for a, b in zip(ours, theirs, strict=True)]
    return max(float(np.linalg.norm(a - b) / (np.linalg.norm(a) or 1.0)) for a, b in pairs)


def agree(case: Case, library: Library, ours: Gradient, theirs: Gradient) -> str:
    """Say how well loss and gradient agree.  Errors: DisagreementError beyond the tolerance of the type."""
    apart, allowed = distance(ours, theirs), TOLERANCE[case.dtype]
    if not apart <= allowed:
        hint = "A ratio of times means nothing between programs that compute different things."
        raise DisagreementError(f"training against {library.name}", f"a relative distance ≤ {allowed:g}", apart, hint)
    return f"loss and gradient within {apart:.1e}, relative"


def steps(name: str, cases: Sequence[Case], pairs: int, libraries: Sequence[Library] = LIBRARIES) -> Iterator[Outcome]:
    """One full-batch step of gradient descent by the Krylov gradient, against each library that imports."""
    for library in libraries:
        missing = library.missing()
        if missing is not None:
            yield Note(f"{name}: {missing}")
            continue
        for case in cases:
            yield against(name, case, library, pairs)


def against(name: str, case: Case, library: Library, pairs: int) -> Row:
    """Check that a library computes our loss and gradient; then time one step of each, by turns."""
    task = problem(case)
    rival = library.trainer(task.start, task.x, task.y, STEP)
    said = agree(case, library, gradient(task), rival.gradient())
    data = quadratic(task.x, task.y)
    descent = KrylovDescent(task.start, data.lags)

    def ours() -> None:
        _, slope = loss_and_slope(data, descent.taps())
        descent.move(slope, STEP)

    timing = paired(ours, rival.step, pairs)
    return row(name, library.name, case, timing, "one step", sweeps(case), said)


def sweeps(case: Case) -> Floor:
    """T−1 products with W from the left, T−1 from the right, and one update that reads and writes it."""
    columns, item = min(case.n_x, case.n_y), np.dtype(case.dtype).itemsize
    flops = 6.0 * (case.T - 1) * columns * case.n**2
    traffic = item * case.n**2 * 2.0 * case.T
    return floor(traffic, flops, 0.0, item * case.n**2, case.dtype)


def subspace(name: str, cases: Sequence[Case], pairs: int, length: int = 100) -> Iterator[Outcome]:
    """TimedDescent of a given network along the directions it meets against exact Krylov steps, from start to end.

    Both losses are compared; the floor is that of the products with W alone.
    """
    for case in cases:
        task = problem(case)
        data = quadratic(task.x, task.y)
        size = 0.2 / rnn_curvature(task.start, data)
        queries = 0

        def ours(start: LinearRNN = task.start, data: Quadratic = data, size: float = size) -> Host:
            nonlocal queries
            descent = SubspaceDescent(start, data.lags, 1e-5)
            curve = losses(descent, data, size, length)
            queries = descent.queries
            return curve

        def exact(start: LinearRNN = task.start, data: Quadratic = data, size: float = size) -> Host:
            return losses(KrylovDescent(start, data.lags), data, size, length)

        apart = float(np.max(np.abs(ours() / exact() - 1)))
        if not apart <= SUBSPACE:
            hint = "A time per step means nothing where another curve is followed."
            raise DisagreementError("training-subspace", f"losses within {SUBSPACE:g}", apart, hint)
        timing = paired(ours, exact, pairs)
        least = floor(8.0 * queries * case.n**2, 2.0 * queries * case.n**2, 0.0, 8.0 * case.n**2)
        said = f"losses within {apart:.1e}, relative; {queries} products with W"
        yield row(name, "ours, Krylov", case, timing, f"{length} steps", least, said)


def losses(descent: KrylovDescent | CompressedDescent, data: Quadratic, size: float, length: int) -> Host:
    """The loss before every step.  Shapes: (steps,)."""
    curve = np.empty(length)
    for k in range(length):
        curve[k], slope = loss_and_slope(data, descent.taps())
        descent.move(slope, size)
    return curve


def in_law(name: str, cases: Sequence[Case], pairs: int, length: int = 500) -> Iterator[Outcome]:
    """Gradient descent sampled in law at each width, against the first width; both are checked to have learnt."""
    base = TimedDescent(cases[0], length)
    for case in cases:
        ours = base if case == cases[0] else TimedDescent(case, length)
        said = alike(ours.losses(), base.losses())
        timing = paired(ours.losses, base.losses, pairs)
        rival = f"ours at n = {base.case.n}"
        yield row(name, rival, case, timing, f"{length} steps", ours.least(), said)


class TimedDescent:
    """The training of Fig. 1 at one width, in law."""

    def __init__(self, case: Case, length: int) -> None:
        nu = case.nu_W, case.nu_F, case.nu_C
        setting = Setting(case.T, case.n_x, case.n_y, *nu, sequences=case.N or 50)
        self.case, self._length, self.dimension = case, length, 0
        self._data = teacher_data(setting)[0]
        rho = scale_of_lags(case.T, nu_W=case.nu_W, nu_F=case.nu_F, nu_C=case.nu_C)
        self._step = setting.step_fraction * largest_stable_step(self._data, rho)
        self._start = RandomRNN(case.n, case.n_x, case.n_y, *nu)

    def losses(self) -> Host:
        """The loss before every step.  Shapes: (steps,)."""
        descent = LazyDescent(self._start, self.case.T)
        curve = losses(descent, self._data, self._step, self._length)
        self.dimension = descent.queries
        return curve

    def least(self) -> Floor:
        """Per step two sweeps read one l × l array each T − 1 times, and three of them are updated.

        The l queries a side are those of the last `losses()`; their images are drawn.
        """
        sweeps = 2.0 * (self.case.T - 1) * min(self.case.n_x, self.case.n_y)
        side = self.dimension / 2
        arrays = self._length * (sweeps + 6.0)
        flops = self._length * 2.0 * side**2 * 2.5 * sweeps
        return floor(arrays * 8.0 * side**2, flops, 2.0 * side**2, 8.0 * side**2)


def alike(ours: Host, base: Host) -> str:
    """Say what the two widths learnt.  Errors: DisagreementError where a curve does not fall."""
    for curve in (ours, base):
        if not np.all(np.isfinite(curve)) or not curve[-1] < curve[0]:
            hint = "A time per step means nothing where nothing is learnt."
            raise DisagreementError("training in law", "a loss that falls", (curve[0], curve[-1]), hint)
    return f"final losses {ours[-1]:.3g} and {base[-1]:.3g} from different networks"
