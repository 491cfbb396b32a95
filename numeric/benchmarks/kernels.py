"""Kernels of infinitely wide networks against the ways their rivals compute them: equal numbers first."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import product
from typing import Any

import numpy as np

from wideproof.derive import Recursion, models, ntk
from wideproof.derive.expectation.pair_integrals import Variables, expectation
from wideproof.derive.expectation.tables.compiled_sweep import LIMITS
from wideproof.numeric.benchmarks.kernel_rivals import NETS, SCAN, ErfRecursion, Net, hermite
from wideproof.numeric.benchmarks.machine import floor
from wideproof.numeric.benchmarks.records import Case, DisagreementError, Floor
from wideproof.numeric.benchmarks.rows import Note, Outcome, row
from wideproof.numeric.core.arrays import Array, Host
from wideproof.numeric.core.timing import Clock, arithmetic, paired, root
from wideproof.numeric.kernels.kernel import Kernel
from wideproof.numeric.kernels.sequence_batches import SequenceBatch

TOLERANCE = 1e-10
"""The largest distance of a rival's kernel from ours, relative to our largest entry, off the diagonal."""
DEPTH = 3
NU_F, NU_B = 1.0, 0.1
NODES = range(20, 201, 10)
NUMBER = 8.0
FLOPS, ROOTS = 90.0, 3.0
"""Sums and products of a pair and step of a closed form, an arc tangent among them; its roots and quotients."""
INPUTS = (1.0, 0.09, 9.0)
"""Variances of the inputs of smooth activations; of cases after the first, the first one alone."""
SWEPT = {
    "relu": models.elman("relu"),
    "erf": models.elman("erf"),
    "leaky relu": models.elman("leaky_relu(1/10)"),
    "stacked relu": models.stacked(activation="relu"),
}
Made = Callable[[str], Recursion]
MADE: dict[str, Made] = {"ours": models.elman}
CARRIED: dict[str, Made] = {"leaky": models.leaky, "residual": models.residual}
"""Networks of an activation, by title; the latter carry a state on."""
LEAK = 0.3
COUPLED = {"leaky, erf": models.leaky("erf"), "residual, relu": models.residual("relu")}
"""Whose kernel after the last step is one of all pairs of times."""


def feed_forward(
    name: str, cases: Sequence[Case], pairs: int, rivals: Sequence[Net] = NETS, clock: Clock = time.process_time
) -> Iterator[Outcome]:
    """The NTK of a feed-forward net with three hidden layers between N inputs: ReLU, erf and gelu in closed form."""
    for rival in rivals:
        missing = rival.missing()
        if missing is not None:
            yield Note(f"{name}: {missing}")
            continue
        for case in cases:
            for activation in ("relu", "erf", "gelu"):
                ours, theirs = net(activation, case, rival)
                said = agree(f"{activation}, {rival.name}", ours(), theirs())
                timing = paired(ours, theirs, pairs, clock=clock)
                yield row(name, f"{rival.name}, {activation}", case, timing, "one kernel", streamed(case, DEPTH), said)


def feed_forward_tanh(name: str, cases: Sequence[Case], pairs: int, rival: Net = NETS[-1]) -> Iterator[Outcome]:
    """The same of tanh against the quadrature of neural-tangents, which is not asked to agree: its distance is said."""
    missing = rival.missing()
    if missing is not None:
        yield Note(f"{name}: {missing}")
        return
    for case in cases:
        ours, theirs = net("tanh", case, rival)
        said = f"its kernel is off by {largest(theirs(), ours()):.1e} of the largest entry, ours by 1e-10"
        timing = paired(ours, theirs, pairs)
        yield row(name, f"{rival.name}, tanh", case, timing, "one kernel", streamed(case, DEPTH), said)


def net(activation: str, case: Case, rival: Net) -> tuple[Callable[[], Host], Callable[[], Host]]:
    """Our kernel of a feed-forward net and a rival's, ready to run."""
    X = inputs(case)
    nu = {"nu_W": case.nu_W, "nu_F": NU_F / case.n_x, "nu_C": case.nu_C, "nu_b": NU_B, "nu_c": NU_B}
    kernel = Kernel(models.feed_forward(DEPTH, activation), "ntk", "numpy", "last", **dict[str, Any](nu))
    return partial(kernel.ntk, X), rival.made(activation, X[:, 0], nu, DEPTH)


