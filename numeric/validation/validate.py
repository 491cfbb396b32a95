"""Validation: a derived limit, evaluated by its emitted functions, against Monte Carlo at finite width."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from pathlib import Path
from typing import Any

from wideproof.derive import Alternating, Program, Recursion
from wideproof.derive.language.errors import ParameterError
from wideproof.derive.language.program import frozen
from wideproof.numeric.core.checks import Level
from wideproof.numeric.core.inputs import callback, choice, instance, real, whole
from wideproof.numeric.networks.narrow_width import quiet_widths
from wideproof.numeric.runs.crew import Crew, crew_of, workers_of
from wideproof.numeric.runs.gathering import Progress
from wideproof.numeric.runs.memory import refuse_too_large
from wideproof.numeric.runs.tasks import Elsewhere
from wideproof.numeric.sampling.linear.choice import DTYPES, METHODS
from wideproof.numeric.validation.experiment import Experiment, PlanOptions
from wideproof.numeric.validation.judged import Validation
from wideproof.numeric.validation.kernels import Power
from wideproof.numeric.validation.kinds import kind_of
from wideproof.numeric.validation.linear_rnn.cost import Cost
from wideproof.numeric.validation.runs import carry_out, start

DEVICES = {"cpu": "numpy", "cuda": "cupy"}


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
    experiment.warn()
    run = None if out is None else start(Path(out), experiment, shard, force)
    if announce is not None:
        for told in experiment.announced():
            announce(told)
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

    Shapes, units: as `validate`.  Error: ParameterError, naming the argument; those of the kind of the experiment.
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
    program, options = frozen(recursion), tuple(inspect.signature(validate).parameters)
    asked = PlanOptions(width, trials, seed, DEVICES[device], horizon, level, sampler, budget, dtype, nu, options)
    return kind_of(program).planned(program, asked)
