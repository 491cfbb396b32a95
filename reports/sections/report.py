"""`report`: from a recursion to the finished files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wideproof.derive import Program, Recursion
from wideproof.derive.language.alternating import Alternating
from wideproof.derive.language.errors import ParameterError
from wideproof.derive.language.plain_form import program_data, program_of
from wideproof.derive.language.program import frozen
from wideproof.numeric.core.checks import Verdict
from wideproof.numeric.core.inputs import whole
from wideproof.numeric.linear_rnn.training_choice import Announce
from wideproof.numeric.recordings import RECORDINGS
from wideproof.numeric.runs.crew import Crew, crew_of, workers_of
from wideproof.numeric.runs.folder import RECORD, RunFolder, open_run, take_folder
from wideproof.numeric.runs.stages import DONE, Stage, StagedRun, silent, staged
from wideproof.numeric.runs.tasks import NOTHING_KEPT, Tasks
from wideproof.numeric.validation.kinds import kind_of as experiment_on
from wideproof.numeric.validation.runs import model_text
from wideproof.numeric.validation.validate import checked_shard
from wideproof.reports.document.blocks import Document, titled
from wideproof.reports.render.render import Engine, render
from wideproof.reports.sections.alternating.assembly import ALTERNATING
from wideproof.reports.sections.kind import Kind
from wideproof.reports.sections.linear.assembly import LINEAR
from wideproof.reports.sections.needs import Making, ReportRun
from wideproof.reports.sections.nonlinear.assembly import NONLINEAR

COMMAND = "report"
KINDS = {kind.experiment: kind for kind in (LINEAR, NONLINEAR, ALTERNATING)}


@dataclass(frozen=True)
class Report:
    """The files of a report, the joint verdict of its checks, and notices such as a missing engine.

    >>> wp.Report("holds", (), ()).verdict
    'holds'
    """

    verdict: Verdict
    files: tuple[Path, ...]
    notices: tuple[str, ...]


def report(recursion: Recursion | Alternating | Program, out_dir: Path | str, *,
           data: tuple[str, ...] = tuple(RECORDINGS), columns: Mapping[str, Any] | None = None, seed: int = 0,
           width: int = 1024, trials: int | None = None, engine: Engine = "auto", stage: Stage = silent,
           method: str = "auto", announce: Announce | None = None, jobs: int | None = None,
           executor: Executor | None = None, scheduler: str | None = None, force: bool = False,
           shard: tuple[int, int] | None = None, title: str = "", author: str = "", date: str = "",
           **nu: float) -> Report:  # fmt: skip
    """Write report.tex, report.pdf, report.html, figures and run.json; equal seeds give equal numbers.

    The linear RNN is told lag by lag, beside recordings; any other recursion by its kernels; a program of a matrix
    and its transpose by corrections and state evolution. Trials are by default 20000, 1500 and 1200. `columns` holds
    the inputs, outputs and rate of the user's own file, as `load_recording` takes them. `method` trains the wide
    linear RNN; `announce` is told it, with reason, memory and time, before the start. The folder is a run: run.json is
    written first and at every stage, what is drawn and trained is kept piece by piece, the Monte Carlo as a run of its
    own, monte-carlo, and a report that is killed goes on with the same bits. `jobs`, `executor` and `scheduler` say
    who draws and trains, as for `validate`; `force` replaces the run of another report; `shard` (2, 8) does the second
    eighth of what is drawn and trained, and writes no document. `title`, `author` and `date` stand on the first page
    instead of ours; they change no number, and may be given anew for a folder.
    Errors: those of the derivation and of validate; StoreError for a folder of another run; RenderError where an
    engine asked for by name fails, and then report.tex and run.json stand. Without any engine a notice names what to
    install.

    >>> import tempfile
    >>> try:
    ...     wp.report("elman", tempfile.mkdtemp())
    ... except wp.DeriveError as error:
    ...     print(error.expected)
    a Recursion or its Program
    """
    whole("seed", seed)
    program = frozen(recursion)
    kind = kind_of(program)
    if not kind.recorded:
        if method != "auto":
            raise ParameterError("report: method", "auto", method, "Only the report of the linear RNN trains networks.")
        data, columns = (), None
    drawn = kind.trials if trials is None else trials
    inputs = {"model": program.name, "data": list(data), "columns": dict(columns or {}), "width": width,
              "trials": drawn, "nu": kind.experiment.settings(program, nu), "method": method}  # fmt: skip
    identity = {"command": COMMAND, "program": program_data(program), "inputs": inputs, "seed": seed,
                "shard": checked_shard(shard, out_dir, None)}  # fmt: skip
    model = {"name": program.name, "text": model_text(program)}
    fields = {"model": model, "stages": {}, "started_in": str(Path.cwd()), "asked_engine": engine, "titles": {}}
    workers_of(jobs, executor, scheduler)  # told before the folder is made
    run = take_folder(Path(out_dir), identity, fields, force)
    entitle(run, title, author, date, engine)
    with crew_of(jobs, executor, scheduler) as crew:
        return carry_out(run, crew, stage, announce)


def entitle(run: RunFolder, title: str, author: str, date: str, engine: Engine) -> None:
    """Keep the title, author, date and engine that were given with the run; what was given before stays."""
    given = {name: text for name, text in (("title", title), ("author", author), ("date", date)) if text}
    if given:
        run.update(titles={**run.record.get("titles", {}), **given})
    if engine not in ("auto", run.record["asked_engine"]):
        run.update(asked_engine=engine)


def resume(path: Path, crew: Crew, stage: Stage = silent, announce: Announce | None = None) -> Report:
    """Go on with the report of a folder; one that is done is written again from what is stored.

    Errors: as `report`.
    """
    run = open_run(path)
    return carry_out(run, crew, stage, announce)


def carry_out(run: RunFolder, crew: Crew, stage: Stage, announce: Announce | None) -> Report:
    """Derive, measure and typeset what the record of a folder asks for.

    Errors: as `report`; `Stopped`, an interruption that says what is kept.
    """
    with staged(run, crew, stage) as under_way:
        found = _made(under_way, announce)
        run.update(verdict=found.verdict, results={"verdict": found.verdict, **found.record()}, engine=None)
        with under_way.stage("typesetting") as progress:
            told = titled(document(found, run.path), run.record.get("titles", {}))
            done = render(told, run.path, run.record["asked_engine"])
            progress(1, 1)
        run.end(DONE, engine=done.engine)
    if under_way.shard is not None:
        return Report("undecided", (), (under_way.part,))
    files = tuple(path for path in (done.tex, done.pdf, done.html, run.path / RECORD) if path is not None)
    return Report(found.verdict, files, done.notices)


def _made(run: StagedRun, announce: Announce | None) -> ReportRun:
    record, inputs = run.folder.record, run.folder.record["inputs"]
    data = recordings_from(run.folder, inputs["data"])
    return made(
        program_of(record["program"]), run.stage, seed=record["seed"], width=inputs["width"], trials=inputs["trials"],
        data=data, columns=inputs["columns"], method=inputs["method"], announce=announce, draws=run.draws,
        tasks=run.tasks, **inputs["nu"],
    )  # fmt: skip


def made(
    recursion: Recursion | Alternating | Program, stage: Stage = silent, *, seed: int = 0, width: int = 1024,
    trials: int | None = None, data: tuple[str, ...] = (), columns: Mapping[str, Any] | None = None,
    method: str = "auto", announce: Announce | None = None, draws: Mapping[str, Any] | None = None,
    tasks: Tasks = NOTHING_KEPT, **nu: float,
) -> ReportRun:  # fmt: skip
    """Make what the sections on a program need, each once: `Making` says how.

    Errors: those of the needs; ParameterError for a missing symbol; `Elsewhere` in a part of a run.
    """
    program = frozen(recursion)
    kind = kind_of(program)
    making = Making(program, kind.experiment.settings(program, nu), seed, width, trials, data, columns or {}, method,
                    stage=stage, draws=draws or {}, tasks=tasks, announce=announce)  # fmt: skip
    return making.carried_out(kind.all_needs)


def document(run: ReportRun, out_dir: Path) -> Document:
    """The report of a run; its figures are drawn into `out_dir`/figures."""
    return kind_of(run.program).document(run, out_dir)


def recordings_from(run: RunFolder, names: Sequence[str]) -> tuple[str, ...]:
    """The recordings of a run: those of ours by name, files of the user's from where the run was started."""
    place = Path(run.record["started_in"])
    return tuple(name if name in RECORDINGS or place == Path.cwd() else str(place / name) for name in names)


def kind_of(program: Program) -> Kind:
    """Which report a program has: that of the experiment which confronts it with its limits."""
    return KINDS[experiment_on(program)]
