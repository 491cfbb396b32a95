"""The verb `eval`: a derived formula as numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import numpy as np
import typer

from wideproof.derive.language.errors import ParameterError
from wideproof.derive.memory_horizon.memory import Memory
from wideproof.derive.referee.quantities import QUANTITIES, quantity_named
from wideproof.reports.cli.alternating import ALTERNATING, evaluate_lines
from wideproof.reports.cli.console import out, print_json, table
from wideproof.reports.cli.models import Model, lines_with, model_with
from wideproof.reports.cli.symbols import Json, demand, needed, parameters

LAGS = 10


def eval_command(
    context: typer.Context,
    model: Model,
    quantity: Annotated[
        str,
        typer.Argument(
            metavar="QUANTITY",
            help="A quantity in the lag, such as scale-factors, or a number, such as stability.",
            autocompletion=lambda: list(QUANTITIES),
        ),
    ],
    lags: Annotated[int | None, typer.Option(min=1, help="Evaluate at the lags 0 … LAGS-1; 10 if left out.")] = None,
    as_json: Json = False,
) -> None:
    """Evaluate a derived formula; its symbols are options, such as --nu-W 0.3.

    memory is evaluated where the recursion settles, at inputs of size --X, unless the moments are given, as --q 0.4.

    Examples: [b]wideproof eval linear-rnn scale-factors --nu-W 0.3 --nu-F 1 --nu-C 1 --lags 5[/b],
    [b]wideproof eval linear-rnn stability --nu-W 0.81 --nu-F 1 --nu-C 1[/b],
    [b]wideproof eval amp state-evolution --steps 1 --delta 0.5 --epsilon 0.1 --nu-w 0.01 --theta-0 0.5[/b]
    """
    if model in ALTERNATING:
        if lags:
            raise ParameterError("eval: --lags", "a quantity in the lag j", quantity, "Write --steps, a model's own.")
        program = lines_with(context, model)
        at = needed(context, list(program.program().symbols))
        known = evaluate_lines(model, program, quantity, at)
        if as_json:
            print_json({"values": list(known.values()), "names": list(known)})
        else:
            table(("quantity", "limit"), [(name, f"{x:.12g}") for name, x in known.items()])
        return
    derived = quantity_named(quantity)(model_with(context, model))
    formula = derived.formula
    lagged = "j" in formula.symbols
    if not lagged and (formula.expr is None or "t" in formula.symbols):
        hint = "Kernels and gradients take inputs: use wideproof.Kernel and wideproof.gradients."
        raise ParameterError("eval", "a quantity in the lag j, or a number", quantity, hint)
    if lags and not lagged:
        raise ParameterError("eval: --lags", "a quantity in the lag j", quantity, "It is one number: leave --lags out.")
    read = [name for name in formula.symbols if name != "j"]
    asked = [*read, *derived.program.symbols, *(("X",) if isinstance(derived, Memory) else ())]
    given = parameters(context, list(dict.fromkeys(asked)))
    if isinstance(derived, Memory) and not _moments_read(derived) <= set(given):
        values = np.array([_settled_horizon(context, derived, given)])
    else:
        demand(context, [name for name in read if formula.reads(name)], given)
        at = {"j": np.arange(lags or LAGS)} if lagged else {}
        nu = dict.fromkeys(read, 1.0) | {name: x for name, x in given.items() if name in read}
        values = np.atleast_1d(formula.compile("numpy")(**at, **nu))  # what it does not contain changes nothing
    if as_json:
        print_json({"values": list(values)})
    elif lagged:
        table(("lag", quantity), [(str(lag), f"{x:.12g}") for lag, x in enumerate(values)])
    else:
        out.print(f"{values[0]:.12g}")


def _moments_read(derived: Memory) -> set[str]:
    """The moments of the states that the horizon is a formula of."""
    from wideproof.numeric.memory_horizon.fixed_points import letter_of

    letters = {letter_of(derived, name, "q") for name in derived.variance_map}
    return {letter for letter in letters if derived.formula.reads(letter)}


def _settled_horizon(context: typer.Context, derived: Memory, given: Mapping[str, float]) -> float:
    """The horizon where the recursion settles with these variances and inputs of size X, 0 if left out.

    Errors: ParameterError for a missing variance, and where it does not settle.
    """
    from wideproof.numeric.memory_horizon.fixed_points import analyse, letters_read

    free = {"X", *(() if given.get("X") else ("nu_F",)), *_moments_read(derived)}
    demand(context, [name for name in letters_read(derived) if name not in free], given)
    own = {name: x for name, x in given.items() if name not in _moments_read(derived)}
    found = analyse(derived, **own)
    if found.settled is None:
        hint = (
            "wideproof memory MODEL shows all fixed points; give the moments, such as --q 0.4, to evaluate elsewhere."
        )
        raise ParameterError(context.command_path, "variances that settle at a fixed point", found.note or "none", hint)
    return found.settled.horizon
