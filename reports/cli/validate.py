"""The verb `validate`: a derived limit against random networks."""

from __future__ import annotations

import math
from typing import Annotated, Literal

import typer

from wideproof.derive.language.errors import ParameterError
from wideproof.reports.cli.console import EXIT, Stages, err
from wideproof.reports.cli.models import Model, any_model_with
from wideproof.reports.cli.runs.options import Force, Jobs, Out, Scheduler, ShardText, shard_named
from wideproof.reports.cli.runs.verdict import tell
from wideproof.reports.cli.symbols import Json, parameters


def validate_command(
    context: typer.Context,
    model: Model,
    width: Annotated[int, typer.Option(min=1, help="Largest width of the ladder.")] = 1024,
    trials: Annotated[
        int | None,
        typer.Option(
            min=2, help="Random networks at each width; by default 10000 for the linear RNN, else 1500 or what decides."
        ),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed; the same seed gives the same bits.")] = 0,
    device: Annotated[Literal["cpu", "cuda"], typer.Option(help="Where to draw the networks.")] = "cpu",
    method: Annotated[
        Literal["auto", "dense", "matrix-free"],
        typer.Option(
            help="How networks are drawn, exact in law either way: dense draws whole matrices, n² numbers a "
            "network; matrix-free draws only what the statistics read, at a cost free of the width; auto takes the "
            "cheaper and says why."
        ),
    ] = "auto",
    budget: Annotated[
        float | None,
        typer.Option(
            help="Stop a width once every estimate has this relative standard error, such as 0.01; --trials are then "
            "the most, and 0.005 costs four times as many. Kernels need about 0.0035 for a verdict."
        ),
    ] = None,
    dtype: Annotated[
        Literal["float64", "float32"],
        typer.Option(
            help="Precision of whole matrices (linear RNN, --method dense): float32 halves the memory and rounds at "
            "6e-8, below any standard error in reach; it is faster on a GPU."
        ),
    ] = "float64",
    out_dir: Out = None,
    force: Force = False,
    jobs: Jobs = None,
    scheduler: Scheduler = None,
    shard: ShardText = None,
    all_checks: Annotated[bool, typer.Option("--all", help="Print every check, pair of lags by pair of lags.")] = False,
    as_json: Json = False,
) -> None:
    """Confront the derived limit with Monte Carlo at finite width; variances are options such as --nu-W 0.5.

    For the linear RNN the impulse response and the scale factors are tested, else the NNGP and the tangent kernel.

    Memory and time are told before the start, and of kernels what the run can decide; the samplers and why they were
    chosen at the end.

    With --out what is drawn is kept: a run that is killed goes on with [b]wideproof runs resume DIR[/b].

    Examples: [b]wideproof validate linear-rnn --width 1000000000000 --trials 100000[/b],
    [b]wideproof validate elman --activation erf --width 512 --budget 0.0035 --trials 20000[/b],
    [b]wideproof validate linear-rnn --width 256 --method dense --dtype float32[/b],
    [b]wideproof validate elman --out runs/elman --jobs 4[/b]
    """
    from wideproof.numeric.networks.narrow_width import quiet_widths
    from wideproof.numeric.validation.linear_rnn.cost import Cost
    from wideproof.numeric.validation.validate import validate

    if budget is not None and not 0 < budget < math.inf:
        where = f"{context.command_path}: --budget"
        raise ParameterError(where, "a relative standard error > 0", budget, "For example --budget 0.01.")
    recursion = any_model_with(context, model)
    nu = parameters(context, list(recursion.program().symbols))
    told = "at most " if budget else "needs "
    with Stages(quiet=as_json) as stages, stages("Monte Carlo") as progress, quiet_widths():
        found = validate(
            recursion,
            width,
            trials,
            seed,
            device,
            progress=progress,
            sampler=method,
            budget=budget,
            dtype=dtype,
            announce=None if as_json else lambda found: err.print(f"{told * isinstance(found, Cost)}{found}"),
            out=out_dir,
            force=force,
            jobs=jobs,
            scheduler=scheduler,
            shard=shard_named(shard),
            **nu,
        )
    tell(found, seed, as_json, all_checks)
    raise typer.Exit(EXIT[found.verdict])
