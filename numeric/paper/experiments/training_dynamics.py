"""Figures 1 and 2: the wide linear RNN and the scaled convolution learn a small teacher alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from wideproof.derive.language.errors import ParameterError
from wideproof.numeric.core.arrays import Host
from wideproof.numeric.linear_rnn.convolution import matched
from wideproof.numeric.linear_rnn.krylov import LinearRNN, draw_rnn, impulse_response
from wideproof.numeric.linear_rnn.quadratic_loss import Quadratic, apply_filter, largest_stable_step, quadratic
from wideproof.numeric.linear_rnn.subspace import RandomRNN
from wideproof.numeric.linear_rnn.training import Model, impulse_of, train
from wideproof.numeric.linear_rnn.training_choice import Announce, MethodChoice, choose_network
from wideproof.numeric.paper.experiments.assumptions import choice
from wideproof.numeric.paper.experiments.scale_factors import Scale, scale_of_lags
from wideproof.numeric.runs.gathering import Progress
from wideproof.numeric.runs.tasks import NOTHING_KEPT, Arrays, Tasks

Curve = tuple[float, ...]


@dataclass(frozen=True)
class Setting:
    """The experiment of § 5.1; every choice says whether the paper states it or we assume it.

    Units: those of each meaning.  Source: emami2021implicit §5.1.
    """

    horizon: int = choice(10, "length T of every sequence, and number of lags")
    n_x: int = choice(1, "number of inputs")
    n_y: int = choice(1, "number of outputs")
    nu_W: float = choice(0.3, "variance of the entries of W, teacher and student")
    nu_F: float = choice(1.0, "variance of the entries of F")
    nu_C: float = choice(1.0, "variance of the entries of C")
    teacher: int = choice(4, "hidden units of the teacher", stated=True)
    sequences: int = choice(50, "training sequences, and as many test sequences", stated=True)
    snr_db: float = choice(20.0, "power of the clean outputs over that of the noise, in decibels", stated=True)
    steps: int = choice(100, "steps of full-batch gradient descent")
    step_fraction: float = choice(0.1, "step size over the largest stable one of the scaled convolution")
    data_seed: int = choice(2101, "seed of teacher, inputs and noise", least=0, most=2**63)


@dataclass(frozen=True)
class Sizes:
    """How wide the networks are and how many of them are drawn: all of it our choice, not the paper's."""

    curve_width: int = choice(1000, "width n of the RNN whose curves are drawn", most=10**15)
    widths: tuple[int, ...] = choice(
        (10**2, 10**3, 10**4, 10**5, 10**6, 10**7, 10**8, 10**9, 10**10, 10**11),
        "widths of the gap between the models",
        most=10**15,
    )
    networks: int = choice(16, "networks drawn at each of these widths")
    gap_steps: int = choice(40, "steps over which the gap is the largest one")

    def __post_init__(self) -> None:
        if self.curve_width < 1 or len(set(self.widths)) < 3 or min(self.widths) < 1 or self.networks < 2:
            got = f"width {self.curve_width}, widths {self.widths}, {self.networks} networks"
            want = "widths >= 1, three different ones for the gap, two networks"
            raise ParameterError("Sizes", want, got, "A rate needs its error.")


@dataclass(frozen=True)
class Dynamics:
    """Entry ℓ of a curve is the mean square error after ℓ steps; both models start from one response."""

    setting: Setting
    width: int
    seed: int
    step_size: float
    noise_power: float
    rnn_train: Curve
    rnn_test: Curve
    scaled_train: Curve
    scaled_test: Curve
    train_gap: float
    test_gap: float
    method: str = "krylov"
    reason: str = ""
    error: float = 0.0


@dataclass(frozen=True)
class GapLadder:
    """The gap max_ℓ |loss_scaled/loss_RNN − 1| against the width, with its fitted log–log slope.

    Shapes: gaps[width][seed], mean and stderr per width; slope by least squares on all log gaps. `test` is the
    same of the test losses, for the training losses only.
    """

    setting: Setting
    widths: tuple[int, ...]
    gaps: tuple[Curve, ...]
    mean: Curve
    stderr: Curve
    slope: float
    slope_stderr: float
    intercept: float
    method: str
    test: GapLadder | None = None

    def exceeded(self, width: int, gap: float) -> float:
        """The probability of a gap this large at this width, by the ranks of all gaps over the fitted power."""
        own = np.asarray(self.gaps) / np.asarray(self.widths, dtype=float)[:, None] ** self.slope
        return float((1 + np.sum(own >= gap / width**self.slope)) / (1 + own.size))


