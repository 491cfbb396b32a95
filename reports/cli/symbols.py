"""The symbols of a model as options of a verb: --nu-W 0.3, before, after and between its own."""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from itertools import pairwise
from typing import Annotated, Any, get_args, get_type_hints

import typer
from typer.core import TyperCommand

from wideproof.derive.language.errors import ParameterError, meant
from wideproof.reports.cli.console import UsageError

SYMBOLS, WORDS, OPTIONS = "wideproof.symbols", "wideproof.words", "wideproof.options"
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")]


LONGEST = 30
"""Digits of a whole number on the command line."""


def unwrapped(text: str | None) -> str | None:
    """Help in paragraphs of one line each, for the terminal to break; an example that begins a line still does."""
    return text and re.sub(r"(?<!\n)\n[ \t]*(?=[^\n \t])(?!\[b\])", " ", text)


class Verb(TyperCommand):
    """A verb whose numbers are plain decimals: no 1_000, no digits of other scripts, neither inf nor nan."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.help = unwrapped(self.help)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the numbers before the library does.  Errors: ParameterError naming the option."""
        kinds = self.numbers()
        for word, following in pairwise([*args, ""]):
            option, equals, text = word.partition("=")
            if option in kinds:
                read = _whole if kinds[option] is int else finite
                read(text if equals else following, f"{ctx.command_path}: {option}", f"For example {option} 1000.")
        return super().parse_args(ctx, args)

    def numbers(self) -> dict[str, type]:
        """The options that take a number, and its type."""
        hints = get_type_hints(inspect.unwrap(self.callback)) if self.callback else {}
        kinds = {name: kind for name, hint in hints.items() for kind in (hint, *get_args(hint)) if kind in (int, float)}
        return {option: kinds[p.name] for p in self.params for option in p.opts if p.name in kinds}


class WithSymbols(Verb):
    """A verb that takes, beside its own options and anywhere among them, the symbols of a model: --nu-W 0.3."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Keep the options of the verb; lay the others aside, each with its text."""
        own = {name for option in self.get_params(ctx) for name in option.opts}
        words, kept, aside = iter(args), [], []
        for word in words:
            name, equals, text = word.partition("=")
            if name.startswith("--") and name not in own:
                aside.append((name, text if equals else next(words, "")))
            else:
                kept.append(word)
        ctx.meta[SYMBOLS] = aside
        with suppress(UsageError):  # told below, where the words are read in earnest
            ctx.meta[WORDS] = self.make_parser(ctx).parse_args(list(kept))[0]
        return super().parse_args(ctx, kept)


def parameters(
    context: typer.Context, names: Sequence[str], read: Callable[[str, str, str], Any] | None = None
) -> dict[str, Any]:
    """Options such as --nu-W 0.3 as numbers by symbol, floats unless `read` (text, where, hint) makes others.

    Errors: ParameterError for another option, and for what is no number.
    """
    where, known = context.command_path, {spelt(name): name for name in names}
    given: dict[str, Any] = {}
    for option, text in context.meta[SYMBOLS]:
        if option not in known:
            own = [*context.meta.get(OPTIONS, ())]
            own += [p.opts[-1] for p in context.command.params if p.opts[-1].startswith("--")]
            hint = f"{meant(option, [*known, *own])}{where} --help shows an example."
            if not known and option.startswith("--nu"):
                hint = f"Symbols stay symbols here; wideproof eval takes numbers for them. {hint}"
            raise ParameterError(where, f"one of the options {', '.join([*known, *own])}", option, hint)
        given[known[option]] = (read or finite)(text, f"{where}: {option}", f"For example {option} 0.3.")
    return given


def needed(context: typer.Context, names: Sequence[str]) -> dict[str, Any]:
    """All of these as numbers by symbol.  Errors: those of `parameters`, and ParameterError for a missing one."""
    given = parameters(context, names)
    demand(context, names, given)
    return given


def demand(context: typer.Context, names: Sequence[str], given: Mapping[str, Any]) -> None:
    """Do nothing where every name has a number.  Errors: ParameterError that names the options which are missing."""
    options = {name: spelt(name) for name in names}
    if missing := [option for name, option in options.items() if name not in given]:
        expected, got = f"the options {', '.join(options.values())}", f"no {' and no '.join(missing)}"
        raise ParameterError(context.command_path, expected, got, f"For example {missing[0]} 0.3.")


def spelt(name: str) -> str:
    """The option of a name: --nu-W of nu_W."""
    return "--" + name.replace("_", "-")


def finite(text: str, where: str, hint: str) -> float:
    """The finite number that a text is.  Errors: ParameterError."""
    from wideproof.numeric.core.decimals import decimal

    try:
        number = decimal(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise ParameterError(where, "a finite number", repr(text[:LONGEST]), hint)
    return number


def _whole(text: str, where: str, hint: str) -> None:
    digits = text.removeprefix("-").removeprefix("+")
    if not (digits.isascii() and digits.isdigit() and len(digits) <= LONGEST):
        raise ParameterError(where, f"a whole number of at most {LONGEST} digits", repr(text[: 2 * LONGEST]), hint)
