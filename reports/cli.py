"""The command `wideproof`: the verbs of the Python interface, with the same names."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import typer

import derive
from derive import Derivation, Recursion, models
from derive.errors import ParameterError
from numeric.checks import Check
from numeric.montecarlo import Validation
from numeric.recordings import RECORDINGS
from numeric.validate import validate
from reports.console import EXIT, Stages, describe, err, errors, out, print_json, table

app = typer.Typer(
    name="wideproof",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Derive the infinite-width limit of a wide random recursion, with a proof; evaluate it; confirm "
    "it at finite width; typeset it.\n\nExit codes: 0 holds, 1 refuted, 3 undecided, 2 usage.",
)
QUANTITIES: dict[str, Callable[..., Derivation]] = {
    name.replace("_", "-"): getattr(derive, name)
    for name in ("impulse_response", "scale_factors", "equivalent_convolution", "nngp", "ntk", "state_evolution")
}
FREE = {"allow_extra_args": True, "ignore_unknown_options": True}
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")]
Model = Annotated[
    str,
    typer.Argument(help="Name of a model; [b]wideproof models[/b] lists them.", autocompletion=lambda: list(gallery())),
]


def gallery() -> dict[str, Callable[[], Recursion]]:
    """The models by their names on the command line."""
    made = {
        name: make
        for name, make in vars(models).items()
        if callable(make) and getattr(make, "__module__", "") == models.__name__ and not name.startswith("_")
    }
    return {name.replace("_", "-"): make for name, make in made.items()}


def model_named(name: str) -> Recursion:
    """The model of that name.  Errors: ParameterError listing the names."""
    found = gallery()
    if name not in found:
        raise ParameterError("MODEL", " or ".join(found), repr(name), "wideproof models lists them.")
    return found[name]()


def quantity_named(name: str) -> Callable[..., Derivation]:
    """The derivation of that name.  Errors: ParameterError listing the names."""
    if name not in QUANTITIES:
        raise ParameterError("QUANTITY", ", ".join(QUANTITIES), repr(name), "wideproof derive MODEL shows them all.")
    return QUANTITIES[name]


def parameters(extra: Sequence[str], names: Sequence[str], where: str) -> dict[str, Any]:
    """Options such as --nu-W 0.3 as numbers by symbol.  Errors: ParameterError for another name or no number."""
    given: dict[str, Any] = {}
    words = [word for item in extra for word in (item.split("=", 1) if item.startswith("--") else [item])]
    for option, text in zip(words[::2], [*words[1::2], ""], strict=False):
        name = option.removeprefix("--").replace("-", "_")
        options = ", ".join("--" + n.replace("_", "-") for n in names)
        if not option.startswith("--") or name not in names:
            raise ParameterError(where, f"the options {options}", repr(option), "They are the symbols of the formula.")
        try:
            given[name] = float(text)
        except ValueError:
            raise ParameterError(f"{where}: {option}", "a number", repr(text), f"For example {option} 0.3.") from None
    return given


@app.command("models")
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


@app.command("derive")
def derive_command(
    model: Model,
    quantity: Annotated[
        str,
        typer.Argument(
            help=f"One of {', '.join(QUANTITIES)}; all if left out.", autocompletion=lambda: list(QUANTITIES)
        ),
    ] = "",
    proof: Annotated[bool, typer.Option("--proof", help="Print every step of the proof.")] = False,
    as_json: Json = False,
) -> None:
    """Derive a quantity, verify its proof, and print the formula.

    Examples: [b]wideproof derive linear-rnn scale-factors --proof[/b], [b]wideproof derive linear-rnn --json[/b]
    """
    with errors():
        recursion = model_named(model)
        chosen = {quantity: quantity_named(quantity)} if quantity else QUANTITIES
        found = []
        for derivation in (make(recursion) for make in chosen.values()):
            derivation.proof.verify()
            found.append(derivation)
    if as_json:
        print_json({"model": model, "derivations": [_derived(d) for d in found]})
        return
    for derivation in found:
        describe(derivation, proof)


def _derived(derivation: Derivation) -> dict[str, Any]:
    formula = derivation.formula
    return {
        "quantity": derivation.quantity,
        "formula": None if formula.expr is None else str(formula.expr.doit()),
        "latex": formula.latex(),
        "symbols": list(formula.symbols),
        "verified": True,
        "steps": [
            {
                "rule": step.rule,
                "claim": str(step.claim),
                "source": step.source,
                "status": step.status,
                "premises": list(step.premises),
            }
            for step in derivation.proof.steps
        ],
    }


@app.command("eval", context_settings=FREE)
def eval_command(
    context: typer.Context,
    model: Model,
    quantity: Annotated[str, typer.Argument(help="A quantity in the lag, such as scale-factors.")],
    lags: Annotated[int, typer.Option(min=1, help="Evaluate at the lags 0 … LAGS-1.")] = 10,
    as_json: Json = False,
) -> None:
    """Evaluate a derived formula; its symbols are options.

    Example: [b]wideproof eval linear-rnn scale-factors --nu-W 0.3 --nu-F 1 --nu-C 1 --lags 5[/b]
    """
    with errors():
        formula = quantity_named(quantity)(model_named(model)).formula
        if "j" not in formula.symbols:
            raise ParameterError(
                "eval", "a quantity in the lag j", quantity, "Kernels take inputs: use numeric.Kernel."
            )
        names = [name for name in formula.symbols if name != "j"]
        values = formula.compile("numpy")(j=np.arange(lags), **parameters(context.args, names, "eval"))
    if as_json:
        print_json({"values": list(values)})
    else:
        table(("lag", quantity), [(str(lag), f"{x:.12g}") for lag, x in enumerate(values)])


@app.command("validate", context_settings=FREE)
def validate_command(
    context: typer.Context,
    model: Model,
    width: Annotated[int, typer.Option(min=1, help="Largest width of the ladder.")] = 1024,
    trials: Annotated[int, typer.Option(min=2, help="Random networks at each width.")] = 10_000,
    seed: Annotated[int, typer.Option(min=0, help="Seed; the same seed gives the same bits.")] = 0,
    device: Annotated[Literal["cpu", "cuda"], typer.Option(help="Where to draw the networks.")] = "cpu",
    checkpoint: Annotated[Path | None, typer.Option(help="Save here; a killed run resumes with the same bits.")] = None,
    as_json: Json = False,
) -> None:
    """Confront the derived limit with Monte Carlo at finite width; variances are options such as --nu-W 0.5.

    Example: [b]wideproof validate linear-rnn --width 1000000 --trials 20000 --seed 7[/b]
    """
    with errors(), Stages(quiet=as_json) as stages:
        recursion = model_named(model)
        nu = parameters(context.args, list(recursion.program().symbols), "validate")
        with stages("Monte Carlo") as progress:
            found = validate(recursion, width, trials, seed, device, progress=progress, checkpoint=checkpoint, **nu)
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
        _print_checks(found)
    raise typer.Exit(EXIT[found.verdict])


def _print_checks(found: Validation) -> None:
    table(("quantity", "lag", "prediction", "estimate", "s.e.", "verdict"), [_row(c) for c in found.checks])
    rate = found.checks[0].false_alarm
    out.print(f"[bold]{found.verdict}[/]  {found.method}", highlight=False)
    out.print(f"A true limit is refuted by chance with probability at most {rate:g}.", highlight=False)
    for note in dict.fromkeys(check.note for check in found.checks if check.note):
        err.print(f"  {note}", highlight=False, markup=False)


def _row(check: Check) -> tuple[str, ...]:
    lag = str(check.lag) if isinstance(check.lag, int) else ", ".join(map(str, check.lag))
    return check.quantity, lag, f"{check.prediction:.6g}", f"{check.estimate:.6g}", f"{check.stderr:.2g}", check.verdict


@app.command("report", context_settings=FREE)
def report_command(
    context: typer.Context,
    model: Model,
    out_dir: Annotated[Path, typer.Option("-o", "--out", help="Folder to write to.")],
    data: Annotated[
        list[str] | None, typer.Option(help=f"Recordings: {', '.join(RECORDINGS)}, a .npz or .csv file, or none.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of everything random.")] = 0,
    width: Annotated[int, typer.Option(min=1, help="Largest width of the Monte Carlo ladder.")] = 1024,
    trials: Annotated[int, typer.Option(min=2, help="Random networks at each width.")] = 20_000,
    engine: Annotated[Literal["auto", "pdflatex", "typst"], typer.Option(help="What makes the PDF.")] = "auto",
    as_json: Json = False,
) -> None:
    """Derive, prove, confirm and typeset: report.tex, report.pdf, report.html, figures and run.json.

    Example: [b]wideproof report linear-rnn -o report/linear-rnn[/b]
    """
    from reports.report import report

    with errors(), Stages(quiet=as_json) as stages:
        recursion = model_named(model)
        nu = parameters(context.args, list(recursion.program().symbols), "report")
        chosen = tuple(data) if data else tuple(RECORDINGS)
        made = report(
            recursion,
            out_dir,
            data=() if chosen == ("none",) else chosen,
            seed=seed,
            width=width,
            trials=trials,
            engine=engine,
            stage=stages,
            **nu,
        )
    if as_json:
        print_json(
            {"verdict": made.verdict, "files": [str(path) for path in made.files], "notices": list(made.notices)}
        )
    else:
        for path in made.files:
            out.print(path, highlight=False)
        for notice in made.notices:
            err.print(notice, highlight=False, markup=False)
        out.print(f"[bold]{made.verdict}[/]", highlight=False)
    raise typer.Exit(EXIT[made.verdict])


def main() -> None:
    """Run the command line."""
    app()
