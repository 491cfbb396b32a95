"""The verbs about the paper: `reproduce`, and the document of all its items."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NoReturn

import typer

from wideproof.derive.language.errors import ParameterError, meant
from wideproof.reports.cli.console import EXIT, Stages, announced, err, out, print_json, table
from wideproof.reports.cli.runs.options import Force, Jobs, Scheduler, ShardText, shard_named

if TYPE_CHECKING:
    from wideproof.reports.paper.assembly import Reproduced

Quick = Annotated[
    bool,
    typer.Option(
        "--quick", help="Smaller sizes: each item in about a minute; what is cut of a large recording is said."
    ),
]
Seed = Annotated[int, typer.Option(min=0, help="Seed of everything random.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")]
Data = Annotated[
    list[str] | None,
    typer.Option(help="Recordings: er-fmri, daphnet, or a file of your own (CSV, TSV, DAT, NPZ, MAT, pickle)."),
]
Inputs = Annotated[str | None, typer.Option(metavar="A,B", help="Input columns of your file, by name or number.")]
Outputs = Annotated[str | None, typer.Option(metavar="C", help="Output columns of your own file.")]
Rate = Annotated[float | None, typer.Option(metavar="HZ", min=0, help="Sampling rate of your own file.")]
Columns = Annotated[
    str | None,
    typer.Option("--columns", metavar="A,B,C", help="Names for all columns of a table, as of one without header."),
]
AllowPickle = Annotated[
    bool, typer.Option("--allow-pickle", help="Read a pickle: arrays only, and nothing in it is run.")
]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="NAME=VALUE", help="Change an assumption of a figure or table; repeatable."),
]
Method = Annotated[
    Literal["auto", "krylov", "subspace", "sampled", "direct"],
    typer.Option(
        help="How the linear RNN is trained: krylov draws its matrices and is exact, at a cost of n² a step; "
        "sampled draws in law only what training meets, at a cost free of the width n, and reports its error "
        "(about 1e-8); auto takes krylov up to n = 4000 where memory allows, else sampled, and says so. Figures 1 "
        "and 2 take both, fig3, fig4 and table1 only krylov; subspace and direct train a given model, in Python."
    ),
]
Engine = Literal["auto", "pdflatex", "typst"]


def reproduce_command(
    item: Annotated[
        str, typer.Argument(metavar="ITEM", help="An item of the paper such as thm-3.3a, fig1 or E3, or all.")
    ],
    quick: Quick = False,
    out_dir: Annotated[
        Path | None,
        typer.Option("-o", "--out", help="Folder for document, figures and run.json; report/ITEM if left out."),
    ] = None,
    data: Data = None,
    inputs: Inputs = None,
    outputs: Outputs = None,
    rate: Rate = None,
    columns: Columns = None,
    allow_pickle: AllowPickle = False,
    settings: Set = None,
    list_settings: Annotated[
        bool, typer.Option("--list-settings", help="Show what the item assumes, and end.")
    ] = False,
    width: Annotated[float | None, typer.Option(help="Width of the RNN in figures 1 and 2, such as 1e9.")] = None,
    method: Method = "auto",
    seed: Seed = 0,
    jobs: Jobs = None,
    scheduler: Scheduler = None,
    shard: ShardText = None,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Derive, measure and judge an item of the paper, and typeset it; the table of claims ends it.

    What the paper leaves unstated is listed by [b]--list-settings[/b] and changed by [b]--set[/b].
    What trains says before the start by which method, why, and at what cost; all of it is in float64.
    On recordings only what has settled is judged; what still improves is undecided, and says so.
    The folder is a run: what is killed goes on where it was with [b]wideproof runs resume DIR[/b], or by the same
    command.

    Examples: [b]wideproof reproduce all --quick[/b], [b]wideproof reproduce fig1 --width 1e9[/b],
    [b]wideproof reproduce fig2 --width 2000 --method sampled[/b],
    [b]wideproof reproduce fig3 --set nu_W=0.6 --set delays=0,4,8[/b],
    [b]wideproof reproduce table1 --data FILE.csv --inputs a,b --outputs c --rate 50[/b]
    """
    from wideproof.numeric.validation.validate import checked_shard
    from wideproof.reports.paper import ITEMS
    from wideproof.reports.paper.settings import parse_changes

    part = checked_shard(shard_named(shard), out_dir, None)
    names = list(ITEMS) if item == "all" else [item]
    if item != "all" and item not in ITEMS:
        hint = f"{meant(item, ITEMS)}wideproof reproduce all makes every one."
        raise ParameterError("ITEM", f"all, {', '.join(ITEMS)}", repr(item), hint)
    pairs = [*(settings or ()), *(() if width is None else (f"curve_width={width:.15g}",))]
    changes = parse_changes(pairs, names)
    if list_settings:
        show_settings(names, quick, changes, as_json)
        return
    folder = out_dir or Path("report") / ("paper" if item == "all" else item)
    described = columns_named(data, inputs, outputs, rate, columns, allow_pickle)
    make(names, folder, quick, seed, recordings_named(data), described, changes, "auto", as_json, method,
         jobs, scheduler, force, part)  # fmt: skip


