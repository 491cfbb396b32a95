"""Validation: a derived limit, evaluated by its emitted functions, against Monte Carlo at finite width."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from wideproof.derive import Alternating, Program, Recursion, nngp
from wideproof.derive.emit.derivation import as_program
from wideproof.derive.language.alternating import AlternatingProgram
from wideproof.derive.language.errors import ParameterError
from wideproof.derive.language.scalars import check_keywords
from wideproof.numeric.core.arrays import to_host
from wideproof.numeric.core.checks import Level
from wideproof.numeric.core.inputs import callback, choice, instance, real, whole
from wideproof.numeric.core.width_ladder import default_horizon
from wideproof.numeric.kernels.kernel import Kernel
from wideproof.numeric.networks.narrow_width import quiet_widths, warn_narrow
from wideproof.numeric.runs.crew import Crew, crew_of, workers_of
from wideproof.numeric.runs.gathering import Progress
from wideproof.numeric.runs.memory import refuse_too_large
from wideproof.numeric.runs.tasks import Elsewhere
from wideproof.numeric.sampling.linear.choice import DTYPES, METHODS
from wideproof.numeric.validation.alternating import lines_plan
from wideproof.numeric.validation.experiment import Experiment, KernelExperiment, LinearExperiment, LinesExperiment
from wideproof.numeric.validation.judged import Validation
from wideproof.numeric.validation.kernels import KernelPlan, Power, default_trials
from wideproof.numeric.validation.linear_rnn import Plan, variances
from wideproof.numeric.validation.linear_rnn.cost import Cost
from wideproof.numeric.validation.linear_rnn.plan import PARTS
from wideproof.numeric.validation.runs import carry_out, start

DEVICES = {"cpu": "numpy", "cuda": "cupy"}
FEW_TRIALS = 5000  # below, networks have 4 inputs and outputs: 16 entries of L_j each make up for few networks
LINEAR_TRIALS, KERNEL_TRIALS = 10_000, 1500
NARROW, NARROW_TRIALS, NARROW_LAGS = 16, 200_000, 4
"""Below this width squared entries have long tails, so there are more trials, of networks that cost nothing."""
DEFAULTS = {"nu_W": 0.3, "nu_F": 1.0, "nu_C": 1.0}
"""Our assumption where the user states no variance; the paper's values are lost."""
KERNEL_DEFAULTS = DEFAULTS | {"nu_W": 0.8, "nu_U": 0.8, "nu_b": 0.1, "nu_c": 0.1, "alpha": 0.5}
"""Our assumption for the symbols of the gallery where the recursion is not the linear RNN."""
KERNEL_HORIZON = 4


def validate(
    recursion: Recursion | Alternating | Program,
    width: int = 1024,
    trials: int | None = None,
    seed: int = 0,
    device: str = "cpu",
    horizon: int | None = None,
    level: Level | None = None,
    progress: Progress | None = None,
    sampler: str = "auto",
    budget: float | None = None,
    announce: Callable[[Cost | Power], None] | None = None,
    dtype: str = "float64",
    out: str | Path | None = None,
    force: bool = False,
    jobs: int | None = None,
    executor: Executor | Crew | None = None,
    scheduler: str | None = None,
    shard: tuple[int, int] | None = None,
    **nu: float,
) -> Validation:
    """Compare a derived limit with random networks, extrapolated in the width.

    For the linear RNN the law of the impulse response and the scale factors are tested; for every other recursion
    each entry of the NNGP and of the tangent kernel of a few random sequences; for an alternating program the mean
    squares of its named vectors.
    A mean that the engine knows exactly at the width itself is judged there (`Check.prediction_at`), the others
    extrapolated to infinite width; `not_judged` of the result says what is out of reach.
    Shapes: width is the largest of the ladder, trials are per width (by default 10000 for the linear RNN, 200000 below
    width 16; for kernels 1500, or what a verdict needs), horizon the number of lags or steps. `budget` is a relative
    standard error at which a width stops early; `announce` is told before the start the
    estimated memory and time, then of kernels what the run can decide;
    `dtype` is the precision of whole matrices, float32 with the sampler dense only. `out` is the folder of the run:
    what is drawn is kept there, and the same call goes on with it; `force` replaces another run. `jobs` processes of
    this machine draw, or an `executor` of concurrent.futures, or the workers of a Dask `scheduler`, tcp://host:port or
    "local"; `shard` (2, 8) draws the second eighth and judges nothing.
    Units: nu_M is the variance of an entry of M.
    Error: a true limit is refuted with probability at most level.false_alarm. StoreError for a folder of another run;
    ParameterError for a run that does not fit the memory. The bits are the same for any jobs, executor and shards.
    Source: emami2021implicit, Theorem 3.3, (15) and Lemma B.1; yang2020tensor2.

    >>> found = wp.validate(wp.models.linear_rnn(), width=64, trials=100, seed=1)
    >>> found.verdict, len(found.checks)
    ('undecided', 13)
    """
    callback("validate: progress", progress)
    callback("validate: announce", announce)
    shard = checked_shard(shard, out, budget)
    experiment = planned(recursion, width, trials, seed, device, horizon, level, sampler, budget, dtype, nu)
    where = f"validate {experiment.program.name}"
    refuse_too_large(where, experiment.memory(), workers_of(jobs, executor, scheduler),
                     experiment.plan.backend)  # fmt: skip
    if not isinstance(experiment, LinesExperiment):
        warn_narrow(experiment.program, experiment.values, experiment.plan.width, experiment.plan.horizon)
    run = None if out is None else start(Path(out), experiment, shard, force)
    cost = experiment.cost() if announce is not None else None
    if announce is not None and cost is not None:
        announce(cost)
    if announce is not None and isinstance(experiment, KernelExperiment) and budget is None:
        announce(experiment.power())
    with crew_of(jobs, executor, scheduler, device) as crew:
        return carry_out(experiment, run, progress, crew, shard)


