"""The command `wideproof`: the verbs of the Python interface, with the same names."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
import typer
from rich.text import Text
from typer.core import TyperCommand, TyperGroup

import derive
from derive import Derivation, Memory, NotClosed, NotDiagonal, NotLinear, Recursion, models
from derive.errors import DeriveError, ParameterError
from reports.cli_alternating import ALTERNATING, derive_lines, evaluate_lines
from reports.cli_bench import bench_command
from reports.cli_memory import memory_command
from reports.cli_paper import (
    Data,
    Inputs,
    Method,
    Outputs,
    Quick,
    Rate,
    columns_named,
    make,
    recordings_named,
    reproduce_command,
)
from reports.console import (
    COLOR,
    EXIT,
    Stages,
    announced,
    describe,
    err,
    errors,
    out,
    plain,
    print_json,
    said,
    table,
    verdict,
)

if TYPE_CHECKING:
    from derive.alternating import Alternating

SYMBOLS = "wideproof.symbols"
LAGS = 10


class Verbs(TyperGroup):
    """The verbs; whatever a user can meet is a message and an exit code, never a traceback."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the options before the verb."""
        if not args:
            return super().parse_args(ctx, args)  # prints the help
        with errors():
            return super().parse_args(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        """Run the verb."""
        with errors():
            return super().invoke(ctx)


class WithSymbols(TyperCommand):
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
        return super().parse_args(ctx, kept)


app = typer.Typer(
    name="wideproof",
    cls=Verbs,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)
QUANTITIES: dict[str, Callable[..., Derivation]] = {
    name.replace("_", "-"): getattr(derive, name)
    for name in (
        "impulse_response",
        "scale_factors",
        "equivalent_convolution",
        "nngp",
        "ntk",
        "state_evolution",
        "adjoint",
        "scale_factor_bound",
        "scale_factor_peak",
        "training_bound",
        "stability",
        "memory",
    )
}
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")]
Model = Annotated[
    str,
    typer.Argument(
        metavar="MODEL",
        help="Name of a model; [b]wideproof models[/b] lists them.",
        autocompletion=lambda: list(gallery()),
    ),
]


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
        raise ParameterError("MODEL", " or ".join(found), repr(name), "wideproof models lists them.")
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
    kind, values = ("a whole number", {str(n): n for n in range(1, 100)})
    if isinstance(default, bool):
        kind, values = "true or false", {"true": True, "false": False}
    if text not in values:
        raise ParameterError(option, kind, repr(text), f"For example {option} {str(default).lower()}.")
    return values[text]


def quantity_named(name: str) -> Callable[..., Derivation]:
    """The derivation of that name.  Errors: ParameterError listing the names."""
    if name not in QUANTITIES:
        raise ParameterError("QUANTITY", ", ".join(QUANTITIES), repr(name), "wideproof derive MODEL shows them all.")
    return QUANTITIES[name]


def parameters(context: typer.Context, names: Sequence[str], needed: bool = False) -> dict[str, Any]:
    """Options such as --nu-W 0.3 as numbers by symbol.

    Errors: ParameterError for another option, for what is no number, and, where all are needed, for a missing one.
    """
    where, known = context.command_path, {"--" + name.replace("_", "-"): name for name in names}
    given: dict[str, Any] = {}
    for option, text in context.meta[SYMBOLS]:
        if option not in known:
            own = [p.opts[-1] for p in context.command.params if p.opts[-1].startswith("--")]
            hint = f"{where} --help shows an example."
            raise ParameterError(where, f"one of the options {', '.join([*known, *own])}", option, hint)
        given[known[option]] = _number(text, f"{where}: {option}", f"For example {option} 0.3.")
    if needed and (missing := [option for option, name in known.items() if name not in given]):
        hint = f"For example {missing[0]} 0.3."
        raise ParameterError(where, f"the options {', '.join(known)}", f"no {' and no '.join(missing)}", hint)
    return given


def _number(text: str, where: str, hint: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise ParameterError(where, "a finite number", repr(text), hint)
    return number


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"wideproof {metadata.version('wideproof')}")
        raise typer.Exit()


@app.callback()
def wideproof(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Derive the infinite-width limit of a wide random recursion, with a proof.

    Evaluate it; confirm it at finite width; typeset it.

    Exit codes: 0 holds, 1 refuted, 3 undecided, 2 usage.

    Example: [b]wideproof derive linear-rnn scale-factors --proof[/b]
    """


@app.command("models")
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


@app.command("derive", cls=WithSymbols)
def derive_command(
    context: typer.Context,
    model: Model,
    quantity: Annotated[
        str,
        typer.Argument(
            metavar="[QUANTITY]",
            help=f"One of {', '.join(QUANTITIES)}; all if left out.",
            autocompletion=lambda: list(QUANTITIES),
        ),
    ] = "",
    proof: Annotated[bool, typer.Option("--proof", help="Print every step of the proof.")] = False,
    as_json: Json = False,
) -> None:
    """Derive a quantity, verify its proof, and print the formula; options of the model such as --activation tanh.

    Examples: [b]wideproof derive linear-rnn scale-factors --proof[/b], [b]wideproof derive linear-rnn --json[/b]
    """
    if model in ALTERNATING:
        program = lines_with(context, model)
        parameters(context, ())
        derived = derive_lines(model, program, quantity)
        if as_json:
            print_json({"model": model, "derivations": [_derived(d) for d in derived], "underivable": []})
        for derivation in () if as_json else derived:
            describe(derivation, proof)
        return
    recursion = model_with(context, model)
    parameters(context, ())
    chosen = {quantity: quantity_named(quantity)} if quantity else QUANTITIES
    found: list[Derivation] = []
    stuck: dict[str, DeriveError] = {}
    with Stages(quiet=as_json) as stages:
        for name, make in chosen.items():
            with stages(f"{name} of {model}") as progress, _noted(name, stuck if len(chosen) > 1 else None):
                derivation = make(recursion)
                parts = derivation.parts.values() if quantity and isinstance(derivation, Memory) else ()
                for part in (derivation, *parts):
                    part.proof.verify()
                    found.append(part)
                progress(1, 1)
    if as_json:
        reasons = [{"quantity": name, "error": _fields(error)} for name, error in stuck.items()]
        print_json({"model": model, "derivations": [_derived(d) for d in found], "underivable": reasons})
        return
    for derivation in found:
        describe(derivation, proof)
    for name, error in stuck.items():
        out.print(f"{name} of {model} does not exist: {error}")


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


def _derived(derivation: Derivation) -> dict[str, Any]:
    formula = derivation.formula
    return {
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


@app.command("eval", cls=WithSymbols)
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
        at = parameters(context, list(program.program().symbols), needed=True)
        known = evaluate_lines(model, program, quantity, at)
        if as_json:
            print_json({"values": list(known.values()), "names": list(known)})
        else:
            table(("quantity", "limit"), [(name, f"{x:.12g}") for name, x in known.items()])
        return
    formula = quantity_named(quantity)(model_with(context, model)).formula
    lagged = "j" in formula.symbols
    if not lagged and (formula.expr is None or "t" in formula.symbols):
        hint = "Kernels and gradients take inputs: use numeric.Kernel and numeric.gradients."
        raise ParameterError("eval", "a quantity in the lag j, or a number", quantity, hint)
    if lags and not lagged:
        raise ParameterError("eval: --lags", "a quantity in the lag j", quantity, "It is one number: leave --lags out.")
    nu = parameters(context, [name for name in formula.symbols if name != "j"], needed=True)
    at = {"j": np.arange(lags or LAGS)} if lagged else {}
    values = np.atleast_1d(formula.compile("numpy")(**at, **nu))
    if as_json:
        print_json({"values": list(values)})
    elif lagged:
        table(("lag", quantity), [(str(lag), f"{x:.12g}") for lag, x in enumerate(values)])
    else:
        out.print(f"{values[0]:.12g}")


@app.command("validate", cls=WithSymbols)
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
            "the most, and 0.005 costs four times as many."
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
    [b]wideproof validate elman --activation erf --width 512 --budget 0.02[/b],
    [b]wideproof validate linear-rnn --width 4096 --method dense --dtype float32[/b]
    """
    from numeric.validate import validate

    recursion = lines_with(context, model) if model in ALTERNATING else model_with(context, model)
    nu = parameters(context, list(recursion.program().symbols))
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
            announce=None if as_json else lambda cost: err.print(f"{'at most ' if budget else ''}{cost}"),
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
        verdict(found, all_checks or model in ALTERNATING)
    raise typer.Exit(EXIT[found.verdict])


@app.command("report", cls=WithSymbols)
def report_command(
    context: typer.Context,
    model: Model,
    out_dir: Annotated[Path, typer.Option("-o", "--out", help="Folder to write to.")],
    data: Data = None,
    inputs: Inputs = None,
    outputs: Outputs = None,
    rate: Rate = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of everything random.")] = 0,
    width: Annotated[int, typer.Option(min=1, help="Largest width of the Monte Carlo ladder.")] = 1024,
    trials: Annotated[
        int | None,
        typer.Option(min=2, help="Random networks at each width; by default 20000 for the linear RNN, else 1500."),
    ] = None,
    engine: Annotated[Literal["auto", "pdflatex", "typst"], typer.Option(help="What makes the PDF.")] = "auto",
    method: Method = "auto",
    quick: Quick = False,
    as_json: Json = False,
) -> None:
    """Derive, prove, confirm and typeset: report.tex, report.pdf, report.html, figures and run.json.

    MODEL may be [b]paper[/b]: every numbered result of the paper, with an index.

    Examples: [b]wideproof report linear-rnn -o report/linear-rnn[/b],
    [b]wideproof report elman --activation tanh -o report/elman[/b], [b]wideproof report amp -o report/amp[/b]
    """
    from reports.paper import ITEMS
    from reports.writing import report

    chosen = () if data == ["none"] else recordings_named(data)
    columns = columns_named(data, inputs, outputs, rate)
    if model == "paper":
        make(list(ITEMS), out_dir, quick, seed, chosen, columns, {}, engine, as_json, method)
    recursion = lines_with(context, model) if model in ALTERNATING else model_with(context, model)
    nu = parameters(context, list(recursion.program().symbols))
    with Stages(quiet=as_json) as stages:
        made = report(
            recursion,
            out_dir,
            data=chosen,
            columns=columns,
            seed=seed,
            width=width,
            trials=trials,
            engine=engine,
            stage=stages,
            method=method,
            announce=None if as_json else announced,
            **nu,
        )
    if as_json:
        print_json(
            {"verdict": made.verdict, "files": [str(path) for path in made.files], "notices": list(made.notices)}
        )
    else:
        for path in made.files:
            out.print(str(path))
        for notice in made.notices:
            err.print(notice)
        out.print(Text(made.verdict, style=f"bold {COLOR[made.verdict]}"))
    raise typer.Exit(EXIT[made.verdict])


app.command("reproduce")(reproduce_command)
app.command("bench")(bench_command)
app.command("memory")(memory_command)


def main() -> None:
    """Run the command line."""
    app()
