"""Runs of `validate` on disk: started, gone on with, extended, put together, compared and loaded."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from wideproof.derive.language.errors import ParameterError, StoreError
from wideproof.derive.language.laws import declared
from wideproof.derive.language.program import Program
from wideproof.numeric.core.checks import Judged
from wideproof.numeric.core.files import write_atomically
from wideproof.numeric.core.inputs import whole
from wideproof.numeric.core.statistics import Moments
from wideproof.numeric.core.timing import blas_threads
from wideproof.numeric.runs.chunks import Chunk, ChunkFolder
from wideproof.numeric.runs.crew import Crew
from wideproof.numeric.runs.folder import CHECKS, MONTE_CARLO, RECORD, RunFolder, open_run, plain, take_folder
from wideproof.numeric.runs.gathering import Gathered, Progress, Shard, gather, part_of
from wideproof.numeric.runs.memory import refuse_too_large
from wideproof.numeric.runs.signals import Stopped, stopped
from wideproof.numeric.runs.stages import DONE, PART, STOPPED
from wideproof.numeric.validation.experiment import Experiment
from wideproof.numeric.validation.kinds import experiment_of

COMMAND = "validate"


def model_text(program: Program) -> list[str]:
    """Return the definition of a model as lines of text, for people."""
    return declared(program)


def start(path: Path, experiment: Experiment, shard: Shard | None = None, force: bool = False) -> RunFolder:
    """Return the folder of a run of an experiment, new or gone on with; its record is on disk before any draw.

    Errors: StoreError for the folder of another run, unless forced.
    """
    program = experiment.program
    identity = {"command": COMMAND, "experiment": experiment.data(), "shard": shard}
    model = {"name": program.name, "text": model_text(program)}
    return take_folder(path, identity, {"model": model, "seed": experiment.plan.seed}, force)


def carry_out(
    experiment: Experiment, run: RunFolder | None, progress: Progress | None, crew: Crew, shard: Shard | None = None
) -> Any:
    """Draw what is missing, judge, and record the verdict; a part of a run is judged by nobody.

    Errors: `Stopped`, an interruption that says what is kept; those of draws and of the store.
    """
    store = None if run is None else run.chunks
    if run is not None:
        run.begin(experiment.plan.backend, crew.workers)
    try:
        with blas_threads(1):  # the bits of a sum depend on how many share it
            found = gather(experiment.measurements, experiment.plan, progress, store, crew, shard)
            judged = experiment.judged(found) if shard is None else _part(shard)
    except KeyboardInterrupt as stop:
        raise stopped(stop, _kept(run, experiment, shard)) from None
    if run is not None:
        checks = [plain(asdict(check)) for check in judged.checks]
        run.write_checks(checks)
        run.end(DONE if shard is None else PART, verdict=judged.verdict, method=judged.method, checks=checks)
    return judged


def _part(shard: Shard) -> Judged:
    told = f"part {shard[0]} of {shard[1]}: judged once wideproof runs merge has put the parts together"
    return Judged(told, ())


def _kept(run: RunFolder | None, experiment: Experiment, shard: Shard | None) -> str:
    """What an interruption leaves, and the command that goes on; the record says so too."""
    if run is None:
        return "nothing is kept: with --out DIR it would go on where it stopped"
    wanted = part_of(tuple(experiment.plan.chunks()), shard)
    files = run.chunks.files
    done = sum(chunk.name in files for chunk in wanted)
    run.end(STOPPED)
    return f"{done} of {len(wanted)} chunks are kept in {run.path}; go on with: wideproof runs resume {run.path}"


def resume(path: Path, crew: Crew, progress: Progress | None = None) -> Any:
    """Draw what a run lacks, judge it and return its verdict; one that is done is judged again from what is stored.

    Errors: StoreError for no run; those of `carry_out`.
    """
    run = load_run(path).folder
    experiment = experiment_of(run.record["experiment"])
    shard = tuple(run.record["shard"]) if run.record["shard"] else None
    return _fitting(experiment, run, progress, crew, shard)


def extend(
    path: Path, crew: Crew, trials: int | None = None, width: int | None = None, progress: Progress | None = None
) -> Any:
    """Give a run more trials, or another ladder of widths, draw what is new, and judge all of it.

    Chunks of the same width are taken over; where trials do not end on a whole chunk, its last one is drawn anew.
    Errors: ParameterError where nothing is added, or for a part of a run; those of `carry_out`.
    """
    run = load_run(path).folder
    old = experiment_of(run.record["experiment"])
    if run.record["shard"]:
        raise ParameterError(f"extend {path}", "a whole run", "a part of one",
                             "Merge the parts first: wideproof runs merge A B -o C.")  # fmt: skip
    if trials is None and width is None:
        raise ParameterError(f"extend {path}", "more trials or another width", "neither", "Add --trials 20000.")
    if trials is not None:
        whole("trials", trials, old.plan.trials, hint=f"The run has {old.plan.trials}; what is drawn stays.")
    if width is not None:
        whole("width", width, old.plan.width, hint=f"The ladder of the run ends at {old.plan.width}.")
    experiment = old.extended(trials, width)
    run.update(experiment=plain(experiment.data()), verdict=None)
    return _fitting(experiment, run, progress, crew, None)


def _fitting(experiment: Experiment, run: RunFolder, progress: Progress | None, crew: Crew, shard: Shard | None) -> Any:
    refuse_too_large(f"run {run.path}", experiment.memory(), crew.workers, experiment.plan.backend)
    return carry_out(experiment, run, progress, crew, shard)


@dataclass(frozen=True)
class Merged:
    """A run put together: its folder, how many chunks are missing, in how many environments it was drawn.

    `lacking` says which parts are not there, or have not ended.
    """

    path: Path
    missing: int
    environments: int
    lacking: tuple[str, ...] = ()


def merge(paths: Sequence[Path], out: Path, force: bool = False) -> Merged:
    """Put the chunks of runs of one setting into a new folder: parts, or runs of more and of fewer trials.

    The plan is that with the most trials and the largest width. Nothing is drawn or judged: `resume` does both.
    Errors: StoreError for runs of different settings, and for one chunk with different numbers from equal environments.
    """
    if out.resolve() in {path.resolve() for path in paths}:
        raise StoreError(f"merge into {out}", "a folder of its own", "one of the runs", "Name a new folder.")
    runs = [load_run(path).folder for path in paths]
    experiments = [experiment_of(run.record["experiment"]) for run in runs]
    first = experiments[0].setting
    for run, experiment in zip(runs, experiments, strict=True):
        if experiment.setting != first:
            raise StoreError(f"merge {run.path}", f"the setting of {runs[0].path}", "another model, seed or option",
                             "Parts differ in --shard, --trials and --width alone.")  # fmt: skip
    widest = max(experiments, key=lambda x: (x.plan.width, x.plan.trials))
    most = max(x.plan.trials for x in experiments)
    whole_run = widest if widest.plan.trials == most else widest.extended(most, None)
    made = start(out, whole_run, None, force)
    made.take_sessions(runs)
    mixed = len(made.environments())
    store = made.chunks
    for run in runs:
        copied(run.chunks, store, run.path, mixed)
    missing = sum(chunk.name not in store.files for chunk in whole_run.plan.chunks())
    return Merged(out, missing, mixed)


def copied(theirs: ChunkFolder, store: ChunkFolder, path: Path, environments: int) -> None:
    """Copy what a folder lacks from that of the run in `path`; a damaged chunk counts as absent.

    Errors: StoreError for one chunk with different numbers from one environment.
    """
    for name in theirs.files:
        raw, own = theirs.raw(name), store.raw(name)
        if raw is None or raw == own:
            continue
        if own is not None and environments == 1:
            raise StoreError(f"merge {path}", f"the numbers of {name} that {store.run} has", "others",
                             "In one environment a chunk has one value: a folder was altered.")  # fmt: skip
        if own is None:
            store.write(name, raw)


@dataclass(frozen=True)
class Run:
    """A run on disk: its record, its numbers and its checks.

    Shapes: see `to_xarray` and `to_dataframe`.  Units: of each quantity.  Error: in the numbers.  Source: `load_run`.

    >>> import tempfile
    >>> folder = tempfile.mkdtemp() + "/run"
    >>> _ = wp.validate(wp.models.linear_rnn(), width=16, trials=50, out=folder)
    >>> run = wp.load_run(folder)
    >>> run.record["stage"], run.record["model"]["name"]
    ('done', 'linear-rnn')
    """

    folder: RunFolder

    @property
    def record(self) -> dict[str, Any]:
        """What run.json holds."""
        return self.folder.record

    @cached_property
    def experiment(self) -> Experiment:
        """What was measured and how it is judged."""
        return experiment_of(self.record["experiment"])

    @property
    def wanted(self) -> tuple[Chunk, ...]:
        """The chunks of the run, or of its part."""
        shard = self.record["shard"]
        return part_of(tuple(self.experiment.plan.chunks()), tuple(shard) if shard else None)

    @property
    def done(self) -> int:
        """How many of them are stored."""
        files = self.folder.chunks.files
        return sum(chunk.name in files for chunk in self.wanted)

    @cached_property
    def measured(self) -> Gathered[Any]:
        """The moments of the chunks that are stored, merged in their order.

        Error: in the moments.  Source: `ChunkFolder`: a damaged chunk counts as absent.
        """
        kind: Any = self.experiment.measurements
        found, store = kind(self.experiment.plan), self.folder.chunks
        for chunk in self.wanted:
            if not found.reached(chunk.group, chunk.width) and (numbers := store.read(chunk.name)) is not None:
                found.take(chunk, numbers)
        return found

    def to_dataframe(self) -> Any:
        """Return the checks as a pandas table: quantity, lag, widths, trials, prediction, estimate, stderr, verdict, ….

        Shapes: a row for each check; none before the run is judged.  Errors: ParameterError without pandas.
        """
        return _library("pandas").DataFrame(self.record.get("checks") or [])

    def to_xarray(self) -> Any:
        """Return the means of all features with their standard errors and counts as an xarray data set, by width.

        Shapes: NAME (width, NAME_place, NAME_feature), NAME_stderr alike, NAME_count (width,).
        Units: of the features.  Error: stderr.  Errors: ParameterError without xarray.
        """
        xarray, parts = _library("xarray"), dict[str, dict[int, Moments]]()
        for key, moments in self.measured.moments.items():
            width = next(part for part in key if isinstance(part, int))
            name = "_".join(part for part in key if isinstance(part, str))
            parts.setdefault(name, {})[width] = moments
        own = {x: y for name, rows in parts.items() for x, y in _variables(xarray, name, rows).items()}
        described = {"model": self.experiment.program.name, "seed": str(self.experiment.plan.seed)}
        return xarray.Dataset(own, attrs=described)

    def export(self, path: Path) -> None:
        """Write the run to one file: `.nc` what `to_xarray` gives, `.csv` the checks, else the record as JSON.

        Errors: StoreError where it cannot be written; ParameterError without xarray.
        """
        data: bytes | str
        if path.suffix == ".nc":
            data = bytes(self.to_xarray().to_netcdf(engine="scipy"))
        else:
            source = self.folder.path / (CHECKS if path.suffix == ".csv" else RECORD)
            data = source.read_bytes() if source.exists() else ""
        try:
            write_atomically(path, data)
        except OSError as error:
            raise StoreError(str(path), "a file that can be written", error.strerror or error,
                             "Name another file.") from error  # fmt: skip


def _variables(xarray: Any, name: str, moments: Mapping[int, Moments]) -> dict[str, Any]:
    """The means of one group of features, their standard errors and counts, by width."""
    widths = sorted(moments)
    rows = [moments[width] for width in widths]
    spreads = [np.sqrt(np.maximum(np.einsum("...ii->...i", m.comoment), 0.0) / max(m.count - 1, 1) / m.count)
               for m in rows]  # fmt: skip

    def made(values: list[Any], *dims: str) -> Any:
        coords = {"width": np.asarray(widths, dtype=np.float64)}
        return xarray.DataArray(np.asarray(values, dtype=np.float64), dims=("width", *dims), coords=coords)

    axes = f"{name}_place", f"{name}_feature"
    return {name: made([m.mean for m in rows], *axes), f"{name}_stderr": made(spreads, *axes),
            f"{name}_count": made([m.count for m in rows])}  # fmt: skip


def _library(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as missing:
        raise ParameterError(f"load_run: {name}", f"{name} to be installed", str(missing),
                             "Run pip install 'wideproof[runs]'.") from missing  # fmt: skip


def load_run(folder: str | Path) -> Run:
    """Return the run of a folder, whether it is finished or not.

    Shapes, units: as `Run`.  Error: StoreError where the folder holds no run.  Source: `run.json`.

    >>> try:
    ...     wp.load_run("no-such-folder")
    ... except wp.DeriveError as error:
    ...     print(error.hint)
    wideproof runs list shows those below a folder.
    """
    run = open_run(Path(folder))
    if run.record["command"] != COMMAND:
        raise StoreError(str(folder), "a run of validate", f"one of {run.record['command']}",
                         f"Its Monte Carlo, where it has one, is the run in {Path(folder) / MONTE_CARLO}.")  # fmt: skip
    return Run(run)


def compare(a: Run, b: Run) -> dict[str, Any]:
    """Say whether two runs have the same experiment, the same numbers to the last bit, and the same checks.

    Source: bits of the merged moments.
    """
    one, two = a.measured.arrays(), b.measured.arrays()
    numbers = one.keys() == two.keys() and all(one[key].tobytes() == two[key].tobytes() for key in one)
    same = {
        "experiment": a.record["experiment"] == b.record["experiment"],
        "numbers": numbers,
        "checks": a.record.get("checks") == b.record.get("checks"),
        "environment": a.folder.environments() == b.folder.environments(),
    }
    return {"identical": same["experiment"] and same["numbers"] and same["checks"], **same}


__all__ = ["Merged", "Run", "Stopped", "carry_out", "compare", "extend", "load_run", "merge", "resume", "start"]