def validated(
    recursion: Recursion | Alternating | Program, width: int, trials: int | None, seed: int, progress: Progress,
    draws: Mapping[str, Any], values: Mapping[str, float],
) -> Validation:  # fmt: skip
    """Validate within a larger run; `draws` are options that say where numbers are kept and who draws which.

    Error: as `validate`; `Elsewhere` in a part of a run.  Source: `validate`.
    """
    with quiet_widths():
        found = validate(recursion, width, trials, seed, progress=progress, **draws, **dict[str, Any](values))
    if not isinstance(found, Validation):
        raise Elsewhere
    return found


def checked_shard(shard: tuple[int, int] | None, out: object, budget: float | None) -> tuple[int, int] | None:
    """Return a part (k, m) of a run, 1 <= k <= m.  Errors: ParameterError, also without a folder or with a budget."""
    if shard is None:
        return None
    if not isinstance(shard, tuple | list) or len(shard) != 2:
        raise ParameterError("shard", "two numbers (k, m)", shard, "(2, 8) is the second of eight parts.")
    m = whole("shard: parts", shard[1], 1, 10**6)
    k = whole("shard: part", shard[0], 1, m, "Parts are counted from 1.")
    if out is None:
        raise ParameterError("shard", "a folder for the numbers of the part", "none", "Add --out DIR.")
    if budget is not None:
        raise ParameterError("shard", "a number of trials alone", f"a budget of {budget:g}",
                             "Whether a width is precise enough is seen by no part: leave out --budget.")  # fmt: skip
    return k, m


