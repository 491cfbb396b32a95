"""The models of the command line: by name, in a user's file, with their options and symbols; and the verb `models`."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import redirect_stdout, suppress
from fractions import Fraction
from glob import escape, glob
from inspect import Parameter, Signature, signature
from os.path import isdir
from typing import Annotated, Any

import typer
from rich.markup import escape as escape_markup

from wideproof.derive import Alternating, Recursion, models
from wideproof.derive.language.errors import DeriveError, LanguageError, ParameterError, meant
from wideproof.derive.language.grammar import shortened
from wideproof.derive.model_files.load import FORMS, WrittenModel, place_of, read_model
from wideproof.reports.cli.console import print_json, report_error, table
from wideproof.reports.cli.symbols import OPTIONS, SYMBOLS, WORDS, Json, WithSymbols, finite, spelt


def _completed(incomplete: str) -> list[str]:
    """Names of the gallery, folders and model files that begin like a word; no file is opened."""
    paths = [f"{path}/" if isdir(path) else path for path in sorted(glob(f"{escape(incomplete)}*"))]
    files = [path for path in paths if path.endswith(("/", ".py", ".toml")) and path.isprintable()]
    return [*(name for name in gallery() if name.startswith(incomplete)), *files]


Model = Annotated[
    str,
    typer.Argument(
        metavar="MODEL",
        help="Name of a model, [b]wideproof models[/b] lists them; or one of your own: FILE.py:NAME or "
        "package.module:NAME, a Recursion or a function that returns one (the file is run, as your own code), or "
        "FILE.toml, which is read and never run.",
        autocompletion=_completed,
    ),
]

SHOWN = "wideproof.shown"
METAVARS = {str: "TEXT", bool: "true|false", int: "INTEGER", float: "NUMBER", Fraction: "FRACTION"}
"""Types that an option of a model may have, and how the help writes their values."""
MOST = 99  # layers or steps that a model's option may ask for


def gallery() -> dict[str, Callable[..., Any]]:
    """The models by their names on the command line."""
    return {name.replace("_", "-"): getattr(models, name) for name in models.__all__}


def _recursions() -> list[str]:
    """Those of them that are recursions, by what their functions say that they return."""
    return [name for name, make in gallery().items() if signature(make).return_annotation == Recursion.__name__]


def model_named(text: str) -> WrittenModel:
    """The model of that name, or in that file; what a Python file prints goes to standard error.

    Errors: ParameterError listing the names; those of `read_model`.
    """
    found = gallery()
    if text in found:
        return WrittenModel(found[text], signature(found[text]).parameters)
    place = place_of(text)
    if place is None:
        hint = f"{meant(text, found)}wideproof models lists them."
        raise ParameterError("MODEL", " or ".join([*found, FORMS]), repr(text), hint)
    with redirect_stdout(sys.stderr):
        return read_model(place)


def model_with(context: typer.Context, text: str) -> Recursion:
    """The recursion of that name or in that file, made with its own options: --activation tanh, --layers 3.

    Errors: ParameterError for a name or a value that means nothing, and for a program that is no recursion.
    """
    model = any_model_with(context, text)
    if not isinstance(model, Recursion):
        hint = "It alternates a matrix and its transpose: derive, eval, validate and report take it."
        raise ParameterError("MODEL", f"a Recursion: {' or '.join([*_recursions(), FORMS])}", repr(text), hint)
    return model


def any_model_with(context: typer.Context, text: str) -> Recursion | Alternating:
    """The recursion or alternating program, made with its own options.  Errors: those of `model_with` but the last."""
    model = model_named(text)
    known = _options(model)
    own = {name for parameter in context.command.params for name in parameter.opts}
    if clash := sorted(own & set(known)):
        hint = "Rename the argument of the function that makes the model."
        raise ParameterError(text, f"options other than those of {context.command_path}", ", ".join(clash), hint)
    made = _made(context, model, text)
    context.meta[OPTIONS] = list(known)
    context.meta[SYMBOLS] = [(option, value) for option, value in context.meta[SYMBOLS] if option not in known]
    if clash := sorted(set(map(spelt, made.program().symbols)) & set(known)):
        hint = "Rename one of them: on the command line the two look alike."
        raise LanguageError(text, "symbols of other names than its options", ", ".join(clash), hint)
    return made


def _made(context: typer.Context, model: WrittenModel, text: str) -> Recursion | Alternating:
    """The model, made with those of the words laid aside that are its options."""
    known, most = _options(model), MOST if text in gallery() else None
    given = {option: value for option, value in context.meta[SYMBOLS] if option in known}
    values = {known[option].name: _option(option, value, known[option], most) for option, value in given.items()}
    with redirect_stdout(sys.stderr):
        return model.make(**values)


def _options(model: WrittenModel) -> dict[str, Parameter]:
    """The options of a model as they are written: arguments that a text can give."""
    return {spelt(name): p for name, p in model.options.items() if _kind(p) is not None}


def _kind(parameter: Parameter) -> type | None:
    """What a text is read as: the type of the default, else of the annotation; None for what no text can give."""
    kinds = {kind.__name__: kind for kind in METAVARS}
    if parameter.default is not parameter.empty and parameter.default is not None:
        return kinds.get(type(parameter.default).__name__)
    annotation = parameter.annotation
    written = annotation if isinstance(annotation, str) else getattr(annotation, "__name__", "")
    return kinds.get(written.partition("|")[0].strip(), str)


def _option(option: str, text: str, parameter: Parameter, most: int | None) -> Any:
    """The text of a model's option as what its default is: a word, a number, or true or false."""
    kind, default = _kind(parameter), parameter.default
    example = f"For example {option} {2 if default in (parameter.empty, None) else str(default).lower()}."
    if kind is bool:
        values = {"true": True, "false": False}
        if text not in values:
            example = f"For example {option} true."
            raise ParameterError(option, "true or false", repr(text), example)
        return values[text]
    if kind is int:
        digits = text.removeprefix("-")
        if not (digits.isascii() and digits.isdigit() and len(digits) < 10) or (most and not 1 <= int(text) <= most):
            expected = f"a whole number from 1 to {most}" if most else "a whole number of at most nine digits"
            raise ParameterError(option, expected, repr(text), example)
        return int(text)
    if kind is float:
        return finite(text, option, example)
    if kind is Fraction:
        return _fraction(option, text)
    return text


