"""The verb `validate`: a derived limit against random networks."""

from __future__ import annotations

import math
import os
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from wideproof.derive.language.alternating import Alternating
from wideproof.derive.language.errors import ParameterError
from wideproof.reports.cli.alternating import refuse_meaningless
from wideproof.reports.cli.console import EXIT, Stages, err, print_json, verdict
from wideproof.reports.cli.models import Model, any_model_with
from wideproof.reports.cli.symbols import Json, parameters

if TYPE_CHECKING:
    from wideproof.numeric.validation.linear_rnn.cost import Cost


def _announce(cost: Cost, told: str) -> None:
    """Tell what the run will need.  Errors: ParameterError where it is more memory than the machine has."""
    most = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if cost.memory > most:
        hint = "Take --method auto, which draws wide networks without their matrices, or a smaller --width."
        raise ParameterError("validate", f"a run that fits {most / 1e9:.3g} GB", f"{cost.memory / 1e9:.3g} GB", hint)
    if told:
        err.print(f"{told}{cost}")


def validate_command(
    context: typer.Context,
    model: Model,
    width: Annotated[int, typer.Option(min=1, help="Largest width of the ladder.")] = 1024,
    trials: Annotated[
        int | None,
        typer.Option(min=2, help="Random networks at each width; by default 10000 for the linear RNN, else 1500."),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed; the same seed gives the same bits.")] = 0,
    device: Annotated[Literal["cpu", "cuda"], typer.Option(help="Where to draw the networks.")] = "cpu",
    checkpoint: Annotated[Path | None, typer.Option(help="Save here; a killed run resumes with the same bits.")] = None,
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
    all_checks: Annotated[bool, typer.Option("--all", help="Print every check, pair of lags by pair of lags.")] = False,
    as_json: Json = False,
) -> None:
    """Confront the derived limit with Monte Carlo at finite width; variances are options such as --nu-W 0.5.

    For the linear RNN the impulse response and the scale factors are tested, else the NNGP and the tangent kernel.

    Memory and time are told before the start, the samplers and why they were chosen at the end.

    Examples: [b]wideproof validate linear-rnn --width 1000000000000 --trials 100000[/b],
    [b]wideproof validate elman --activation erf --width 512 --budget 0.0035 --trials 20000[/b],
    [b]wideproof validate linear-rnn --width 256 --method dense --dtype float32[/b]
    """
    from wideproof.numeric.validation.validate import validate

    if budget is not None and not 0 < budget < math.inf:
        where = f"{context.command_path}: --budget"
        raise ParameterError(where, "a relative standard error > 0", budget, "For example --budget 0.01.")
    recursion = any_model_with(context, model)
    nu = parameters(context, list(recursion.program().symbols))
    if isinstance(recursion, Alternating):
        refuse_meaningless(recursion.program(), nu, f"validate {model}")
    told = "" if as_json else "at most " if budget else "needs "
    with Stages(quiet=as_json) as stages, stages("Monte Carlo") as progress:
        found = validate(
            recursion,
            width,
            trials,
            seed,
            device,
            progress=progress,
            checkpoint=checkpoint,
            sampler=method,
            budget=budget,
            dtype=dtype,
            announce=lambda cost: _announce(cost, told),
            **nu,
        )
    if as_json:
        print_json(
            {
                "verdict": found.verdict,
                "method": found.method,
                "seed": seed,
                "checks": [asdict(check) for check in found.checks],
            }
        )
    else:
        verdict(found, all_checks or isinstance(recursion, Alternating))
    raise typer.Exit(EXIT[found.verdict])
