"""Tables of numbers as text: columns between commas, tabs or blanks, with a header row or without."""

from __future__ import annotations

import csv
import io
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from wideproof.derive.language.shown import visible
from wideproof.numeric.core.arrays import Host
from wideproof.numeric.core.decimals import decimal
from wideproof.numeric.recordings.files import LARGEST, content, ending, refusal, too_large

DELIMITERS = {",": "commas", "\t": "tabs", ";": "semicolons", "|": "bars", " ": "blanks"}
MARKS: dict[str, str | None] = {".csv": ",", ".tsv": "\t", ".dat": None, ".txt": None}
"""What stands between columns, by the ending of a name; None is any run of blanks and tabs."""
COMMENTS = ("#", "%")
"""What a line between blanks may start with that holds no numbers."""
COLUMNS, LINE, TEXT, NAME = 10_000, 2**20, 2**28, 200
"""Limits: columns, characters of a row, bytes of a text, characters of a name."""


@dataclass(frozen=True)
class Columns:
    """Named columns, the first cell of each that is no number, and in words how they were told apart.

    Shapes: values (rows,) each.  words: row and text of the cell; such a column may stand there, and not be chosen.
    """

    values: dict[str, Host]
    how: str
    words: dict[str, tuple[int, str]] = field(default_factory=dict)


def read_delimited(path: Path, names: Sequence[str] | None) -> Columns:
    """All columns of a table; `names` are given to them, in the order of the file, where it has none or other ones.

    Without names, a first row of words is the header, and a first row of numbers is the first sample: its columns go
    by their numbers, 1, 2 and so on.
    Errors: ParameterError for a first row that is neither, another mark between columns, rows of different lengths,
    names that repeat, what is not UTF-8, and beyond the limits.
    """
    rows = _rows(path)
    first = next(rows, None)
    if first is None:
        raise refusal(path, "a header row of distinct names, or rows of numbers", "an empty file", "Save it again.")
    _check_mark(path, first)
    headed = _is_header(path, first, names)
    found = _names(path, first, headed, names)
    read = _Cells(path, len(found))
    for row in rows if headed else _before(first, rows):
        read.add(row)
    how = f"{len(found)} columns, {'with' if headed else 'without'} a header row"
    values = {name: np.frombuffer(column, float) for name, column in zip(found, read.columns, strict=True)}
    return Columns(values, how, {found[k]: word for k, word in read.words.items()})


def _before(first: list[str], rows: Iterable[list[str]]) -> Iterator[list[str]]:
    yield first
    yield from rows


# ---- rows ---------------------------------------------------------------------------------------------
def _rows(path: Path) -> Iterator[list[str]]:
    """The cells of every row that has any, without the empty one after a last tab or comma."""
    raw = content(path)
    if len(raw) > TEXT:
        raise refusal(path, f"a text of at most {TEXT:,} bytes", f"{len(raw):,}", "Save its arrays as NPZ.")
    mark = MARKS[ending(path)]
    lines = _Lines(path, raw)
    try:
        yield from _split(lines) if mark is None else _separated(lines, mark)
    except (UnicodeDecodeError, csv.Error) as error:
        hint = "Save it as CSV in UTF-8, or its arrays as NPZ."
        got = "bytes that are not UTF-8" if isinstance(error, UnicodeDecodeError) else str(error)
        raise refusal(path, "a table in UTF-8", got, hint) from error


class _Lines:
    """The lines of a text; a row may go over several, but not without end."""

    def __init__(self, path: Path, raw: bytes) -> None:
        self.path, self.read = path, 0
        self.stream = io.TextIOWrapper(io.BytesIO(raw), encoding="utf-8-sig", newline="")

    def __iter__(self) -> Iterator[str]:
        while line := self.stream.readline(LINE + 1):
            self.read += len(line)
            if self.read > LINE:
                raise refusal(self.path, f"rows of at most {LINE:,} characters", "more", f"{COLUMNS:,} columns fit.")
            if line.strip():
                yield line

    def row_ends(self) -> None:
        """Count the characters of the next row from here."""
        self.read = 0