def all_times(name: str, cases: Sequence[Case], pairs: int) -> Iterator[Outcome]:
    """The NTK of one sequence between all pairs of its times, erf, one pair of times after the other as a rival."""
    base = elman(cases[0], readout="all")
    for case in cases:
        ours = elman(case, readout="all")
        if case == cases[0]:
            rival = ErfRecursion(case, inputs(case), NU_F, NU_B)
            said = agree("erf, all pairs of times", ours()[:, -1, :, -1], rival.kernel(), diagonal=True)
            timing = paired(ours, rival.kernel, max(3, pairs // 5))
            yield row(name, "each pair of times", case, timing, "one kernel", streamed(case, case.T**2), said)
        timing = paired(ours, base, pairs)
        said = "one program; its cost is quadratic in T if ratio T^2 is level"
        yield row(name, f"ours at T = {cases[0].T}", case, timing, "one kernel", streamed(case, case.T**2), said)


def last_step(name: str, cases: Sequence[Case], pairs: int) -> Iterator[Outcome]:
    """The NTK of an Elman erf network after its last step, against all pairs of times and against other sizes."""
    base = elman(cases[0])
    for case in cases:
        ours = elman(case)
        if case == cases[0]:
            rival = ErfRecursion(case, inputs(case), NU_F, NU_B)
            said = agree("erf, all pairs of times", ours(), rival.kernel())
            timing = paired(ours, rival.kernel, max(3, pairs // 5))
            yield row(name, "all pairs of times", case, timing, "one kernel", streamed(case, case.T), said)
        timing = paired(ours, base, pairs)
        said = "one program; its cost is linear in T and quadratic in N if ratio T N^2 is level"
        yield row(name, f"ours at N = {cases[0].N}, T = {cases[0].T}", case, timing, "one kernel",
                  streamed(case, case.T), said)  # fmt: skip


def swept(
    name: str, cases: Sequence[Case], pairs: int, nets: Mapping[str, Recursion] = SWEPT, coupled: bool = False
) -> Iterator[Outcome]:
    """The NTK after the last step by the compiled sweep, against the same recursion as array code."""
    for case in cases:
        for title, model in nets.items():
            nu = dict[str, Any](nu_W=case.nu_W, nu_F=NU_F / case.n_x, nu_b=NU_B, nu_C=case.nu_C)
            nu |= {x: case.nu_W for x in ("nu_U", "alpha") if x in model.program().symbols}
            ours = partial(Kernel(model, readout="last", **nu).ntk, inputs(case))
            theirs = array_code(model, case, nu)
            said = agree(f"{title}, array code", ours(), theirs())
            timing = paired(ours, theirs, pairs)
            least = per_pair(case, case.T**2 if coupled else case.T)
            yield row(name, f"array code, {title}", case, timing, "one kernel", least, said)


def scanned(name: str, cases: Sequence[Case], pairs: int, rival: Net = SCAN) -> Iterator[Outcome]:
    """The NTK of an Elman network after its last step, ReLU, erf and gelu, against a scan over its steps in JAX."""
    missing = rival.missing()
    if missing is not None:
        yield Note(f"{name}: {missing}")
        return
    for case, activation in product(cases, ("relu", "erf", "gelu")):
        nu = dict(nu_W=case.nu_W, nu_F=NU_F / case.n_x, nu_b=NU_B, nu_C=case.nu_C)
        ours, theirs = elman(case, activation, nu["nu_F"]), rival.made(activation, inputs(case), nu, case.T)
        said = agree(f"Elman {activation}, {rival.name}", ours(), theirs())
        timing = paired(ours, theirs, pairs)
        yield row(name, f"{rival.name}, {activation}", case, timing, "one kernel", per_pair(case, case.T), said)


def array_code(model: Recursion, case: Case, nu: dict[str, float]) -> Callable[[], Array]:
    """The same kernel in one block of array code, ready to run."""
    function, X = ntk(model).formula.on_sequences(), inputs(case)

    def work() -> Array:
        return np.asarray(function.on(SequenceBatch(np, X, X, True), (case.T, case.T), "last", **nu))

    return work


def smooth(
    name: str, cases: Sequence[Case], pairs: int, made: Mapping[str, Made] = MADE, coupled: bool = False
) -> Iterator[Outcome]:
    """The NTK of a tanh network after its last step, against that of erf: both as `Kernel` evaluates them."""
    for case, size, (title, model) in product(cases, INPUTS, made.items()):
        if size != 1.0 and case != cases[0]:
            continue
        ours, rival = (last(model(activation), case, size * NU_F / case.n_x) for activation in ("tanh", "erf"))
        timing = paired(ours, rival, pairs)
        least = per_pair(case, case.T**2 if coupled else case.T)
        said = "two functions: the ratio is the price of erf over that of tanh"
        yield row(name, f"{title}, erf, inputs of variance {size:g}", case, timing, "one kernel", least, said)


def last(model: Recursion, case: Case, nu_F: float) -> Callable[[], Array]:
    """Our kernel of a network after the last step, ready to run; what it carries over is `LEAK` of it."""
    nu = dict[str, Any](nu_W=case.nu_W, nu_F=nu_F, nu_b=NU_B, nu_C=case.nu_C)
    nu |= {x: LEAK for x in ("alpha",) if x in model.program().symbols}
    return partial(Kernel(model, readout="last", **nu).ntk, inputs(case))


def in_threads(name: str, cases: Sequence[Case], pairs: int) -> Iterator[Outcome]:
    """The NTK of an Elman network after its last step by two threads, against one: equal bits, seconds of a clock."""
    for case, activation in product(cases, ("erf", "tanh")):
        work = elman(case, activation, NU_F / case.n_x)
        ours, rival = (partial(by_threads, work, count) for count in (2, 1))
        if not np.array_equal(ours(), rival()):
            raise _disagreement(f"{activation} by two threads", 0.0, "other bits")
        timing = paired(ours, rival, pairs, clock=time.perf_counter)
        yield row(
            name, f"one thread, {activation}", case, timing, "one kernel", per_pair(case, case.T), "the same bits"
        )


def by_threads(work: Callable[[], Array], count: int) -> Array:
    """A kernel whose sweep takes so many threads."""
    kept = {name: os.environ.get(name) for name in LIMITS}
    os.environ.update(dict.fromkeys(LIMITS, str(count)))
    try:
        return work()
    finally:
        for name, value in kept.items():
            del os.environ[name]
            os.environ.update({} if value is None else {name: value})


def per_pair(case: Case, steps: int) -> Floor:
    """The floor of so many steps of the pairs that are computed, half of all; a quotient is priced as a root."""
    sequences = case.N or 1
    count = sequences * (sequences + 1) / 2 * steps
    return Floor(0.0, FLOPS * count, 0.0, count * (FLOPS / arithmetic(case.dtype) + ROOTS * root()))


def tanh_dual(name: str, cases: Sequence[Case], pairs: int) -> Iterator[Outcome]:
    """E[phi(u) phi(v)] and E[phi'(u) phi'(v)] of tanh for N x N pairs of variances near one, within 1e-10."""
    for case in cases:
        for order in (0, 1):
            drawn = gaussian_pairs(case)
            ours = mehler(order, *drawn)
            nodes = enough_nodes(order, *drawn, ours())
            rival = partial(hermite, order, nodes, *drawn)
            said = f"{agree('tanh, Gauss-Hermite', ours(), rival())}, {nodes} x {nodes} nodes"
            timing = paired(ours, rival, pairs)
            title = f"Gauss-Hermite, {'slopes' if order else 'values'}"
            yield row(name, title, case, timing, "all pairs", streamed(case, 1), said)


def enough_nodes(order: int, variances: Host, covariance: Host, want: Host) -> int:
    """The fewest nodes, in steps of ten, with which the quadrature is within 1e-10 on some of the pairs.

    Errors: DisagreementError where none are enough.
    """
    some = slice(min(40, len(variances)))
    part = variances[some], covariance[some, some]
    for nodes in NODES:
        if largest(hermite(order, nodes, *part), want[some, some]) <= TOLERANCE / 2:
            return nodes
    raise _disagreement("tanh", TOLERANCE, f"more with {NODES[-1]} nodes")


def elman(case: Case, activation: str = "erf", nu_F: float = NU_F, readout: str = "last") -> Callable[[], Array]:
    """Our kernel of a case, ready to run."""
    kernel = Kernel(models.elman(activation), readout=readout, nu_W=case.nu_W, nu_F=nu_F, nu_b=NU_B, nu_C=case.nu_C)
    X = inputs(case)
    return lambda: kernel.ntk(X)


def mehler(order: int, variances: Host, covariance: Host) -> Callable[[], Host]:
    """Our expectations, ready to run."""
    factor = ("tanh", order)

    def work() -> Host:
        variables = Variables("numpy", (variances[:, None], variances[None, :]), covariance)
        return np.asarray(expectation((factor, factor), variables)[0])

    return work


def inputs(case: Case) -> Host:
    """Random input sequences.  Shapes: (N, T, n_x)."""
    return np.random.default_rng(3).standard_normal((case.N or 1, case.T, case.n_x))


def gaussian_pairs(case: Case) -> tuple[Host, Host]:
    """Variances from 0.8 to 1 and covariances of correlation up to 0.9.  Shapes: (N,), (N, N)."""
    rng, count = np.random.default_rng(4), case.N or 1
    variances = rng.uniform(0.8, 1.0, count)
    return variances, rng.uniform(-0.9, 0.9, (count, count)) * np.sqrt(np.outer(variances, variances))


def agree(what: str, ours: Host, theirs: Host, diagonal: bool = False) -> str:
    """Say how well two kernels agree.  Errors: DisagreementError beyond 1e-10 of the largest entry."""
    apart = largest(theirs, ours, diagonal)
    if not apart <= TOLERANCE:
        raise _disagreement(what, TOLERANCE, apart)
    return f"kernels within {apart:.1e}"


def largest(theirs: Host, ours: Host, diagonal: bool = False) -> float:
    """The largest distance, off the diagonal where rivals lose half of their digits, over our largest entry."""
    apart = np.abs(np.asarray(theirs) - np.asarray(ours))
    if not diagonal:
        np.fill_diagonal(apart, 0.0)
    return float(apart.max() / np.abs(np.asarray(ours)).max())


def _disagreement(what: str, allowed: float, got: object) -> DisagreementError:
    hint = "A ratio of times means nothing between programs that compute different things."
    return DisagreementError(f"kernels: {what}", f"a relative distance <= {allowed:g}", got, hint)


def streamed(case: Case, layers: int) -> Floor:
    """What must be moved: per layer two expectations and two kernels of the pairs, of which half are different."""
    count = (case.N or 1) ** 2 / 2
    return floor(4 * NUMBER * layers * count, 0.0, 0.0, 2.0**20)
