"""Figure 3: test error against the delay of the teacher, for RNN, scaled and unscaled convolution."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from wideproof.derive.language.errors import ParameterError
from wideproof.numeric.core.arrays import Host
from wideproof.numeric.linear_rnn.convolution import matched
from wideproof.numeric.linear_rnn.krylov import draw_rnn, impulse_response
from wideproof.numeric.linear_rnn.quadratic_loss import Quadratic, quadratic
from wideproof.numeric.linear_rnn.training import Model, train
from wideproof.numeric.linear_rnn.training_choice import Announce, choose_exact
from wideproof.numeric.paper.experiments.assumptions import check_width, choice, tupled
from wideproof.numeric.paper.experiments.model_selection import RNN, SCALED, UNSCALED
from wideproof.numeric.paper.experiments.scale_factors import Scale, scale_of_lags
from wideproof.numeric.runs.tasks import NOTHING_KEPT, Arrays, Tasks

Curve = tuple[float, ...]
MODELS = (RNN, SCALED, UNSCALED)


@dataclass(frozen=True)
class DelaySetting:
    """The teacher repeats its white input after a delay, with noise; all of it is our choice, not the paper's.

    Every model takes train's default step size, the inverse of its largest curvature, and as many of `steps` steps
    as do best on a validation set of its own.  Units: delays and horizon in steps, snr_db in decibels.
    """

    delays: tuple[int, ...] = choice((0, 2, 4, 6, 8, 10, 12, 14), "delays of the teacher, in steps", least=0)
    horizon: int = choice(20, "length T of every sequence, and number of lags")
    sequences: int = choice(40, "training sequences, and as many for validation")
    snr_db: float = choice(20.0, "power of the clean outputs over that of the noise, in decibels")
    steps: int = choice(300, "most steps of gradient descent; validation chooses among them")
    width: int = choice(400, "width n of the RNN", most=10**15)
    nu_W: float = choice(0.3, "variance of the entries of W")
    nu_F: float = choice(1.0, "variance of the entries of F")
    nu_C: float = choice(1.0, "variance of the entries of C")
    seeds: tuple[int, ...] = choice((1, 2, 3, 4, 5, 6), "seeds, each of its own data and network", least=0, most=2**63)

    def __post_init__(self) -> None:
        if not self.delays or min(self.delays) < 0 or max(self.delays) >= self.horizon or len(self.seeds) < 2:
            got = f"delays {self.delays}, horizon {self.horizon}, {len(self.seeds)} seeds"
            want = "0 <= delays < horizon and two seeds"
            raise ParameterError("DelaySetting", want, got, "An error needs two seeds.")
        check_width("DelaySetting", self.width)


@dataclass(frozen=True)
class DelayCurves:
    """Test error over the power of the clean output, per model and delay: mean and standard error over seeds.

    The test error is the expectation over white test inputs without noise, so only training adds to its error.

    Shapes: mean and stderr[model][delay]; gap and gap_stderr[delay] are RNN minus scaled convolution, paired by seed.
    Units: 1 is the error of predicting zero.
    """

    setting: DelaySetting
    models: tuple[str, ...]
    mean: tuple[Curve, ...]
    stderr: tuple[Curve, ...]
    gap: Curve
    gap_stderr: Curve


def delay_experiment(
    setting: DelaySetting | None = None,
    *,
    scale: Scale | None = None,
    method: str = "auto",
    announce: Announce | None = None,
    progress: Callable[[int, int], None] | None = None,
    tasks: Tasks = NOTHING_KEPT,
) -> DelayCurves:
    """Train the three models on delays of increasing length, with independent data and networks for each seed.

    All three start from one impulse response; `announce` is told the method of the RNNs before the start; `tasks` keep
    the errors of each delay and seed and say who trains.
    Errors: ParameterError for a setting that means nothing, or a method that is not exact.
    Source: emami2021implicit, section 5.1 and figure 3.
    """
    setting = DelaySetting() if setting is None else setting
    nu = {"nu_W": setting.nu_W, "nu_F": setting.nu_F, "nu_C": setting.nu_C}
    rho = scale_of_lags(setting.horizon, **nu, scale=scale)
    chosen = choose_exact(setting.width, _data(setting, 0, np.random.default_rng(0)), setting.steps, method)
    if announce is not None:
        announce(chosen.times(len(setting.delays) * len(setting.seeds)))
    common = {"setting": asdict(setting), "rho": rho.tolist()}
    plans = [common | {"delay": delay, "seed": seed} for delay in setting.delays for seed in setting.seeds]
    found = tasks.results(delayed_errors, plans, progress)
    errors = np.array([x["errors"] for x in found]).T.reshape(len(MODELS), len(setting.delays), len(setting.seeds))
    count = len(setting.seeds) ** 0.5
    gap = errors[0] - errors[1]
    mean, stderr = errors.mean(axis=2), errors.std(axis=2, ddof=1) / count
    return DelayCurves(
        setting, MODELS, tuple(map(_curve, mean)), tuple(map(_curve, stderr)),
        _curve(gap.mean(axis=1)), _curve(gap.std(axis=1, ddof=1) / count),
    )  # fmt: skip


def delayed_errors(plan: dict[str, Any]) -> Arrays:
    """Return the relative test error of each model at its best validation step, averaged over white test inputs.

    Shapes: errors (3,).  Units: 1 is the error of predicting zero.  Error: rounding, the average is exact.
    Source: `train`.
    """
    setting, delay, rho = DelaySetting(**tupled(plan["setting"])), plan["delay"], np.asarray(plan["rho"])
    rng = np.random.default_rng([plan["seed"], delay])
    parts = [_data(setting, delay, rng) for _ in range(3)]
    rnn = draw_rnn(setting.width, 1, 1, nu_W=setting.nu_W, nu_F=setting.nu_F, nu_C=setting.nu_C, rng=rng)
    impulse = impulse_response(rnn, setting.horizon)
    starts: list[Model] = [rnn, matched(impulse, rho), matched(impulse)]
    found = []
    for start in starts:
        learned = train(start, parts[0], parts[1], steps=setting.steps).best_impulse
        target = np.zeros(setting.horizon)
        target[delay] = 1.0
        weight = (setting.horizon - np.arange(setting.horizon)) / (setting.horizon - delay)
        found.append(float(np.sum(weight * (np.asarray(learned)[:, 0, 0] - target) ** 2)))
    return {"errors": np.array(found)}


def _data(setting: DelaySetting, delay: int, rng: np.random.Generator) -> Quadratic:
    """White inputs and their delayed copies with noise, as sequences."""
    x = rng.standard_normal((setting.sequences, setting.horizon, 1))
    clean = np.zeros_like(x)
    clean[:, delay:] = x[:, : setting.horizon - delay]
    noise = 10.0 ** (-setting.snr_db / 20.0) * rng.standard_normal(x.shape)
    return quadratic(x, clean + noise)


def _curve(values: Host) -> Curve:
    return tuple(float(v) for v in values)
