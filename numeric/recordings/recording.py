"""One recording: inputs and outputs on a common clock, with names, rate, licence and citation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from wideproof.derive.language.errors import ParameterError, ShapeError
from wideproof.numeric.core.arrays import Host

FEWEST_SAMPLES = 100  # below this, three contiguous parts hold no dynamics worth a figure


@dataclass(frozen=True)
class Fact:
    """One published fact of a recording beside what the file holds."""

    name: str
    published: str
    found: str
    agrees: bool


@dataclass(frozen=True, eq=False)
class Recording:
    """Inputs and outputs of one system, finite, with no constant column, sampled at one rate.

    Shapes: inputs (N, n_x), outputs (N, n_y).  Units: rate in Hz, None if unknown.  facts: empty where none are
    published.
    Errors: ShapeError where sizes differ; ParameterError naming the column that is constant or not finite.
    """

    name: str
    inputs: Host
    outputs: Host
    input_names: tuple[str, ...]
    output_names: tuple[str, ...]
    rate: float | None
    description: str
    licence: str
    citation: str
    facts: tuple[Fact, ...] = ()

    def __post_init__(self) -> None:
        sizes = (*self.inputs.shape, *self.outputs.shape)
        want = (len(self.inputs), len(self.input_names), len(self.inputs), len(self.output_names))
        if sizes != want or not self.input_names or not self.output_names:
            raise ShapeError(self.name, "inputs (N, n_x), outputs (N, n_y), one name per column", sizes,
                             "Align the two arrays in time, and name every column.")  # fmt: skip
        if len(self.inputs) < FEWEST_SAMPLES:
            raise ParameterError(self.name, f"at least {FEWEST_SAMPLES} samples", len(self.inputs), "Record longer.")
        for values, names in ((self.inputs, self.input_names), (self.outputs, self.output_names)):
            for column, name in zip(values.T, names, strict=True):
                _check_column(self.name, name, column)

    @property
    def understood(self) -> str:
        """How the recording was read: samples, columns by name, sampling, and what else its description says."""
        rate = "rate of sampling not given" if self.rate is None else f"{self.rate:g} samples a second"
        told = (_listed("inputs", self.input_names), _listed("outputs", self.output_names), rate, self.description)
        return f"{self.name}: {self.samples:,} samples; {'; '.join(told)}"

    @property
    def samples(self) -> int:
        """The number N of samples."""
        return len(self.inputs)


def _listed(what: str, names: Sequence[str]) -> str:
    """The names of columns, of many the first and the last ones."""
    shown = names if len(names) <= 8 else (*names[:5], "…", *names[-2:])
    return f"{len(names)} {what if len(names) > 1 else what[:-1]} {', '.join(shown)}"


def _check_column(where: str, name: str, column: Host) -> None:
    bad = ~np.isfinite(column)
    if bad.any():
        got = f"{column[bad][0]} at row {int(np.argmax(bad))} ({int(bad.sum())} in all)"
        raise ParameterError(where, f"finite numbers in column {name!r}", got, "Fill or cut the missing samples.")
    if np.ptp(column) == 0:
        hint = "A constant predicts nothing and has no R²: leave the column out."
        raise ParameterError(where, f"column {name!r} to vary", f"the constant {column[0]:g}", hint)
    with np.errstate(over="ignore"):
        variance = float(column.var())
    if not 0 < variance < np.inf:
        got = f"values from {column.min():g} to {column.max():g}"
        raise ParameterError(where, f"column {name!r} in a unit that can be squared", got, "Change its unit.")
