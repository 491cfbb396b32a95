"""The models by their names on the command line, with their own options; and the verb `models`."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from wideproof.derive import Recursion, models
from wideproof.derive.language.errors import ParameterError
from wideproof.reports.cli.alternating import ALTERNATING
from wideproof.reports.cli.console import print_json, table
from wideproof.reports.cli.symbols import SYMBOLS, Json, meant

if TYPE_CHECKING:
    from wideproof.derive.language.alternating import Alternating

Model = Annotated[
    str,
    typer.Argument(
        metavar="MODEL",
        help="Name of a model; [b]wideproof models[/b] lists them.",
        autocompletion=lambda: list(gallery()),
    ),
]

MOST = 99  # layers or steps that a model's option may ask for


def gallery() -> dict[str, Callable[[], Recursion]]:
    """The recursions by their names on the command line; `amp` alternates two sizes and has its own quantities."""
    made = {
        name: make
        for name, make in vars(models).items()
        if callable(make)
        and getattr(make, "__module__", "") == models.__name__
        and not name.startswith("_")
        and name != "amp"
    }
    return {name.replace("_", "-"): make for name, make in made.items()}


def model_named(name: str) -> Recursion:
    """The model of that name.  Errors: ParameterError listing the names."""
    found = gallery()
    if name not in found:
        hint = f"{meant(name, found)}wideproof models lists them."
        raise ParameterError("MODEL", " or ".join(found), repr(name), hint)
    return found[name]()


def model_with(context: typer.Context, name: str) -> Recursion:
    """The model of that name, made with the options that its function has: --activation tanh, --layers 3.

    Errors: ParameterError for a name or a value that means nothing.
    """
    model_named(name)
    return _made(context, gallery()[name])


def lines_with(context: typer.Context, name: str) -> Alternating:
    """The alternating program of that name, made with its options: --steps 4."""
    return _made(context, ALTERNATING[name])


def _made(context: typer.Context, make: Callable[..., Any]) -> Any:
    known = {f"--{key}": option for key, option in inspect.signature(make).parameters.items()}
    given = {option: text for option, text in context.meta[SYMBOLS] if option in known}
    context.meta[SYMBOLS] = [(option, text) for option, text in context.meta[SYMBOLS] if option not in known]
    return make(**{option[2:]: _option(option, text, known[option].default) for option, text in given.items()})


def _option(option: str, text: str, default: Any) -> Any:
    """The text of a model's option as what its default is: a word, a whole number, or true or false."""
    if isinstance(default, str):
        return text
    kind, values = (f"a whole number from 1 to {MOST}", {str(n): n for n in range(1, MOST + 1)})
    if isinstance(default, bool):
        kind, values = "true or false", {"true": True, "false": False}
    if text not in values:
        raise ParameterError(option, kind, repr(text), f"For example {option} {str(default).lower()}.")
    return values[text]


def list_models(as_json: Json = False) -> None:
    """List the models of the gallery, each a dozen lines of the language.

    Example: [b]wideproof models[/b]
    """
    rows = [
        (name, (make.__doc__ or "").split("  Source:")[0].strip().splitlines()[0])
        for name, make in (*gallery().items(), *((name, vars(models)[name]) for name in ALTERNATING))
    ]
    if as_json:
        print_json({"models": [{"name": name, "summary": summary} for name, summary in rows]})
    else:
        table(("model", "what it is"), rows)