def teacher_data(setting: Setting) -> tuple[Quadratic, Quadratic, float]:
    """Train and test sets of a small random linear RNN with white inputs, and the power of the output noise.

    Source: emami2021implicit §5.1.  Units: the noise power is that of one output.
    """
    rng = np.random.default_rng(setting.data_seed)
    teacher = _draw(setting, setting.teacher, rng)
    x = rng.standard_normal((2, setting.sequences, setting.horizon, setting.n_x))
    clean = [apply_filter(impulse_response(teacher, setting.horizon), part) for part in x]
    noise_power = float(np.mean(clean[0] ** 2)) * 10.0 ** (-setting.snr_db / 10.0)
    noisy = [part + noise_power**0.5 * rng.standard_normal(part.shape) for part in clean]
    return quadratic(x[0], noisy[0]), quadratic(x[1], noisy[1]), noise_power


def plan_training(setting: Setting, width: int = Sizes.curve_width, method: str = "auto") -> MethodChoice:
    """How `dynamics` trains the RNN of one width, before anything is drawn.

    Errors: ParameterError for a method that does not apply or does not fit.  Source: `choose_network`.
    """
    return choose_network(width, teacher_data(setting)[0], setting.steps, method=method)


def dynamics(
    setting: Setting | None = None,
    *,
    width: int = Sizes.curve_width,
    seed: int = 1,
    scale: Scale | None = None,
    method: str = "auto",
    announce: Announce | None = None,
    progress: Progress | None = None,
    tasks: Tasks = NOTHING_KEPT,
) -> Dynamics:
    """Train the RNN of one width and its matched scaled convolution, at one step size, on one data set.

    The method is `choose_network`'s: whole networks, or in law at a cost independent of the width; `announce` is
    told it, with its reason, memory and time, before the start. `tasks` keep the trained pair.
    Errors: ParameterError where the step diverges or the method does not fit.  Source: emami2021implicit Fig. 1 and 2.
    """
    setting = Setting() if setting is None else setting
    data, _, noise_power = teacher_data(setting)
    rho = _scale(setting, scale)
    step = setting.step_fraction * largest_stable_step(data, rho)
    chosen = plan_training(setting, width, method)
    if announce is not None:
        announce(chosen)
    plan = _plan(setting, rho, step, width, seed, chosen.name)
    pair = tasks.result("trained_pair", plan, lambda: trained_pair(plan, progress))
    return Dynamics(
        setting, width, seed, step, noise_power,
        _curve(pair["rnn_train"]), _curve(pair["rnn_test"]), _curve(pair["scaled_train"]), _curve(pair["scaled_test"]),
        *_gaps(pair), chosen.name, chosen.reason, float(pair["error"]),
    )  # fmt: skip


def gap_ladder(
    setting: Setting | None = None,
    *,
    widths: Sequence[int] = Sizes.widths,
    seeds: int = Sizes.networks,
    method: str = "sampled",
    scale: Scale | None = None,
    announce: Announce | None = None,
    progress: Progress | None = None,
    tasks: Tasks = NOTHING_KEPT,
) -> GapLadder:
    """Measure the training gap at every width over independent networks on one data set, and fit its rate.

    The default setting stops after 40 steps: the gap is largest in the first few. All networks are trained by one
    method, `choose_network`'s at the largest width: in law by default, at a cost independent of the width. `tasks` keep
    the trained pairs and say who trains them.
    Errors: ParameterError for fewer than three widths or two seeds, or a method that does not fit.
    Source: emami2021implicit Thm 3.2, 3.3.
    """
    setting = Setting(steps=Sizes.gap_steps) if setting is None else setting
    if len(set(widths)) < 3 or seeds < 2:
        got = f"{len(set(widths))} and {seeds}"
        raise ParameterError("gap_ladder", "three widths and two seeds", got, "A rate needs its error.")
    data, _, _ = teacher_data(setting)
    chosen = choose_network(max(widths), data, setting.steps, method=method)
    if announce is not None:
        announce(chosen.times(len(widths) * seeds))
    rho = _scale(setting, scale)
    step = setting.step_fraction * largest_stable_step(data, rho)
    plans = [_plan(setting, rho, step, width, k, chosen.name) for width in widths for k in range(seeds)]
    pairs = tasks.results(trained_pair, plans, progress)
    gaps = np.array([_gaps(pair) for pair in pairs]).T.reshape(2, len(widths), seeds)
    return _ladder(setting, widths, gaps[0], chosen.name, _ladder(setting, widths, gaps[1], chosen.name, None))


