"""The verbs about the paper: `reproduce`, and the document of all its items."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from derive.errors import ParameterError
from numeric.recordings import RECORDINGS
from reports.console import EXIT, Stages, err, out, print_json, table

Quick = Annotated[bool, typer.Option("--quick", help="Smaller sizes: each item in under a minute.")]
Seed = Annotated[int, typer.Option(min=0, help="Seed of everything random.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")]
Engine = Literal["auto", "pdflatex", "typst"]


def reproduce_command(
    item: Annotated[
        str, typer.Argument(metavar="ITEM", help="An item of the paper such as thm-3.3a, fig1 or E3, or all.")
    ],
    quick: Quick = False,
    out_dir: Annotated[Path, typer.Option("-o", "--out", help="Folder for the document, figures and run.json.")] = Path(
        "report/paper"
    ),
    data: Annotated[list[str] | None, typer.Option(help="Recordings of figure 4 and table 1: names or files.")] = None,
    width: Annotated[float | None, typer.Option(help="Width of the RNN in figures 1 and 2, such as 1e9.")] = None,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Derive, measure and judge an item of the paper, and typeset it; the table of claims ends it.

    Examples: [b]wideproof reproduce all --quick[/b], [b]wideproof reproduce fig1 --width 1e9[/b]
    """
    from reports.paper import ITEMS

    names = list(ITEMS) if item == "all" else [item]
    if item != "all" and item not in ITEMS:
        raise ParameterError("ITEM", f"all, {', '.join(ITEMS)}", repr(item), "wideproof reproduce all makes every one.")
    make(names, out_dir, quick, seed, tuple(data) if data else tuple(RECORDINGS), width, "auto", as_json)


def make(
    names: list[str], out_dir: Path, quick: bool, seed: int, data: tuple[str, ...], width: float | None, engine: Engine,
    as_json: bool,
) -> None:  # fmt: skip
    """Reproduce the named items, write their document, print the claims and exit by the verdict."""
    from reports.paper import paper_report, reproduce
    from reports.paper.item import Context

    with Stages(quiet=as_json) as stages:
        context = Context(stages, out_dir / "figures", quick, seed, data, None if width is None else int(width))
        made = reproduce(names, context)
        with stages("typesetting") as progress:
            done, record = paper_report(made, out_dir, engine)
            progress(1, 1)
    if as_json:
        print_json({"verdict": made.verdict, "claims": made.claims()})
    else:
        rows = [(c["item"], c["claim"], _number(c["prediction"]), _estimate(c), c["verdict"]) for c in made.claims()]
        table(("item", "claim", "predicted", "measured", "verdict"), rows)
        for path in (done.tex, done.pdf, done.html, record):
            if path is not None:
                out.print(str(path))
        for notice in done.notices:
            err.print(notice)
        out.print(made.verdict)
    raise typer.Exit(EXIT[made.verdict])


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.5g}"


def _estimate(claim: dict) -> str:  # type: ignore[type-arg]
    if claim["stderr"] is None:
        return _number(claim["estimate"])
    return f"{claim['estimate']:.5g} ± {claim['stderr']:.2g}"
