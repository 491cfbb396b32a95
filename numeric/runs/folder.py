"""The folder of a run: run.json, written first and at every stage, chunks/*.nc as they come, checks.csv at the end."""

from __future__ import annotations

import csv
import io
import json
import math
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from wideproof.derive.language.errors import StoreError
from wideproof.numeric.core.files import PART, write_atomically
from wideproof.numeric.runs.chunks import ChunkFolder, check_is_there
from wideproof.numeric.runs.environment import environment, git_state, hardware, versions

FORMAT = "wideproof run 1"
RECORD, CHUNKS, CHECKS, PIECES = "run.json", "chunks", "checks.csv", "pieces"
MONTE_CARLO = "monte-carlo"
"""The folder of a run inside a run: the draws of a report."""
STARTED = "draws under way"
Record = dict[str, Any]


@dataclass
class RunFolder:
    """One run on disk: its record and its chunks.

    Errors: StoreError where it cannot be read or written.
    """

    path: Path
    record: Record

    @property
    def chunks(self) -> ChunkFolder:
        """Its chunks, as they are now."""
        return ChunkFolder(self.path / CHUNKS)

    def update(self, **fields: Any) -> None:
        """Change fields of the record, on disk as well."""
        self.record |= fields | {"updated": now()}
        text = json.dumps(plain(self.record), indent=2, ensure_ascii=False, allow_nan=False)
        self._write(RECORD, text + "\n")

    def begin(self, device: str, workers: int | None) -> None:
        """Note a session: who draws from now on, and where."""
        session = {"started": now(), "environment": environment(device), "hardware": hardware(), "versions": versions(),
                   "git": git_state(), "workers": workers}  # fmt: skip
        self.update(stage=STARTED, sessions=[*self.record["sessions"], session])

    def end(self, stage: str, **fields: Any) -> None:
        """Note how the session ended."""
        *earlier, last = self.record["sessions"]
        self.update(stage=stage, sessions=[*earlier, last | {"ended": now()}], **fields)

    def take_sessions(self, parts: Sequence[RunFolder]) -> None:
        """Note whose numbers it is put together from, and the sessions that drew them."""
        sessions = list(self.record["sessions"])
        for run in parts:
            sessions += [session for session in run.record["sessions"] if session not in sessions]
        self.update(sessions=sessions, parts=[str(run.path) for run in parts])

    def write_checks(self, checks: Sequence[Mapping[str, Any]]) -> None:
        """Write the checks as a table of plain text, one row each."""
        text = io.StringIO()
        table = csv.writer(text, lineterminator="\n")
        if checks:
            table.writerow(checks[0])
        table.writerows([_cell(value) for value in check.values()] for check in checks)
        self._write(CHECKS, text.getvalue())

    def environments(self) -> list[Any]:
        """The different environments that its sessions ran in."""
        found: list[Any] = []
        for session in self.record["sessions"]:
            if session["environment"] not in found:
                found.append(session["environment"])
        return found

    def _write(self, name: str, text: str) -> None:
        try:
            if self.record["sessions"]:
                check_is_there(self.path)
            write_atomically(self.path / name, text)
        except OSError as error:
            hint = "What is there stays valid: make room, see to its mode or bring it back, then "
            hint += f"wideproof runs resume {self.path}."
            raise StoreError(str(self.path / name), "a folder that can be written", error.strerror or error,
                             hint) from error  # fmt: skip


def _cell(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return " ".join(map(str, value))
    return repr(value) if isinstance(value, float) else value


def now() -> str:
    """The time in UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def plain(value: Any) -> Any:
    """The value in JSON's own types; a number that is not finite becomes null."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def open_run(path: Path) -> RunFolder:
    """Return the run of a folder.  Errors: StoreError where it holds none."""
    try:
        record = json.loads((path / RECORD).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise StoreError(str(path), f"the folder of a run, with {RECORD}", getattr(error, "strerror", None) or error,
                         "wideproof runs list shows those below a folder.") from error  # fmt: skip
    if not isinstance(record, dict) or record.get("format") != FORMAT:
        got = record.get("format", "no format") if isinstance(record, dict) else "something else"
        raise StoreError(str(path / RECORD), FORMAT, got, "It is of another program or version.")
    return RunFolder(path, record)


def take_folder(path: Path, identity: Mapping[str, Any], fields: Mapping[str, Any], force: bool) -> RunFolder:
    """Return the folder of a run, new or gone on with; one that holds anything else is taken by force alone.

    `identity` are the fields of the record that make it the same run, `fields` the others of a new one. By force the
    record, the chunks, the pieces and the checks of another run and of its Monte Carlo are removed, and no other file.
    Errors: StoreError for a folder of another run, one that holds other files, or one that cannot be written.
    """
    identity = json.loads(json.dumps(plain(identity)))
    if (path / RECORD).exists() and (found := _other_or_same(path, identity, force)) is not None:
        other = [key for key, value in identity.items() if found.record.get(key) != value]
        if other:
            mine, theirs = _difference(identity[other[0]], found.record.get(other[0]), other[0])
            hint = "Name another folder; --force replaces it" + (
                "; wideproof runs extend adds trials or widths to a run." if "experiment" in identity else "."
            )
            raise StoreError(str(path), f"a run with {mine}", theirs, hint)
        return found
    try:
        if path.exists() and any(not x.name.endswith(PART) for x in path.iterdir()) and not force:
            raise StoreError(str(path), "a new or empty folder", "one that holds other files",
                             "Name another folder, or write into it with --force.")  # fmt: skip
        for held in (path, *((path / MONTE_CARLO,) if (path / MONTE_CARLO / RECORD).exists() else ())):
            for name in (CHUNKS, PIECES):
                shutil.rmtree(held / name, ignore_errors=True)
            for name in (RECORD, CHECKS):
                (held / name).unlink(missing_ok=True)
    except OSError as error:
        raise StoreError(str(path), "a folder that can be written", error.strerror or error,
                         "Name another folder, or see to its mode.") from error  # fmt: skip
    made = RunFolder(path, {"format": FORMAT, "started": now(), **identity, "sessions": [], **fields})
    made.update(stage="planned", verdict=None)
    return made


def _other_or_same(path: Path, identity: Mapping[str, Any], force: bool) -> RunFolder | None:
    """The run of a folder; by force only where it is the same one, so that nothing of it is lost."""
    if not force:
        return open_run(path)
    try:
        found = open_run(path)
    except StoreError:
        return None
    return found if all(found.record.get(key) == value for key, value in identity.items()) else None


def _difference(mine: Any, theirs: Any, name: str) -> tuple[str, str]:
    """The first place where two records differ, as a text for each."""
    if isinstance(mine, dict) and isinstance(theirs, dict):
        for key in (*mine, *theirs):
            if mine.get(key) != theirs.get(key):
                return _difference(mine.get(key), theirs.get(key), key)
    return f"{name} = {_short(mine)}", f"{name} = {_short(theirs)}"


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else text[:60] + "…"