def _ladder(setting: Setting, widths: Sequence[int], gaps: Host, method: str, test: GapLadder | None) -> GapLadder:
    count = gaps.shape[1]
    slope, slope_stderr, intercept = fit_rate(
        np.repeat(widths, count), gaps.ravel(), correction=0.5 if len(set(widths)) > 3 else 0.0
    )
    stderr = gaps.std(axis=1, ddof=1) / count**0.5
    return GapLadder(
        setting, tuple(widths), tuple(_curve(row) for row in gaps), _curve(gaps.mean(axis=1)), _curve(stderr),
        slope, slope_stderr, intercept, method, test,
    )  # fmt: skip


def relative_gap(reference: Host, other: Host) -> float:
    """max_ℓ |other_ℓ / reference_ℓ − 1|.  Shapes: (steps + 1,), (steps + 1,) -> scalar."""
    return float(np.max(np.abs(other / reference - 1.0)))


def fit_rate(
    widths: Host, gaps: Host, correction: float = 0.0, errors: Host | None = None
) -> tuple[float, float, float]:
    """Slope, its standard error and intercept of log gap = intercept + slope log width, by least squares.

    A term in width^{-correction} is fitted too where that is not 0, so that narrow networks do not bias the slope.
    Shapes: (k,) each -> scalars.  Error: propagated from the standard errors of the gaps where they are given; else
    from the residuals, for equal, independent log errors.
    """
    design = np.column_stack([np.log(widths), np.ones(len(widths))])  # (k, 2)
    if correction:
        design = np.column_stack([design, np.asarray(widths, dtype=float) ** -correction])  # (k, 3)
    logs = np.log(gaps)
    scale = np.ones(len(logs)) if errors is None else errors / gaps  # of the logarithms
    solve = np.linalg.pinv(design / scale[:, None]) / scale  # (2 or 3, k)
    coefficients = solve @ logs
    if errors is None:
        residual = logs - design @ coefficients
        scale = scale * (residual @ residual / (len(logs) - design.shape[1])) ** 0.5
    stderr = float(np.sum((solve[0] * scale) ** 2) ** 0.5)
    return float(coefficients[0]), stderr, float(coefficients[1])


def _plan(setting: Setting, rho: Host, step: float, width: int, seed: int, method: str) -> dict[str, Any]:
    """All that the bits of a trained pair depend on."""
    return {"setting": asdict(setting), "rho": rho.tolist(), "step": step, "width": width, "seed": seed,
            "method": method}  # fmt: skip


def trained_pair(plan: dict[str, Any], progress: Progress | None = None) -> Arrays:
    """Return the losses of a network and of its matched scaled convolution, and the error of the network's.

    Shapes: (steps + 1,) each; error ().  Units: output^2.  Error: rounding, and `error`.  Source: `train`.
    """
    setting, step = Setting(**plan["setting"]), plan["step"]
    data, test, _ = teacher_data(setting)
    rnn = _network(setting, plan["width"], plan["seed"], plan["method"])
    start = matched(impulse_of(rnn, setting.horizon), np.asarray(plan["rho"]))
    wide = train(rnn, data, test, steps=setting.steps, step_size=step, progress=progress)
    scaled = train(start, data, test, steps=setting.steps, step_size=step)
    return {"rnn_train": wide.train_loss, "rnn_test": wide.test_loss, "scaled_train": scaled.train_loss,
            "scaled_test": scaled.test_loss, "error": np.array(wide.error)}  # fmt: skip


def _gaps(pair: Arrays) -> tuple[float, float]:
    """The gap of the training losses of a pair, and that of its test losses."""
    train_gap, test_gap = (relative_gap(pair[f"rnn_{part}"], pair[f"scaled_{part}"]) for part in ("train", "test"))
    return train_gap, test_gap


def _network(setting: Setting, width: int, seed: int, method: str) -> Model:
    if method != "sampled":
        return _draw(setting, width, np.random.default_rng([seed, width]))
    nu = {"nu_W": setting.nu_W, "nu_F": setting.nu_F, "nu_C": setting.nu_C}
    return RandomRNN(width, setting.n_x, setting.n_y, **nu, seed=seed)


def _draw(setting: Setting, width: int, rng: np.random.Generator) -> LinearRNN:
    nu = {"nu_W": setting.nu_W, "nu_F": setting.nu_F, "nu_C": setting.nu_C}
    return draw_rnn(width, setting.n_x, setting.n_y, **nu, rng=rng)


def _scale(setting: Setting, scale: Scale | None) -> Host:
    nu = {"nu_W": setting.nu_W, "nu_F": setting.nu_F, "nu_C": setting.nu_C}
    return scale_of_lags(setting.horizon, **nu, scale=scale)


def _curve(values: Host) -> Curve:
    return tuple(float(v) for v in values)