def recordings_named(data: Sequence[str] | None) -> tuple[str, ...]:
    """The recordings asked for, or all that travel with the package."""
    from wideproof.numeric.recordings import RECORDINGS

    return tuple(data) if data else tuple(RECORDINGS)


def columns_named(
    data: Sequence[str] | None,
    inputs: str | None,
    outputs: str | None,
    rate: float | None,
    columns: str | None = None,
    allow_pickle: bool = False,
) -> dict[str, Any]:
    """The columns and the rate of the user's one file, as `load_recording` takes them; says how the file was read.

    Errors: ParameterError where they are given without exactly one file, and those of the file itself.
    """
    names = {"inputs": inputs, "outputs": outputs, "columns": columns}
    given: dict[str, Any] = {name: _names(text) for name, text in names.items() if text is not None}
    given |= {
        name: value for name, value in (("rate", rate), ("allow_pickle", allow_pickle or None)) if value is not None
    }
    _say_how_files_are_read(data or (), given)
    return given


def _say_how_files_are_read(data: Sequence[str], given: dict[str, Any]) -> None:
    """One line on standard error for each file of the user's, before the work starts."""
    from wideproof.numeric.recordings import RECORDINGS, load_recording

    if given and len(data) != 1:
        options = ", ".join(f"--{name.replace('_', '-')}" for name in given)
        raise ParameterError(
            options, "one --data FILE that they describe", f"{len(data)} recordings", "Add --data FILE."
        )
    for name in data:
        if name not in (*RECORDINGS, "none"):
            err.print(f"read {load_recording(name, **given).understood}")


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


def show_settings(names: Sequence[str], quick: bool, changes: dict[str, str], as_json: bool) -> None:
    """Print every choice of the named items with its value, its meaning and whether the paper states it."""
    from wideproof.reports.paper.settings import choices_of

    rows = [
        (name, c.name, c.text, c.meaning, "the paper" if c.stated else "assumed")
        for name in names
        for c in choices_of(name, quick, changes)
    ]
    heads = ("item", "name", "value", "meaning", "source")
    if as_json:
        print_json({"settings": [dict(zip(heads, row, strict=True)) for row in rows]})
    elif rows:
        table(heads, rows)
    else:
        out.print("This item has no settings: it is derived, and measured with the seed alone.")


def make(
    names: list[str], out_dir: Path, quick: bool, seed: int, data: tuple[str, ...], columns: dict[str, Any],
    changes: dict[str, str], engine: Engine, as_json: bool, method: str, jobs: int | None, scheduler: str | None,
    force: bool, shard: tuple[int, int] | None, titles: Mapping[str, str] | None = None,
) -> NoReturn:  # fmt: skip
    """Reproduce the named items, write their document, print the claims and exit by the verdict."""
    from wideproof.numeric.runs.crew import crew_of, workers_of
    from wideproof.reports.paper.assembly import carry_out, start

    workers_of(jobs, None, scheduler)  # told before the folder is made
    run = start(names, out_dir, quick=quick, seed=seed, data=data, columns=columns, changes=changes, method=method,
                engine=engine, force=force, shard=shard, **(titles or {}))  # fmt: skip
    with Stages(quiet=as_json) as stages, crew_of(jobs, None, scheduler) as crew:
        made = carry_out(run, crew, stages, None if as_json else announced)
    tell_claims(made, as_json)


def tell_claims(made: Reproduced, as_json: bool) -> NoReturn:
    """Print the claims of a reproduction and its files, and exit by the verdict."""
    if as_json:
        print_json({"verdict": made.verdict, "claims": made.claims})
    else:
        rows = [(c["item"], c["claim"], _number(c["prediction"]), _estimate(c), c["verdict"]) for c in made.claims]
        if rows:
            table(("item", "claim", "predicted", "measured", "verdict"), rows)
        for path in made.files:
            out.print(str(path))
        for notice in made.notices:
            err.print(notice)
        out.print(made.verdict)
    raise typer.Exit(EXIT[made.verdict])


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.5g}"


def _estimate(claim: dict) -> str:  # type: ignore[type-arg]
    from wideproof.numeric.core.decimals import measured

    if claim["stderr"] is None:
        return _number(claim["estimate"])
    return " ± ".join(measured(claim["estimate"], claim["stderr"]))
