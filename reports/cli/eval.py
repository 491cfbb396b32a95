"""The verb `eval`: a derived formula as numbers."""

from __future__ import annotations

from typing import Annotated

import numpy as np
import typer

from wideproof.derive.language.errors import ParameterError
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
    given = parameters(context, list(dict.fromkeys([*read, *derived.program.symbols])))
    demand(context, [name for name in read if formula.reads(name)], given)
    at = {"j": np.arange(lags or LAGS)} if lagged else {}
    nu = dict.fromkeys(read, 1.0) | given  # what the formula does not contain changes nothing
    values = np.atleast_1d(formula.compile("numpy")(**at, **nu))
    if as_json:
        print_json({"values": list(values)})
    elif lagged:
        table(("lag", quantity), [(str(lag), f"{x:.12g}") for lag, x in enumerate(values)])
    else:
        out.print(f"{values[0]:.12g}")
