"""Named columns of a table or of the arrays of a file, read without running anything the file says."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from wideproof.derive.language.errors import ShapeError
from wideproof.derive.language.shown import visible
from wideproof.numeric.core.arrays import Host
from wideproof.numeric.recordings.delimited import COLUMNS, TABLES, Columns
from wideproof.numeric.recordings.files import ending, foreign, is_packed, refusal
from wideproof.numeric.recordings.variables import READERS as VARIABLES, permitted, read_variables, variable_names

TEXT = tuple(TABLES)
"""The endings of tables."""
INDEXED = re.compile(r"(.+)\[\d+\]")
"""A column of an array: its name and number."""


@dataclass(frozen=True)
class ChosenColumns:
    """The chosen columns with their names, and in words how the file was read.

    Shapes: inputs (N, n_x), outputs (N, n_y).
    """

    inputs: Host
    outputs: Host
    input_names: tuple[str, ...]
    output_names: tuple[str, ...]
    how: str


def read_columns(
    path: Path,
    inputs: Sequence[str] | None,
    outputs: Sequence[str] | None,
    columns: Sequence[str] | None = None,
    allow_pickle: bool = False,
) -> ChosenColumns:
    """The chosen columns; those of a table also go by their numbers, from 1, or by the names given as `columns`.

    Errors: ParameterError for another kind of file, a missing, repeated or non-numeric column.
    """
    kind = _kind(path)
    permitted(path, allow_pickle)
    if columns is not None and kind not in TABLES:
        hint = "Arrays have names of their own: leave columns out."
        raise refusal(path, "names of columns for a table only", f"a file ending in {kind}", hint)
    found = TABLES[kind](path, columns) if kind in TABLES else _read_arrays(path, _wanted(kind, inputs, outputs))
    if outputs is None and "outputs" not in _groups(found.values):
        raise refusal(path, "the names of the output columns", "none", _known(path, found))
    output_names = _select(path, found, ("outputs",) if outputs is None else outputs)
    rest = [name for name in found.values if name not in output_names]
    input_names = _select(path, found, rest if inputs is None else inputs)
    both = sorted(set(input_names) & set(output_names))
    if both:
        raise refusal(path, "inputs that are not outputs", both, "Predict something else.")
    return ChosenColumns(_stack(path, found, input_names), _stack(path, found, output_names), input_names, output_names,
                  found.how)  # fmt: skip


def read_table(path: Path) -> dict[str, Host]:
    """Every column of a table by its name, or by its number where the table has no header.

    Errors: ParameterError for what is no table of numbers.
    """
    found = TABLES[ending(path)](path, None)
    for name in found.values:
        _refuse_words(path, found, name)
    return found.values


def _kind(path: Path) -> str:
    """The ending by which a file is read.  Errors: ParameterError listing those that are known."""
    kind = ending(path)
    if kind not in TABLES and (kind not in VARIABLES or is_packed(path)):
        known = f"{', '.join((*TEXT, *VARIABLES))}, or a table that ends in .gz"
        hint = "Save the table as CSV with a header row, or its arrays as NPZ."
        raise refusal(path, f"a file ending in {known}", path.suffix or "none", hint)
    return kind


def _wanted(kind: str, inputs: Sequence[str] | None, outputs: Sequence[str] | None) -> list[str] | None:
    """The arrays to read: the named ones, and all where names are missing, but never all of a MATLAB file."""
    if kind == ".mat":
        inputs, outputs = inputs or ("inputs",), outputs or ("outputs",)
    if inputs is None or outputs is None:
        return None
    return [name for given in (*inputs, *outputs) for name in dict.fromkeys((given, _base(given) or given))]


def _base(name: str) -> str:
    """The array that a column is of, if it is one of an array."""
    match = INDEXED.fullmatch(name)
    return match[1] if match else ""


def _read_arrays(path: Path, names: Sequence[str] | None) -> Columns:
    values: dict[str, Host] = {}
    found = read_variables(path, names)
    for name, array in found.items():
        values |= _split(path, name, array)
        if len(values) > COLUMNS:
            raise refusal(path, f"at most {COLUMNS:,} columns", "more", "Name the arrays that you need.")
    return Columns(values, f"{len(found)} array{'' if len(found) == 1 else 's'}")


def _split(path: Path, name: str, value: Any) -> dict[str, Host]:
    shown, hint = visible(name), "Name other columns."
    with foreign(path, f"{shown!r}: numbers of shape (N,) or (N, k)", hint):
        array = np.asarray(value)
    if array.ndim not in (1, 2) or array.dtype.kind not in "biuf" or (array.ndim == 2 and array.shape[1] > COLUMNS):
        got = f"{array.dtype} of shape {array.shape}"
        raise refusal(path, f"{shown!r}: numbers of shape (N,) or (N, k), k at most {COLUMNS:,}", got, hint)
    with np.errstate(all="ignore"):
        values = array.astype(float)
    if values.ndim == 1:
        return {shown: values}
    return {f"{shown}[{k}]": values[:, k] for k in range(values.shape[1])}


def _groups(columns: dict[str, Host]) -> dict[str, list[str]]:
    """Every name a user may ask for, and the columns it stands for: a column by its own name comes first."""
    groups: dict[str, list[str]] = {name: [name] for name in columns}
    for name in columns:
        if (base := _base(name)) and base not in columns:
            groups.setdefault(base, []).append(name)
    return groups


def _select(path: Path, columns: Columns, names: Sequence[str]) -> tuple[str, ...]:
    groups = _groups(columns.values)
    if ending(path) in TABLES:
        groups = {str(k): [name] for k, name in enumerate(columns.values, 1)} | groups
    asked = [visible(name) for name in names]
    missing = [name for name in asked if name not in groups]
    if missing:
        raise refusal(path, "columns that exist", f"no column {', '.join(missing)}", _known(path, columns))
    chosen = tuple(column for name in asked for column in groups[name])
    if not chosen or len(set(chosen)) != len(chosen):
        raise refusal(path, "at least one column, each once", chosen, "Name distinct columns.")
    return chosen


def _known(path: Path, columns: Columns) -> str:
    known = columns.values if ending(path) in TABLES else variable_names(path)
    return f"The file has: {', '.join(known) or 'nothing'}."


def _stack(path: Path, columns: Columns, names: Sequence[str]) -> Host:
    lengths = {len(columns.values[name]) for name in names}
    if len(lengths) != 1:
        raise ShapeError(visible(path), "columns of one length", sorted(lengths), "Resample to a common clock.")
    for name in names:
        _refuse_words(path, columns, name)
    return np.column_stack([columns.values[name] for name in names])


def _refuse_words(path: Path, columns: Columns, name: str) -> None:
    if name in columns.words:
        row, cell = columns.words[name]
        hint = "Leave the column out, or write numbers with a point and missing ones as empty cells."
        raise refusal(path, f"numbers in column {name!r}", f"{cell!r} at row {row}", hint)