def _fraction(option: str, text: str) -> Fraction:
    try:
        if len(text) > 40 or "e" in text.lower():  # 1e999999999 would be written out
            raise ValueError
        return Fraction(text)
    except (ValueError, ZeroDivisionError):
        raise ParameterError(option, "a fraction", shortened(repr(text)), f"For example {option} 3/10.") from None


# ---- help and completion ------------------------------------------------------------------------------
class WithModel(WithSymbols):
    """A verb that takes a model, whose options and symbols are in its help and in its completion."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """The help, with the options and the symbols of the model that is named beside --help, if one is."""
        try:
            self._show(ctx, ctx.meta.get(WORDS, {}).get("model"))
        except DeriveError as error:
            report_error(error)
        super().format_help(ctx, formatter)

    def get_params(self, ctx: Any) -> Any:
        """The parameters of the verb, and those of the model while help or completions are shown."""
        return [*super().get_params(ctx), *ctx.meta.get(SHOWN, ())]

    def shell_complete(self, ctx: Any, incomplete: str) -> Any:
        """The options of the verb and of the model; a Python file is never run for them."""
        with suppress(DeriveError):
            self._show(ctx, ctx.params.get("model"), runs=False)
        return super().shell_complete(ctx, incomplete)

    def _show(self, ctx: Any, text: str | None, runs: bool = True) -> None:
        """Make the model's options and symbols parameters that are shown, unless it is none or would be run."""
        place = place_of(text or "")
        if text in gallery() or (place is not None and (runs or place.kind == "toml")):
            ctx.meta[SHOWN] = _shown(ctx, str(text))


def _shown(context: typer.Context, text: str) -> list[Any]:
    """The options and symbols of a model as parameters that a help can list."""
    model = model_named(text)
    options = _options(model)
    rows = [(name, METAVARS[_kind(p) or str], _default(p), "Options of the model") for name, p in options.items()]
    meanings: dict[str, str] = {}
    if not [name for name in _required(model) if spelt(name) not in dict(context.meta[SYMBOLS])]:
        meanings = _meanings(_made(context, model, text))
    return _as_parameters(rows + [(spelt(x), "NUMBER", what, "Symbols of the model") for x, what in meanings.items()])


def _required(model: WrittenModel) -> list[str]:
    return [name for name, p in model.options.items() if p.default is p.empty]


def _as_parameters(rows: list[tuple[str, str, str, str]]) -> list[Any]:
    """Options with their metavars, helps and panels, made by typer from a function that takes them."""

    def takes(**_: str) -> None: ...

    takes.__annotations__ = {
        f"option_{k}": Annotated[
            str, typer.Option(option, metavar=metavar, help=escape_markup(text), rich_help_panel=panel)
        ]
        for k, (option, metavar, text, panel) in enumerate(rows)
    }
    takes.__signature__ = Signature(  # type: ignore[attr-defined]
        [
            Parameter(name, Parameter.KEYWORD_ONLY, default="", annotation=kind)
            for name, kind in takes.__annotations__.items()
        ]
    )
    app = typer.Typer(add_completion=False)
    app.command()(takes)
    return typer.main.get_command(app).params


def _default(parameter: Parameter) -> str:
    return "required" if parameter.default is parameter.empty else f"{shortened(str(parameter.default))} if left out"


def _meanings(model: Recursion | Alternating) -> dict[str, str]:
    """What each symbol of a model is, in words."""
    program = model.program()
    found: dict[str, dict[str, list[str]]] = {name: {} for name in program.symbols}
    parts = [(x, "variance", p.name) for p in program.parameters for x in p.variance.free_symbols]
    parts += [(x, "mean", p.name) for p in program.parameters for x in p.mean.free_symbols]
    parts += [(x, "variance of the start", s.name) for s in program.states for x in s.initial.free_symbols]
    for x, what, whose in parts:
        found[x.name].setdefault(what, []).append(whose)
    return {
        name: "; ".join(f"{what} of {', '.join(whose)}" for what, whose in roles.items()) or "a coefficient"
        for name, roles in found.items()
    }


def list_models(as_json: Json = False) -> None:
    """List the models of the gallery, each a dozen lines of the language.

    Example: [b]wideproof models[/b]
    """
    rows = [
        (name, (make.__doc__ or "").split("  Source:")[0].strip().splitlines()[0]) for name, make in gallery().items()
    ]
    if as_json:
        print_json({"models": [{"name": name, "summary": summary} for name, summary in rows]})
    else:
        table(("model", "what it is"), rows)