def planned(
    recursion: Recursion | Alternating | Program, width: int, trials: int | None, seed: int, device: str,
    horizon: int | None, level: Level | None, sampler: str, budget: float | None, dtype: str, nu: Mapping[str, float],
) -> Experiment:  # fmt: skip
    """Return the experiment that `validate` carries out for its arguments.

    Shapes, units: as `validate`.  Error: ParameterError, naming the argument, and where the limit is infinite.
    Source: definition.
    """
    choice("validate: device", device, DEVICES, "cuda needs wideproof[cuda12] or [cuda13].")
    choice("validate: dtype", dtype, DTYPES, "float64 is the default.")
    choice("validate: sampler", sampler, METHODS, "auto takes the cheapest.")
    width, seed = whole("width", width, 1), whole("seed", seed, most=2**128)
    trials = None if trials is None else whole("trials", trials, 2)
    horizon = None if horizon is None else whole("horizon", horizon, 1)
    budget = None if budget is None else real("validate: budget", budget, 0.0, above=True)
    if level is not None:
        instance("validate: level", level, Level, "Write Level(false_alarm=0.01).")
    if isinstance(recursion, Alternating | AlternatingProgram):
        if (sampler, budget, dtype, horizon) != ("auto", None, "float64", None):
            want, hint = "width, trials, seed, device", "Its matrix is drawn whole, in double precision."
            raise ParameterError(f"validate {recursion.name}", want, "another option", hint)
        return LinesExperiment(lines_plan(recursion, nu, width, trials, seed, DEVICES[device]), level)
    program = as_program(recursion)
    values = settings(program, nu)
    if not is_linear_rnn(program):
        if dtype != "float64":
            hint = "Single precision is offered for whole matrices of the linear RNN: leave dtype out."
            raise ParameterError("validate: dtype", "float64", dtype, hint)
        plan = KernelPlan(
            program, values, width, KERNEL_TRIALS if trials is None else trials,
            KERNEL_HORIZON if horizon is None else horizon, seed=seed, sampler=sampler,
            backend=DEVICES[device], target=budget,
        )  # fmt: skip
        if nngp(program).formula.process is None:
            refuse_infinite(Kernel(program, **dict[str, Any](values)), plan)
        if trials is None:
            refuse_too_large(f"validate {program.name}", KernelExperiment(plan, level).memory(), 1, plan.backend)
            plan = replace(plan, trials=default_trials(plan, level))
        return KernelExperiment(plan, level)
    usual = LINEAR_TRIALS if width >= NARROW else NARROW_TRIALS
    linear = _linear_plan(program, values, width, usual if trials is None else trials, horizon, seed)
    linear = replace(linear, sampler=sampler, backend=DEVICES[device], target=budget, kernel_trials=None, widths=(),
                     dtype=dtype)  # fmt: skip
    return LinearExperiment(program, values, linear, level)


def refuse_infinite(limits: Kernel, plan: KernelPlan) -> None:
    """Refuse, before networks are drawn, a limit that no network can be measured against.

    Error: ParameterError for an infinite limit, NotClosed where the tangent kernel does
    not exist.  Source: definition.
    """
    for name in ("nngp", "ntk"):
        with np.errstate(over="ignore", invalid="ignore"):
            steps = np.diagonal(np.all(np.isfinite(to_host(getattr(limits, name)(plan.inputs))), axis=(0, 2)))
        if not steps.all():
            where, got = f"validate {plan.program.name}", f"the {name} is beyond {np.finfo(float).max:.0e}"
            hint = "The variance grows without bound here: pass smaller variances, such as nu_W=0.05 and nu_F=0.1."
            raise ParameterError(where, "a limit that is finite", f"{got} from step {int(np.argmin(steps))} on", hint)


def _linear_plan(
    program: Program, values: dict[str, float], width: int, trials: int, horizon: int | None, seed: int,
) -> Plan:  # fmt: skip
    usual = default_horizon(width) if width >= NARROW else max(1, min(NARROW_LAGS, width - 1))
    lags = usual if horizon is None else horizon
    sides = 4 if trials < FEW_TRIALS or width < NARROW else 2
    return Plan(width, trials, lags, **variances(program, values), n_x=sides, n_y=sides, seed=seed)


def settings(program: Program, nu: Mapping[str, float]) -> dict[str, float]:
    """Return the numbers given for the symbols of a recursion, and our assumption for the others of the gallery.

    Units: of each symbol.  Error: ParameterError for a name that is no symbol of the recursion, and
    for a symbol that has neither a number nor an assumption.  Source: `DEFAULTS`, `KERNEL_DEFAULTS`.
    """
    usual = DEFAULTS if is_linear_rnn(program) else KERNEL_DEFAULTS
    usual = {name: x for name, x in usual.items() if name in program.symbols} | dict(nu)
    check_keywords("validate", usual, program.symbols, options=inspect.signature(validate).parameters)
    return {
        name: real(name, usual[name], 0.0 if x.is_nonnegative else -math.inf) for name, x in program.symbols.items()
    }


def is_linear_rnn(program: Program) -> bool:
    """Say whether a recursion is the linear RNN, under any names.

    Source: definition.
    """
    found = {p.role: p for p in program.parameters}
    if sorted(p.role for p in program.parameters) != sorted(PARTS.values()) or len(program.states) != 1:
        return False
    W, F, C = (found[role] for role in PARTS.values())
    rnn = Recursion(program.name)
    made = {p.name: getattr(rnn, p.role)(p.name, p.variance) for p in program.parameters}
    h = rnn.state(program.states[0].name)
    rnn.update(h, made[W.name] @ h + made[F.name] @ rnn.x)
    rnn.output(made[C.name] @ h)
    return rnn.program() == program
