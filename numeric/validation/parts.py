"""Runs of any verb put together and compared: parts of one, and runs of one setting."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from wideproof.derive.language.errors import StoreError
from wideproof.numeric.runs.chunks import ChunkFolder
from wideproof.numeric.runs.folder import MONTE_CARLO, PIECES, RunFolder, open_run, take_folder
from wideproof.numeric.runs.stages import DONE, PART
from wideproof.numeric.validation import runs
from wideproof.numeric.validation.runs import COMMAND, Merged, copied, load_run

IDENTITY = ("command", "program", "inputs", "seed")
"""Fields of the record of a report, or of a reproduction, that its parts share."""
OWN = ("model", "started_in", "asked_engine")
"""Fields that a whole takes from its first part."""


def merge(paths: Sequence[Path], out: Path, force: bool = False) -> Merged:
    """Put parts of a run, or validations of one setting, into a new folder; what is missing is named.

    Nothing is drawn or judged, and of a report nothing is written: `resume` does that from what is there.
    Errors: StoreError for runs of different settings, and for one piece with different numbers from equal environments.
    """
    found = [open_run(path) for path in paths]
    for run in found:
        if run.record["command"] != found[0].record["command"]:
            raise StoreError(f"merge {run.path}", f"a run of {found[0].record['command']}", run.record["command"],
                             "Put runs of one command together.")  # fmt: skip
    if found[0].record["command"] == COMMAND:
        made = runs.merge(paths, out, force)
        return Merged(made.path, made.missing, made.environments, lacking(found) if made.missing else ())
    return _merge_stages(found, out, force)


def _merge_stages(found: Sequence[RunFolder], out: Path, force: bool) -> Merged:
    if out.resolve() in {run.path.resolve() for run in found}:
        raise StoreError(f"merge into {out}", "a folder of its own", "one of the runs", "Name a new folder.")
    first = found[0].record
    for run in found:
        other = [key for key in IDENTITY if run.record.get(key) != first.get(key)]
        if other:
            raise StoreError(f"merge {run.path}", f"the {' and '.join(other)} of {found[0].path}", "others",
                             "Parts of a run differ in --shard alone.")  # fmt: skip
    identity = {key: first[key] for key in IDENTITY if key in first} | {"shard": None}
    fields = {key: first[key] for key in OWN} | {"stages": {}}
    if not Path(first["started_in"]).is_dir():  # on another machine: files of the user's are found from here
        fields["started_in"] = str(Path.cwd())
    made = take_folder(out, identity, fields, force)
    made.take_sessions(found)
    mixed = len(made.environments())
    for run in found:
        for source in _piece_folders(run.path):
            folder = out / source.relative_to(run.path)
            folder.mkdir(parents=True, exist_ok=True)
            copied(ChunkFolder(source), ChunkFolder(folder, out), run.path, mixed)
    drawn = [run.path / MONTE_CARLO for run in found if (run.path / MONTE_CARLO).is_dir()]
    missing = runs.merge(drawn, out / MONTE_CARLO, force).missing if drawn else 0
    return Merged(out, missing, mixed, lacking(found))


def _piece_folders(path: Path) -> Iterable[Path]:
    return sorted(folder for folder in (path / PIECES, *(path / PIECES).glob("*")) if folder.is_dir())


def lacking(found: Sequence[RunFolder]) -> tuple[str, ...]:
    """Return which parts of a run are not among these, and which of these have not done their share, in words.

    Beside a whole run that is done nothing is missing.  Source: the records.
    """
    if any(run.record["stage"] == DONE for run in found):
        return ()
    shards = {tuple(run.record["shard"]) for run in found if run.record["shard"]}
    told = [f"part {k}/{m} is not among them" for m in sorted({m for _, m in shards}) for k in range(1, m + 1)
            if (k, m) not in shards]  # fmt: skip
    for run in found:
        if run.record["stage"] != PART:
            shard = run.record["shard"]
            told.append(f"{f'part {shard[0]}/{shard[1]}' if shard else 'the run'} in {run.path} has not ended")
    return tuple(told)


def compare(a: Path, b: Path) -> dict[str, Any]:
    """Say whether two runs have the same experiment, the same numbers to the last bit, and the same checks.

    Of reports and reproductions the numbers are those of their pieces and results, and the checks their claims.
    Source: bits of the merged moments; checksums in the names of pieces.
    """
    one, two = open_run(a), open_run(b)
    if one.record["command"] == two.record["command"] == COMMAND:
        return runs.compare(load_run(a), load_run(b))
    names = {"experiment": IDENTITY, "numbers": ("results",), "checks": ("claims", "verdict")}
    same = {what: all(one.record.get(key) == two.record.get(key) for key in keys) for what, keys in names.items()}
    same["numbers"] &= _checksums(a) == _checksums(b)
    same["environment"] = one.environments() == two.environments()
    return {"identical": same["experiment"] and same["numbers"] and same["checks"], **same}


def _checksums(path: Path) -> list[str]:
    return sorted(str(file.relative_to(path)) for file in path.rglob("*.nc") if not file.name.startswith("."))
