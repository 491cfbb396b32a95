"""The verb `runs`: runs on disk listed, shown, compared, gone on with, extended, put together and handed on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from wideproof.derive.language.errors import ParameterError, StoreError
from wideproof.reports.cli.console import EXIT, Stages, announced, err, out, print_json, table
from wideproof.reports.cli.runs.options import Force, Jobs, Scheduler
from wideproof.reports.cli.runs.verdict import tell
from wideproof.reports.cli.symbols import Json

if TYPE_CHECKING:
    from wideproof.numeric.runs.folder import RunFolder
    from wideproof.numeric.runs.gathering import Progress
    from wideproof.numeric.validation.runs import Merged

Folder = Annotated[Path, typer.Argument(metavar="DIR", help="Folder of a run.")]
NAMED = ("items", "data")
KINDS = (".nc", ".csv", ".json")
runs = typer.Typer(name="runs", no_args_is_help=True, rich_markup_mode="rich",
                   help="List, show, compare, resume, extend, merge and export runs on disk.")  # fmt: skip


@runs.command("list")
def list_runs(
    folder: Annotated[Path, typer.Argument(metavar="[DIR]", help="Where to look; here if left out.")] = Path(),
    as_json: Json = False,
) -> None:
    """List the runs in a folder and below it.

    Example: [b]wideproof runs list[/b]
    """
    from wideproof.numeric.runs.folder import open_run

    rows = []
    for path in sorted(folder.rglob("run.json")):
        try:
            rows.append(_row(open_run(path.parent)))
        except StoreError:
            continue  # the record of another program
    if as_json:
        print_json({"runs": rows})
    else:
        heads = ("folder", "model", "seed", "shard", "chunks", "stage", "verdict")
        table(heads, [[str(row[name]) if row[name] is not None else "" for name in heads] for row in rows])


def _row(run: RunFolder) -> dict[str, Any]:
    record = run.record
    shard = record["shard"]
    return {
        "folder": str(run.path), "command": record["command"], "model": record["model"]["name"], "seed": record["seed"],
        "shard": f"{shard[0]}/{shard[1]}" if shard else None, "chunks": _kept(run), "stage": record["stage"],
        "verdict": record["verdict"], "started": record["started"], "updated": record["updated"],
    }  # fmt: skip


def _kept(run: RunFolder) -> str:
    """How much of a run is on disk; how many pieces a report will have is known to nobody before its end."""
    from wideproof.numeric.runs.stages import kept_pieces
    from wideproof.numeric.validation.runs import COMMAND, Run

    if run.record["command"] != COMMAND:
        return str(kept_pieces(run.path))
    found = Run(run)
    return f"{found.done}/{len(found.wanted)}"


@runs.command("show")
def show_run(folder: Folder, as_json: Json = False) -> None:
    """Show what a run is, where it stands and what it found.

    Example: [b]wideproof runs show runs/elman[/b]
    """
    from wideproof.numeric.runs.folder import open_run

    run = open_run(folder)
    if as_json:
        done, _, of = _kept(run).partition("/")
        print_json(run.record | {"chunks": {"done": int(done), "of": int(of) if of else None}})
        return
    table(("", ""), [(name, "" if value is None else str(value)) for name, value in _row(run).items()])
    for line in run.record["model"]["text"]:
        out.print(f"  {line}")
    for name, at in run.record.get("stages", {}).items():
        out.print(f"done {at}: {name}")
    plan = run.record["experiment"]["plan"] if "experiment" in run.record else run.record["inputs"]
    words = {key: " ".join(map(str, value)) if isinstance(value, list) else value for key, value in plan.items()
             if isinstance(value, int | float | str) or (key in NAMED and value)}  # fmt: skip
    shown = ", ".join(f"{key} = {value}" for key, value in words.items())
    out.print(f"plan: {shown}" + (f", widths {' '.join(map(str, plan['widths']))}" if "widths" in plan else ""))
    checks = run.record.get("checks") or []
    if checks:
        table(("quantity", "lag", "prediction", "estimate", "s.e.", "verdict"), [
            (c["quantity"], str(c["lag"]), f"{c['prediction']:.6g}", f"{c['estimate']:.6g}", f"{c['stderr']:.2g}",
             c["verdict"]) for c in checks])  # fmt: skip


@runs.command("compare")
def compare_runs(a: Folder, b: Folder, as_json: Json = False) -> None:
    """Say whether two runs have the same experiment, the same numbers to the last bit and the same checks or claims.

    Exit codes: 0 they are identical, 1 they are not.

    Example: [b]wideproof runs compare runs/a runs/b[/b]
    """
    from wideproof.numeric.validation.parts import compare

    found = compare(a, b)
    if as_json:
        print_json(found)
    else:
        for name, same in found.items():
            out.print(f"{name}: {'yes' if same else 'no'}" if name == "identical" else
                      f"  {name}: {'the same' if same else 'different'}")  # fmt: skip
    raise typer.Exit(0 if found["identical"] else 1)


@runs.command("resume")
def resume_run(folder: Folder, jobs: Jobs = None, scheduler: Scheduler = None, as_json: Json = False) -> None:
    """Go on with a run that was stopped or killed; the bits are those of a run that was not.

    A report and items of the paper go on too: pieces that are kept are read, proofs are made again.

    Example: [b]wideproof runs resume runs/elman --jobs 4[/b]
    """
    from wideproof.numeric.runs.folder import open_run
    from wideproof.numeric.validation.runs import COMMAND, resume

    run = open_run(folder)
    if run.record["command"] != COMMAND:
        _told(run, jobs, scheduler, as_json)
    _drawn(folder, jobs, scheduler, as_json, lambda crew, progress: resume(folder, crew, progress))


def _told(run: RunFolder, jobs: int | None, scheduler: str | None, as_json: bool) -> NoReturn:
    """Go on with a report, or with items of the paper."""
    from wideproof.numeric.runs.crew import crew_of
    from wideproof.numeric.runs.folder import open_run
    from wideproof.reports.cli.report import tell_report
    from wideproof.reports.cli.reproduce import tell_claims
    from wideproof.reports.paper import assembly
    from wideproof.reports.sections import report

    announce = None if as_json else announced
    with Stages(quiet=as_json) as stages, crew_of(jobs, None, scheduler) as crew:
        if run.record["command"] == assembly.COMMAND:
            items = assembly.carry_out(run, crew, stages, announce)
        else:
            made = report.resume(run.path, crew, stages, announce)
    if not as_json:
        _say_environments(len(open_run(run.path).environments()))
    if run.record["command"] == assembly.COMMAND:
        tell_claims(items, as_json)
    tell_report(made, as_json)


@runs.command("extend")
def extend_run(
    folder: Folder,
    trials: Annotated[int | None, typer.Option(min=2, help="Trials at each width, those drawn included.")] = None,
    width: Annotated[int | None, typer.Option(min=1, help="Largest width of the new ladder.")] = None,
    jobs: Jobs = None,
    scheduler: Scheduler = None,
    as_json: Json = False,
) -> None:
    """Add trials or widths to a run: what is drawn is taken over.

    Example: [b]wideproof runs extend runs/elman --trials 6000[/b]
    """
    from wideproof.numeric.validation.runs import extend

    _drawn(folder, jobs, scheduler, as_json,
           lambda crew, progress: extend(folder, crew, trials, width, progress))  # fmt: skip


def _drawn(
    folder: Path, jobs: int | None, scheduler: str | None, as_json: bool, work: Callable[[Any, Progress], Any]
) -> None:
    from wideproof.numeric.runs.crew import crew_of
    from wideproof.numeric.validation.runs import load_run

    run = load_run(folder)
    device = "cuda" if run.experiment.plan.backend == "cupy" else "cpu"
    with (
        Stages(quiet=as_json) as stages,
        stages("Monte Carlo") as progress,
        crew_of(jobs, None, scheduler, device) as crew,
    ):
        found = work(crew, progress)
    if not as_json:
        _say_environments(len(load_run(folder).folder.environments()))
    tell(found, run.record["seed"], as_json)
    raise typer.Exit(EXIT[found.verdict])


@runs.command("merge")
def merge_runs(
    folders: Annotated[list[Path], typer.Argument(metavar="DIR...", help="Runs, or parts of one.")],
    out_dir: Annotated[Path, typer.Option("-o", "--out", metavar="DIR", help="Folder of the run put together.")],
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Put the parts of a run together; where nothing is missing it is judged, or its report written.

    Parts of a report or of items of the paper too: what each of them holds is read, and proofs are made.

    Example: [b]wideproof runs merge part1 part2 -o runs/elman[/b]
    """
    from wideproof.numeric.runs.folder import open_run
    from wideproof.numeric.validation.parts import merge
    from wideproof.numeric.validation.runs import COMMAND, resume

    made = merge(folders, out_dir, force)
    run = open_run(out_dir)
    if made.missing or (made.lacking and run.record["command"] != COMMAND):
        _tell_lacking(made, as_json)
    if run.record["command"] != COMMAND:
        _told(run, None, None, as_json)
    _drawn(out_dir, None, None, as_json, lambda crew, progress: resume(out_dir, crew, progress))


