"""Named columns of a table or of the arrays of a file, read without running anything the file says."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from wideproof.derive.language.errors import ParameterError, ShapeError
from wideproof.numeric.core.arrays import Host
from wideproof.numeric.recordings.variables import READERS as VARIABLES, read_variables, variable_names

DELIMITERS = {",": "commas", "\t": "tabs", ";": "semicolons", "|": "bars"}
Columns = dict[str, Host]
Table = tuple[Host, Host, tuple[str, ...], tuple[str, ...]]


def read_columns(path: Path, inputs: Sequence[str] | None, outputs: Sequence[str] | None) -> Table:
    """The chosen columns, inputs (N, n_x) and outputs (N, n_y), with their names.

    Errors: ParameterError for another kind of file, a missing, repeated or non-numeric column.
    """
    if path.suffix.lower() not in READERS:
        hint = "Save the table as CSV with a header row, or its arrays as NPZ."
        raise ParameterError(str(path), f"a file ending in {', '.join(READERS)}", path.suffix or "none", hint)
    columns = READERS[path.suffix.lower()](path, _wanted(path, inputs, outputs))
    if outputs is None and "outputs" not in _groups(columns):
        raise ParameterError(str(path), "the names of the output columns", "none", _known(path, columns))
    output_names = _select(path, columns, ("outputs",) if outputs is None else outputs)
    rest = [name for name in columns if name not in output_names]
    input_names = _select(path, columns, rest if inputs is None else inputs)
    both = sorted(set(input_names) & set(output_names))
    if both:
        raise ParameterError(str(path), "inputs that are not outputs", both, "Predict something else.")
    return _stack(path, columns, input_names), _stack(path, columns, output_names), input_names, output_names


def read_table(path: Path) -> Columns:
    """Every column of a CSV or TSV file by its name.  Errors: ParameterError for what is no table of numbers."""
    columns = _read_csv(path, None)
    for name, column in columns.items():
        _no_word(path, name, column)
    return columns


def _wanted(path: Path, inputs: Sequence[str] | None, outputs: Sequence[str] | None) -> list[str] | None:
    """The arrays to read: the named ones, and all where names are missing, but never all of a MATLAB file."""
    if path.suffix.lower() == ".mat":
        inputs, outputs = inputs or ("inputs",), outputs or ("outputs",)
    return None if inputs is None or outputs is None else [name.split("[")[0] for name in (*inputs, *outputs)]


def _read_csv(path: Path, names: Sequence[str] | None) -> Columns:
    mark = "\t" if path.suffix.lower() == ".tsv" else ","
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            rows = [row for row in csv.reader(stream, delimiter=mark) if row]
    except (UnicodeDecodeError, csv.Error) as error:
        hint = "Save it as CSV in UTF-8, or its arrays as NPZ."
        got = "bytes that are not UTF-8" if isinstance(error, UnicodeDecodeError) else str(error)
        raise ParameterError(str(path), "a table in UTF-8", got, hint) from error
    if rows and len(rows[0]) == 1 and (others := [sign for sign in DELIMITERS if sign in rows[0][0]]):
        hint = "Save it with commas in a .csv, or with tabs in a .tsv file."
        raise ParameterError(
            str(path),
            f"columns separated by {DELIMITERS[mark]}",
            f"one column, whose name has {DELIMITERS[others[0]]}: {rows[0][0][:60]!r}",
            hint,
        )
    header = [name.strip() for name in rows[0]] if rows else []
    if not rows or len(set(header)) != len(header):
        got = f"{max(header, key=header.count)!r} more than once" if rows else "an empty file"
        raise ParameterError(str(path), "a header row of distinct names", got, "Name every column once.")
    for k, row in enumerate(rows[1:]):
        if len(row) != len(header):
            raise ParameterError(str(path), f"{len(header)} cells in row {k}", len(row), "Complete the row.")
    return {name: _cells([row[i] for row in rows[1:]]) for i, name in enumerate(header)}


def _cells(column: Sequence[str]) -> Host:
    """The numbers of a column, or its text where a cell is no number: only chosen columns are judged, later."""
    try:
        return np.asarray([_number(cell) for cell in column], dtype=float)
    except ValueError:
        return np.asarray(column, dtype=object)


def _number(cell: str) -> float:
    return float(cell) if cell.strip() else float("nan")


def _no_word(path: Path, name: str, column: Host) -> None:
    for row, cell in enumerate(column if column.dtype == object else ()):
        try:
            _number(cell)
        except ValueError as error:
            got = f"{cell[:40]!r} at row {row}"
            hint = "Leave the column out, or write numbers with a point and missing ones as empty cells."
            raise ParameterError(str(path), f"numbers in column {name!r}", got, hint) from error


def _read_arrays(path: Path, names: Sequence[str] | None) -> Columns:
    columns: Columns = {}
    for name, array in read_variables(path, names).items():
        columns |= _split(path, name, np.asarray(array))
    return columns


def _split(path: Path, name: str, array: np.ndarray) -> Columns:
    if array.ndim not in (1, 2) or array.dtype.kind not in "biuf":
        got = f"{array.dtype} of shape {array.shape}"
        raise ParameterError(str(path), f"{name!r}: numbers of shape (N,) or (N, k)", got, "Name other columns.")
    values = array.astype(float)
    if values.ndim == 1:
        return {name: values}
    return {f"{name}[{k}]": values[:, k] for k in range(values.shape[1])}


TEXT = (".csv", ".tsv")
READERS = {**dict.fromkeys(TEXT, _read_csv), **dict.fromkeys(VARIABLES, _read_arrays)}


def _groups(columns: Columns) -> dict[str, list[str]]:
    """Every name a user may ask for, and the columns it stands for."""
    groups: dict[str, list[str]] = {name: [name] for name in columns}
    for name in columns:
        if name.endswith("]"):
            groups.setdefault(name[: name.rindex("[")], []).append(name)
    return groups


def _select(path: Path, columns: Columns, names: Sequence[str]) -> tuple[str, ...]:
    groups = _groups(columns)
    missing = [name for name in names if name not in groups]
    if missing:
        got = f"no column {', '.join(missing)}"
        raise ParameterError(str(path), "columns that exist", got, _known(path, columns))
    chosen = tuple(column for name in names for column in groups[name])
    if not chosen or len(set(chosen)) != len(chosen):
        raise ParameterError(str(path), "at least one column, each once", chosen, "Name distinct columns.")
    return chosen


def _known(path: Path, columns: Columns) -> str:
    known = columns if path.suffix.lower() in TEXT else variable_names(path)
    return f"The file has: {', '.join(known) or 'nothing'}."


def _stack(path: Path, columns: Columns, names: Sequence[str]) -> Host:
    lengths = {len(columns[name]) for name in names}
    if len(lengths) != 1:
        raise ShapeError(str(path), "columns of one length", sorted(lengths), "Resample to a common clock.")
    for name in names:
        _no_word(path, name, columns[name])
    return np.column_stack([columns[name] for name in names])
