"""The verb `derive`: quantities by their names, with their proofs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Annotated, Any

import typer

from wideproof.derive import Derivation, Memory, NotClosed, NotDiagonal, NotLinear, Program
from wideproof.derive.language.errors import DeriveError
from wideproof.derive.referee.quantities import QUANTITIES, named, quantity_named
from wideproof.reports.cli.console import Stages, closed_lines, describe, out, plain, print_json, said
from wideproof.reports.cli.models import Model, any_model_with
from wideproof.reports.cli.quantities import completed, listed
from wideproof.reports.cli.symbols import Json, parameters


def derive_command(
    context: typer.Context,
    model: Model,
    quantity: Annotated[
        str,
        typer.Argument(
            metavar="[QUANTITY]",
            help=f"One of {listed()}; all these if left out. At finite width, of one lag: "
            f"{', '.join(named('lag'))}; to order 1/n, of one step: {', '.join(named('step'))}.",
            autocompletion=lambda: completed("", "lag", "step"),
        ),
    ] = "",
    lag: Annotated[int | None, typer.Option(min=0, help="The lag of a quantity at finite width, such as 3.")] = None,
    step: Annotated[
        int | None,
        typer.Option(min=0, help="The step of a correction of order 1/n; 1, of layered nets 0, if left out."),
    ] = None,
    proof: Annotated[bool, typer.Option("--proof", help="Print every step of the proof.")] = False,
    closed: Annotated[
        bool, typer.Option("--closed", help="Write Gaussian expectations in closed form: arc-cosine, arcsine.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Derive a quantity, verify its proof, and print the formula; options of the model such as --activation tanh.

    Examples: [b]wideproof derive linear-rnn scale-factors --proof[/b], [b]wideproof derive linear-rnn --json[/b],
    [b]wideproof derive linear-rnn ntk-variance --lag 3[/b],
    [b]wideproof derive elman nngp-correction --step 2 --activation tanh[/b]
    """
    program = any_model_with(context, model).program()
    parameters(context, ())
    kind = type(program)
    chosen: dict[str, Callable[..., Derivation]] = (
        {quantity: partial(quantity_named(quantity, kind), lag=lag, step=step)}
        if quantity
        else _all(kind, {"lag": lag, "step": step})
    )
    found: list[Derivation] = []
    stuck: dict[str, DeriveError] = {}
    with Stages(quiet=as_json) as stages:
        for name, make in chosen.items():
            with stages(f"{name} of {model}") as progress, _noted(name, stuck if len(chosen) > 1 else None):
                derivation = make(program, progress=progress)
                parts = derivation.parts.values() if quantity and isinstance(derivation, Memory) else ()
                for part in (derivation, *parts):
                    part.proof.verify()
                    found.append(part)
                progress(1, 1)
    if as_json:
        reasons = [{"quantity": name, "error": _fields(error)} for name, error in stuck.items()]
        print_json({"model": model, "derivations": [_derived(d, closed) for d in found], "underivable": reasons})
        return
    for derivation in found:
        describe(derivation, proof, closed)
    for name, error in stuck.items():
        out.print(f"{name} of {model} does not exist: {error}")


def _all(kind: type[Program], at: Mapping[str, int | None]) -> dict[str, Callable[..., Derivation]]:
    """All quantities of a kind, those at finite width last and where a lag or a step is given."""
    given = {argument: value for argument, value in at.items() if value is not None}
    known, taken = QUANTITIES[kind], {"": dict[str, Any]()} | {argument: {argument: x} for argument, x in given.items()}
    return {name: partial(known[name], **own) for argument, own in taken.items() for name in named(argument, kind)}


@contextmanager
def _noted(name: str, stuck: dict[str, DeriveError] | None) -> Iterator[None]:
    """Where all quantities are asked for, one that a model does not have is noted with its reason."""
    try:
        yield
    except (NotClosed, NotDiagonal, NotLinear) as error:
        if stuck is None:
            raise
        stuck[name] = error


def _fields(error: DeriveError) -> dict[str, str]:
    return {name: str(getattr(error, name)) for name in ("where", "expected", "got", "hint")}


def _derived(derivation: Derivation, closed: bool) -> dict[str, Any]:
    formula = derivation.formula
    written = {"closed": closed_lines(derivation)} if closed else {}
    return written | {
        "quantity": derivation.quantity,
        "formula": None if formula.expr is None else plain(formula.expr),
        "latex": formula.latex(),
        "symbols": list(formula.symbols),
        "verified": True,
        "steps": [
            {
                "rule": step.rule,
                "claim": "; ".join(said(step.claim)),
                "source": step.source,
                "status": step.status,
                "premises": list(step.premises),
            }
            for step in derivation.proof.steps
        ],
    }
