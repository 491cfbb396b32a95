"""The verb `report`: one document of a model, or of the paper."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, NoReturn

import typer
from rich.text import Text

from wideproof.reports.cli.console import COLOR, EXIT, Stages, announced, err, out, print_json
from wideproof.reports.cli.models import Model, any_model_with
from wideproof.reports.cli.reproduce import (
    AllowPickle,
    Columns,
    Data,
    Inputs,
    Method,
    Outputs,
    Rate,
    columns_named,
    make,
    recordings_named,
)
from wideproof.reports.cli.runs.options import Force, Jobs, Scheduler, ShardText, shard_named
from wideproof.reports.cli.symbols import Json, parameters

if TYPE_CHECKING:
    from wideproof.reports.sections.report import Report


def report_command(
    context: typer.Context,
    model: Model,
    out_dir: Annotated[Path, typer.Option("-o", "--out", help="Folder to write to.")],
    data: Data = None,
    inputs: Inputs = None,
    outputs: Outputs = None,
    rate: Rate = None,
    column_names: Columns = None,
    allow_pickle: AllowPickle = False,
    seed: Annotated[int, typer.Option(min=0, help="Seed of everything random.")] = 0,
    width: Annotated[int, typer.Option(min=1, help="Largest width of the Monte Carlo ladder.")] = 1024,
    trials: Annotated[
        int | None,
        typer.Option(min=2, help="Random networks at each width; by default 20000 for the linear RNN, else 1500."),
    ] = None,
    engine: Annotated[Literal["auto", "pdflatex", "typst"], typer.Option(help="What makes the PDF.")] = "auto",
    method: Method = "auto",
    title: Annotated[str, typer.Option(help="Title on the first page; by default that of the model.")] = "",
    author: Annotated[str, typer.Option(help="Author on the first page; by default wideproof.")] = "",
    date: Annotated[str, typer.Option(help="Date on the first page; by default none.")] = "",
    quick: Annotated[
        bool,
        typer.Option("--quick", help="Of paper: smaller sizes. The report of a model is made smaller by --trials."),
    ] = False,
    jobs: Jobs = None,
    scheduler: Scheduler = None,
    shard: ShardText = None,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Derive, prove, confirm and typeset: report.tex, report.pdf, report.html, figures and run.json.

    MODEL may be [b]paper[/b]: every numbered result of the paper, with an index. The folder is a run: what is killed
    goes on where it was with [b]wideproof runs resume DIR[/b], or by the same command.

    Examples: [b]wideproof report linear-rnn -o report/linear-rnn[/b],
    [b]wideproof report elman --activation tanh -o report/elman[/b], [b]wideproof report amp -o report/amp[/b]
    """
    from wideproof.numeric.validation.validate import checked_shard
    from wideproof.reports.paper import ITEMS
    from wideproof.reports.sections.report import report

    part = checked_shard(shard_named(shard), out_dir, None)
    chosen = () if data == ["none"] else recordings_named(data)
    columns = columns_named(data, inputs, outputs, rate, column_names, allow_pickle)
    titles = {"title": title, "author": author, "date": date}
    if model == "paper":
        make(list(ITEMS), out_dir, quick, seed, chosen, columns, {}, engine, as_json, method, jobs, scheduler,
             force, part, titles)  # fmt: skip
    recursion = any_model_with(context, model)
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
            jobs=jobs,
            scheduler=scheduler,
            force=force,
            shard=part,
            title=title,
            author=author,
            date=date,
            **nu,
        )
    tell_report(made, as_json)


def tell_report(made: Report, as_json: bool) -> NoReturn:
    """Print the files of a report and its verdict, and exit by it."""
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