def _say_environments(count: int) -> None:
    if count > 1:
        err.print(f"It was drawn in {count} environments: the same bits are promised within one only.")


def _tell_lacking(made: Merged, as_json: bool) -> NoReturn:
    """Which parts are not there, and the two ways on."""
    if as_json:
        print_json({"verdict": "undecided", "missing": made.missing, "lacking": list(made.lacking),
                    "environments": made.environments})  # fmt: skip
    else:
        _say_environments(made.environments)
        for line in made.lacking:
            err.print(f"missing: {line}")
        told = f"{made.missing} chunks are missing" if made.missing else "the run is not complete"
        out.print(f"{told}; merge again with what is not there, or work on it here: wideproof runs resume {made.path}")
    raise typer.Exit(EXIT["undecided"])


@runs.command("export")
def export_run(
    folder: Folder,
    path: Annotated[Path, typer.Option("-o", "--out", metavar="FILE", help="FILE.nc, FILE.csv or FILE.json.")],
) -> None:
    """Write a run to one file: .nc every mean by width, .csv the checks, .json the record.

    Example: [b]wideproof runs export runs/elman -o elman.nc[/b]
    """
    from wideproof.numeric.validation.runs import load_run

    if path.suffix not in KINDS:
        raise ParameterError("--out", " or ".join(f"FILE{kind}" for kind in KINDS), path.name, "For example elman.csv.")
    load_run(folder).export(path)
    out.print(str(path))
