"""`report`: from a recursion to the finished files."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wideproof.derive import Recursion
from wideproof.derive.emit.derivation import as_program
from wideproof.derive.language.alternating import Alternating, AlternatingProgram
from wideproof.derive.language.errors import ParameterError
from wideproof.numeric.core.checks import Verdict
from wideproof.numeric.linear_rnn.training_choice import Announce
from wideproof.numeric.recordings import RECORDINGS
from wideproof.numeric.validation.validate import plain_parts
from wideproof.reports.document.blocks import Document
from wideproof.reports.render.render import Engine, render
from wideproof.reports.render.run_json import write_run
from wideproof.reports.sections.alternating import LinesRun, document as lined, run_lines
from wideproof.reports.sections.linear import LinearRun, Stage, document, run_linear
from wideproof.reports.sections.nonlinear import KernelRun, document as told, run_kernels

LINEAR_TRIALS = 20_000


@dataclass(frozen=True)
class Report:
    """The files of a report, the joint verdict of its checks, and notices such as a missing engine.

    >>> wp.Report("holds", (), ()).verdict
    'holds'
    """

    verdict: Verdict
    files: tuple[Path, ...]
    notices: tuple[str, ...]


@contextmanager
def silent(name: str) -> Iterator[Callable[[int, int], None]]:
    """A stage that shows nothing."""
    yield lambda done, total: None


def report(recursion: Recursion | Alternating, out_dir: Path | str, *, data: tuple[str, ...] = tuple(RECORDINGS),
           columns: Mapping[str, Any] | None = None, seed: int = 0,
           width: int = 1024, trials: int | None = None, engine: Engine = "auto", stage: Stage = silent,
           method: str = "auto", announce: Announce | None = None, jobs: int | None = None, force: bool = False,
           **nu: float) -> Report:  # fmt: skip
    """Write report.tex, report.pdf, report.html, figures and run.json; equal seeds give equal numbers.

    The linear RNN is told lag by lag, beside recordings; any other recursion by its kernels; a program of a matrix
    and its transpose by corrections and state evolution. Trials are by default 20000, 1500 and 1200. `columns` holds
    the inputs, outputs and rate of the user's own file, as `load_recording` takes them. `method` trains the wide
    linear RNN; `announce` is told it, with reason, memory and time, before the start. The Monte Carlo is a run of its
    own in the folder, monte-carlo: a report that is killed goes on with it, drawn by `jobs` processes; `force` replaces
    that of another report.
    Errors: those of the derivation and of validate; RenderError where an engine asked for by name fails, and then
    report.tex and run.json stand. Without any engine a notice names what to install.

    >>> import tempfile
    >>> try:
    ...     wp.report("elman", tempfile.mkdtemp())
    ... except wp.DeriveError as error:
    ...     print(error.expected)
    a Recursion or its Program
    """
    folder = Path(out_dir)
    folder.mkdir(parents=True, exist_ok=True)
    program = recursion if isinstance(recursion, Alternating | AlternatingProgram) else as_program(recursion)
    draws = {"out": folder / "monte-carlo", "jobs": jobs, "force": force}
    run: LinearRun | KernelRun | LinesRun
    if isinstance(program, Alternating | AlternatingProgram):
        run = run_lines(program, stage, seed, width, trials, draws, **nu)
        data, columns = (), None
    elif plain_parts(program) is None:
        if method != "auto":
            raise ParameterError("report: method", "auto", method, "Only the report of the linear RNN trains networks.")
        run = run_kernels(program, stage, seed, width, trials, draws, **nu)
        data, columns = (), None
    else:
        trials = trials or LINEAR_TRIALS
        run = run_linear(program, stage, seed, width, trials, data, columns, method, announce, draws, **nu)
    drawn = run.trials if isinstance(run, LinesRun) else run.validation.measurements.plan.trials
    inputs = {"model": program.name, "data": list(data), "columns": dict(columns or {}), "width": width,
              "trials": drawn, "nu": run.nu, "method": method}  # fmt: skip
    verdict = run.validation.verdict if isinstance(run, LinearRun) else run.verdict
    results = {"verdict": verdict, **run.record()}
    record = write_run(folder / "run.json", inputs, seed, engine=None, results=results)
    with stage("typesetting") as progress:
        written = _document(run, folder)
        done = render(written, folder, engine)
        progress(1, 1)
    write_run(record, inputs, seed, engine=done.engine, results=results)
    files = tuple(path for path in (done.tex, done.pdf, done.html, record) if path is not None)
    return Report(verdict, files, done.notices)


def _document(run: LinearRun | KernelRun | LinesRun, folder: Path) -> Document:
    if isinstance(run, LinesRun):
        return lined(run, folder)
    return told(run, folder) if isinstance(run, KernelRun) else document(run, folder)
