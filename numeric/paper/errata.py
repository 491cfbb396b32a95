"""A machine check for each erratum: whether the corrected statement holds, and the numbers that show it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from wideproof.derive import (
    ProofError,
    Recursion,
    erf,
    impulse_response,
    models,
    moments,
    ntk,
    scale_factor_bound,
    scale_factor_peak,
    scale_factors,
    state_evolution,
)
from wideproof.derive.language.errors import ParameterError, ShapeError
from wideproof.derive.linear.errata import ERRATA
from wideproof.derive.referee.readings import judged_readings
from wideproof.numeric.core.arrays import Host, backend, seed_sequence, stream
from wideproof.numeric.kernels.kernel import Kernel
from wideproof.numeric.linear_rnn.convolution import Convolution, matched
from wideproof.numeric.linear_rnn.quadratic_loss import to_taps
from wideproof.numeric.linear_rnn.training import train
from wideproof.numeric.linear_rnn.unstable_draws import unstable_draws
from wideproof.numeric.paper.experiments import MomentSizes, RadiusSizes, StartSizes
from wideproof.numeric.paper.experiments.scale_factors import scale_of_lags
from wideproof.numeric.paper.experiments.training_dynamics import Setting, teacher_data
from wideproof.numeric.paper.training_bound import constants, emitted, exact_movement, measure_bound
from wideproof.numeric.sampling.linear import LinearSetting
from wideproof.numeric.sampling.linear.dense import dense

NU: dict[str, Any] = {"nu_W": 0.3, "nu_F": 1.0, "nu_C": 1.0}
Evidence = dict[str, Any]


@dataclass(frozen=True)
class Finding:
    """Whether the corrected statement of an erratum holds by machine (None: a matter of wording), and the evidence."""

    item: str
    holds: bool | None
    evidence: Evidence


def check_errata(
    items: tuple[str, ...] | None = None, seed: int = 0, sizes: Mapping[str, Any] | None = None
) -> tuple[Finding, ...]:
    """Check the named errata, by default all of them, each in seconds; `sizes` holds those of E1, E2 and E4 by name.

    Errors: ParameterError for an unknown name.  Source: derive.linear.errata.
    """
    known = tuple(erratum.item for erratum in ERRATA)
    wanted = known if items is None else items
    if unknown := sorted(set(wanted) - set(known)):
        raise ParameterError("check_errata", ", ".join(known), ", ".join(unknown), "Names are E1 ... E12.")
    chosen = {item: (kind(),) for item, kind in SIZES.items()} | {item: (x,) for item, x in (sizes or {}).items()}
    found = ((item, *CHECKS[item](seed, *chosen.get(item, ()))) for item in wanted)
    return tuple(Finding(item, None if holds is None else bool(holds), evidence) for item, holds, evidence in found)


@dataclass(frozen=True)
class RankCondition:
    """The rank of the limiting kernel on given inputs, beside its size and the most it can be."""

    size: int
    rank: int
    largest_rank: int
    smallest_eigenvalue: float
    holds: bool


def rank_condition(x: Host, *, n_y: int = 1, **nu: Any) -> RankCondition:
    """Whether Proposition 3.1's hypothesis, a positive smallest eigenvalue of the kernel, holds on these inputs.

    Shapes: x (N, T, n_x).  Error: eigenvalues below rounding, size x 1e-16 of the largest, count as zero.
    Source: emami2021implicit (16), with erratum E6.
    """
    x = np.asarray(x, dtype=np.float64)
    if x.ndim != 3:
        raise ShapeError("rank_condition", "x (N, T, n_x)", x.shape, "Add the missing axes.")
    sequences, horizon, n_x = x.shape
    kernel = Kernel(models.linear_rnn(), **(NU | nu))
    size = sequences * horizon
    values = np.linalg.eigvalsh(np.asarray(kernel.ntk(x, x)).reshape(size, size))
    rank = int(np.sum(values > size * np.finfo(float).eps * values[-1]))
    return RankCondition(size * n_y, rank * n_y, min(size, horizon * n_x) * n_y, float(values[0]), rank == size)


# ---- the checks -----------------------------------------------------------------------------------
def _e1(seed: int, sizes: RadiusSizes) -> tuple[bool, Evidence]:
    n, draws = sizes.radius_width, sizes.radius_draws
    found = unstable_draws((0.3, 0.9, 1.0), width=n, draws=draws, seed=seed)
    W = np.random.default_rng([seed, 1]).standard_normal((n, n)) * 0.3**0.5
    norm = float(np.linalg.norm(W, 2)) / n**0.5
    triples = zip(found.radius, found.limit, found.nu_W, strict=True)
    near = [abs(radius - limit) < 0.5 * abs(radius - nu) for radius, limit, nu in triples]
    refuted, printed = _printed("E1")
    holds = refuted and near[0] and near[1] and norm > 1.5 * found.radius[0] and found.share[2] > 0.5
    return holds, {
        **printed,
        "width": n,
        "draws": draws,
        "nu_W": found.nu_W,
        "limit": found.limit,
        "radius": found.radius,
        "stderr": found.radius_stderr,
        "operator_norm": norm,
        "unstable_share": found.share,
    }


def _e2(seed: int, sizes: MomentSizes) -> tuple[bool, Evidence]:
    width, trials, lags = 4, sizes.moment_trials, 6
    xp = backend("numpy")
    setting = LinearSetting(width, lags)
    draw = dense(setting, trials, stream(xp, seed_sequence(seed, 2))).response[:, :, 0, 0] ** 2
    mean, stderr = draw.mean(axis=0), draw.std(axis=0, ddof=1) / trials**0.5
    derived = [moments(models.linear_rnn(), lag=j) for j in range(lags)]
    exact = [float(d.formula.compile()(n=width, nu_W=1.0, nu_F=1.0, nu_C=1.0)) for d in derived]
    scores = [float((m - e) / s) for m, e, s in zip(mean, exact, stderr, strict=True)]
    refuted, printed = _printed("E2")
    holds = refuted and max(map(abs, scores)) < 5 and abs(mean[5] - 1) > 5 * stderr[5]
    return holds, {
        **printed,
        "width": width,
        "trials": trials,
        "exact": exact,
        "estimate": _list(mean),
        "stderr": _list(stderr),
        "formula": [str(d.formula.expr) for d in derived],
    }


def _e3(seed: int) -> tuple[bool, Evidence]:
    rnn = models.linear_rnn()
    true = {form: scale_factor_bound(rnn, form) for form in ("sharp", "T-free", "paper")}
    refuted, printed = _printed("E3")
    peak = scale_factor_peak(rnn)
    proofs = [d.proof for d in (*true.values(), peak, peak.rise)]
    nu = np.array([0.3, 0.7, 0.9, 0.95, 0.99])
    lags = peak.formula.compile()(nu_W=nu, nu_F=1.0, nu_C=1.0)
    rho = scale_factors(rnn).formula.compile()(j=np.arange(200)[:, None], nu_W=nu, nu_F=1.0, nu_C=1.0)
    holds = refuted and all(map(_verifies, proofs)) and bool(np.array_equal(np.argmax(rho, axis=0), lags))
    return holds, {
        "true": {form: str(d.formula.expr) for form, d in true.items()},
        **printed,
        "nu_W": _list(nu),
        "peak": _list(lags),
        "rises_where_positive": str(peak.rise.formula.expr),
    }


def _e4(seed: int, sizes: StartSizes) -> tuple[bool, Evidence]:
    setting = Setting()
    data, _, _ = teacher_data(setting)
    variance = impulse_response(models.linear_rnn()).formula.compile()(j=np.arange(setting.horizon), **NU)
    draws = np.random.default_rng([seed, 4]).standard_normal((sizes.starts, setting.horizon)) * variance**0.5
    lengths = np.array([constants(data, taps[:, None]).residual for taps in draws])
    found = constants(data, draws[0][:, None])
    bound = float(
        emitted()["start"](T=setting.horizon, n_x=1, n_y=1, norm=found.norm, targets=found.targets, nu_F=1.0, nu_C=1.0)
    )
    mean, deviation = float(lengths.mean()), float(lengths.std(ddof=1))
    holds = deviation > 0.1 * mean and mean <= bound and float(lengths.max()) > mean + 3 * deviation
    return holds, {
        "starts": sizes.starts,
        "mean": mean,
        "deviation": deviation,
        "largest": float(lengths.max()),
        "bound_of_the_mean": bound,
    }


def _e5(seed: int) -> tuple[bool, Evidence]:
    run = measure_bound(Setting(steps=12), widths=(50, 10**6), seeds=2, records=5)
    worst = [max(row) for row in run.ratios]
    holds = run.convolution_ratio <= 1 and worst[0] > 1 >= worst[1]
    return holds, {"widths": run.widths, "largest_ratio": worst, "convolution": run.convolution_ratio}


def _e6(seed: int) -> tuple[bool, Evidence]:
    rng = np.random.default_rng([seed, 6])
    large, small = rank_condition(rng.standard_normal((20, 6, 3))), rank_condition(rng.standard_normal((3, 6, 3)))
    holds = not large.holds and large.rank == large.largest_rank == 18 and small.holds
    return holds, {"N = 20, T = 6, n_x = 3": vars(large), "N = 3, T = 6, n_x = 3": vars(small)}


def _e7(seed: int) -> tuple[bool, Evidence]:
    rnn = Recursion("repeated")
    W, F, C = rnn.matrix("W", "nu_W"), rnn.input_map("F", "nu_F"), rnn.readout("C", "nu_C")
    g, h = rnn.state("g", initial=1), rnn.state("h")
    rnn.update(g, g)  # one vector at every step
    rnn.update(h, W @ g + F @ rnn.x)
    rnn.output(C @ h)
    derived = state_evolution(rnn, form="innovations", horizon=3)
    vector = np.random.default_rng([seed, 7]).standard_normal((300, 1))
    gram = np.hstack([vector] * 3).T @ np.hstack([vector] * 3) / 300
    rank = int(np.linalg.matrix_rank(gram))
    verified = _verifies(derived.proof)
    return verified and rank == 1, {"rank of three equal steps": rank, "innovations_form_verifies": verified}


def _e8(seed: int) -> tuple[bool, Evidence]:
    rng, n, steps = np.random.default_rng([seed, 8]), 60, 4
    H, W = rng.standard_normal((n, steps)), rng.standard_normal((n, n))
    seen = W @ H / n**0.5
    span = H @ np.linalg.pinv(H)  # the projector on the columns met
    told = n**0.5 * seen @ np.linalg.pinv(H)
    fresh = rng.standard_normal((n, n))
    gaps = {
        name: float(np.linalg.norm((told + fresh @ projector) @ H / n**0.5 - seen))
        for name, projector in (("kernel", np.eye(n) - span), ("orthogonal to the kernel", span))
    }
    return gaps["kernel"] < 1e-10 < 0.1 < gaps["orthogonal to the kernel"], {"residual": gaps}


def _e9(seed: int) -> tuple[bool, Evidence]:
    lags = np.arange(1, 41)
    initial = impulse_response(models.linear_rnn()).formula.compile()(j=lags, **NU) ** 0.5
    learned = scale_of_lags(41, **NU)[1:]
    rates = [float(x[-1] / x[-2]) for x in (initial, learned)]
    ratio = initial / learned
    holds = abs(rates[0] - 0.3**0.5) < 1e-9 and abs(rates[1] - 0.3) < 0.02 and bool(np.all(np.diff(ratio[2:]) > 0))
    return holds, {"per_lag_initial": rates[0], "per_lag_learned": rates[1], "initial_over_learned": _list(ratio[::10])}


def _e10(seed: int) -> tuple[None, Evidence]:
    return None, {"kind": "wording only; nothing to compute"}


def _e11(seed: int) -> tuple[bool, Evidence]:
    rnn = Recursion("erf-rnn")
    W, F, C = rnn.matrix("W", "nu_W"), rnn.input_map("F", "nu_F"), rnn.readout("C", "nu_C")
    h = rnn.state("h")
    rnn.update(h, erf(W @ h + F @ rnn.x))
    rnn.output(C @ h)
    rules = {
        name: sorted({step.rule for step in ntk(made).proof.steps} & {"lemma-c1", "tensor-programs"})
        for name, made in (("linear", models.linear_rnn()), ("erf", rnn))
    }
    return rules == {"linear": ["lemma-c1"], "erf": ["tensor-programs"]}, {"theorem_used": rules}


def _e12(seed: int) -> tuple[bool, Evidence]:
    setting = Setting()
    data, _, _ = teacher_data(setting)
    rho = scale_of_lags(setting.horizon, **NU)
    start = matched(np.random.default_rng([seed, 12]).standard_normal((setting.horizon, 1, 1)), rho)
    result = train(start, data, steps=20)
    assert isinstance(result.final, Convolution)
    moved = to_taps(np.asarray(result.final.impulse - start.impulse))
    taps = np.asarray(to_taps(start.impulse))
    gaps = {}
    for name, step in (("with N T n_y / 2", result.step_size), ("without", result.step_size * 2 / data.count)):
        closed = exact_movement(data, rho, taps, step, [20])[0]
        gaps[name] = float(np.linalg.norm(closed - moved) / np.linalg.norm(moved))
    return gaps["with N T n_y / 2"] < 1e-10 and gaps["without"] > 0.01, {"relative_gap": gaps}


CHECKS: dict[str, Callable[..., tuple[bool | None, Evidence]]] = {
    "E1": _e1,
    "E2": _e2,
    "E3": _e3,
    "E4": _e4,
    "E5": _e5,
    "E6": _e6,
    "E7": _e7,
    "E8": _e8,
    "E9": _e9,
    "E10": _e10,
    "E11": _e11,
    "E12": _e12,
}
SIZES: dict[str, type] = {"E1": RadiusSizes, "E2": MomentSizes, "E4": StartSizes}
"""The sizes that a check takes."""


def _printed(item: str) -> tuple[bool, Evidence]:
    """What the referee says about the readings of the paper's formula: whether it refutes all, and where."""
    found = judged_readings(item)
    refuted = all(x.verdict == "refuted" and _verifies(x.proof) for x in found)
    points = {str(x.formula): {name: str(number) for name, number in (x.point or {}).items()} for x in found}
    return refuted, {"refuted": points}


def _verifies(proof: Any) -> bool:
    try:
        proof.verify()
    except ProofError:
        return False
    return True


def _list(values: Any) -> list[float]:
    return [float(v) for v in values]