def _split(lines: _Lines) -> Iterator[list[str]]:
    for line in lines:
        lines.row_ends()
        if not line.lstrip().startswith(COMMENTS):
            yield line.split()


def _separated(lines: _Lines, mark: str) -> Iterator[list[str]]:
    for row in csv.reader(lines, delimiter=mark):
        lines.row_ends()
        yield [cell.strip() for cell in row]


def _check_mark(path: Path, first: Sequence[str]) -> None:
    """Refuse a first row that another mark would divide: a number is never read from half a cell."""
    mark = MARKS[ending(path)]
    inside = [sign for sign in DELIMITERS if any(sign in cell for cell in first)]
    if not inside or (mark is not None and len(first) > 1):
        return
    hint = "Save it with commas in a .csv, with tabs in a .tsv, or with blanks in a .dat file."
    want = "blanks or tabs" if mark is None else DELIMITERS[mark]
    got = f"a first row that has {DELIMITERS[inside[0]]}: {visible(' '.join(first), 60)!r}"
    raise refusal(path, f"columns separated by {want}", got, hint)


# ---- names --------------------------------------------------------------------------------------------
def _is_number(cell: str) -> bool:
    try:
        decimal(cell)
    except ValueError:
        return False
    return True


def _is_header(path: Path, first: Sequence[str], names: Sequence[str] | None) -> bool:
    """Whether the first row names the columns; a row of numbers never does."""
    kinds = {_is_number(cell) for cell in first if cell}
    if True not in kinds:
        return True
    if names is None and (False in kinds or "" in first[:-1]):
        hint = "Name every column in the first row, or give the names (columns=…, --columns): then no row is a header."
        raise refusal(path, "a first row of names, or of numbers", f"both: {','.join(first)[:80]!r}", hint)
    return False


def _names(path: Path, first: list[str], headed: bool, given: Sequence[str] | None) -> list[str]:
    width = len(first) - (len(first) > 1 and not first[-1])  # a tab at the end of every row is no column
    if width > COLUMNS:
        raise refusal(path, f"at most {COLUMNS:,} columns", f"{width:,}", "Cut the table, or save its arrays as NPZ.")
    if given is not None and len(given) != width:
        raise refusal(path, f"{width} names, one for each column", f"{len(given)} names", "Name all of them.")
    found = list(given) if given is not None else first[:width] if headed else [str(k + 1) for k in range(width)]
    if len(set(found)) != len(found):
        seen: set[str] = set()
        twice = next(name for name in found if name in seen or seen.add(name))  # type: ignore[func-returns-value]
        raise refusal(path, "a header row of distinct names", f"{twice!r} more than once", "Name every column once.")
    if max(map(len, found)) > NAME:
        raise refusal(path, f"names of at most {NAME} characters", max(map(len, found)), "Give shorter names.")
    return [visible(name) for name in found]


# ---- cells --------------------------------------------------------------------------------------------
class _Cells:
    """The numbers of every column, eight bytes each; a cell that is none is remembered, and judged if it is chosen."""

    def __init__(self, path: Path, width: int) -> None:
        self.path, self.row, self.words = path, 0, dict[int, tuple[int, str]]()
        self.columns = [array("d") for _ in range(width)]

    def add(self, row: Sequence[str]) -> None:
        width = len(self.columns)
        if len(row) != width and not (len(row) == width + 1 and not row[-1]):
            raise refusal(self.path, f"{width} cells in row {self.row}", len(row), "Complete the row.")
        if 8 * width * (self.row + 1) > LARGEST:
            raise too_large(self.path)
        for k, (column, cell) in enumerate(zip(self.columns, row, strict=False)):
            column.append(self.number(k, cell))
        self.row += 1

    def number(self, k: int, cell: str) -> float:
        """The number of a cell; an empty one is a missing sample."""
        if not cell:
            return float("nan")
        try:
            return decimal(cell)
        except ValueError:
            self.words.setdefault(k, (self.row, cell[:40]))
            return float("nan")


TABLES: dict[str, Callable[[Path, Sequence[str] | None], Columns]] = dict.fromkeys(MARKS, read_delimited)
"""The endings of tables, and what reads them."""
