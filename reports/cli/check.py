"""The verb `check`: a formula put to a model comes back proved, refuted with numbers, or undecided with the reason."""

from __future__ import annotations

from typing import Annotated, Any

import sympy as sp
import typer
from rich.text import Text

from wideproof.derive import Judgement, check
from wideproof.derive.language.grammar import parse
from wideproof.derive.referee.quantities import named
from wideproof.reports.cli.console import COLOR, EXIT, Stages, out, plain, print_json
from wideproof.reports.cli.models import Model, WithModel, model_with
from wideproof.reports.cli.quantities import completed
from wideproof.reports.cli.symbols import Json, parameters


class WithFormula(WithModel):
    """A verb with symbols as options, one of whose words is a formula and may begin with a minus."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Let -1/log(nu_W) be a word, not options."""
        own = {name for option in self.get_params(ctx) for name in option.opts}
        return super().parse_args(ctx, [f" {word}" if _is_minus(word, own) else word for word in args])


def _is_minus(word: str, own: set[str]) -> bool:
    return word.startswith("-") and not word.startswith("--") and word not in own


def check_command(
    context: typer.Context,
    model: Model,
    quantity: Annotated[
        str,
        typer.Argument(
            metavar="QUANTITY",
            help=f"One of {', '.join(named())}; a part of memory is memory.chi.",
            autocompletion=lambda: completed(""),
        ),
    ],
    formula: Annotated[
        str,
        typer.Argument(
            metavar="FORMULA",
            help="In the symbols of the model, the lag j or the times t and s: + - * / **, sqrt, log, exp, min, max, "
            "ceiling, floor, sum(expr, i, 0, j); in kernels X(t, s) is the product of two inputs.",
        ),
    ],
    as_json: Json = False,
) -> None:
    """Is a formula of a paper, a colleague or a language model the limit of this recursion?

    It is proved equal to the derived one, or refuted by exact numbers, with where and how it differs. For a bound the
    question is whether the formula is a bound too. Symbols may be given as exact numbers, such as --nu-F 1 --nu-C 1/2.

    Exit codes: 0 holds, 1 refuted, 3 undecided, 2 usage.

    Examples: [b]wideproof check linear-rnn scale-factors "nu_W**j*(nu_C+nu_F) + j*nu_C*nu_F*nu_W**(j-1)"[/b],
    [b]wideproof check linear-rnn stability "nu_W"[/b],
    [b]wideproof check linear-rnn nngp "nu_C*nu_F*sum(nu_W**i*X(t-i, s-i), i, 0, min(t, s))"[/b],
    [b]wideproof check linear-rnn scale-factor-bound "nu_W**j*(nu_C + nu_F + T*nu_C*nu_F)"[/b]
    """
    recursion = model_with(context, model)
    at = parameters(context, list(recursion.program().symbols), _exact)
    with Stages(quiet=as_json) as stages, stages(f"check of {quantity} of {model}") as progress:
        found = check(recursion, quantity, formula, **at)
        if found.proof is not None:
            found.verify()
        progress(1, 1)
    if as_json:
        print_json({"model": model, **_fields(found)})
    else:
        _told(found)
    raise typer.Exit(EXIT[found.verdict])


def _exact(text: str, where: str, hint: str) -> sp.Expr:
    """A number as it is written: 1/2 and 0.5 are exact."""
    return parse(text, {}, {}, where)


def _fields(found: Judgement) -> dict[str, Any]:
    values = found.values or (None, None)
    return {
        "quantity": found.derivation.quantity,
        "verdict": found.verdict,
        "formula": str(found.formula),
        "derived": None if found.derived is None else plain(found.derived),
        "reason": found.reason,
        "point": None if found.point is None else {name: str(number) for name, number in found.point.items()},
        "values": {side: None if x is None else str(x) for side, x in zip(("formula", "derived"), values, strict=True)},
        "findings": list(found.findings),
        "steps": 0 if found.proof is None else len(found.proof.steps),
    }


def _told(found: Judgement) -> None:
    """The verdict with its reason, the two formulas, and what was found about their difference."""
    out.print(Text.assemble((found.verdict, f"bold {COLOR[found.verdict]}"), f"  {found.reason}"))
    out.print(f"  put forward: {found.formula}")
    if found.derived is not None:
        out.print(f"  derived:     {plain(found.derived)}")
    for sentence in found.findings:
        out.print(f"  {sentence}")
    if found.proof is not None:
        out.print(f"  proof: {len(found.proof.steps)} steps, replayed and audited")
