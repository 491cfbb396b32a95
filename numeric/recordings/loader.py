"""One recording: inputs and outputs on a common clock, with names, rate, licence and citation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path

import numpy as np
from scipy.signal import decimate

from derive.errors import ParameterError, ShapeError
from numeric.arrays import Host
from numeric.recordings.tables import read_columns

FEWEST_SAMPLES = 100  # below this, three contiguous parts hold no dynamics worth a figure


@dataclass(frozen=True, eq=False)
class Recording:
    """Inputs and outputs of one system, finite, with no constant column, sampled at one rate.

    Shapes: inputs (N, n_x), outputs (N, n_y).  Units: rate in Hz, None if unknown.
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

    def __post_init__(self) -> None:
        sizes = (*self.inputs.shape, *self.outputs.shape)
        want = (len(self.inputs), len(self.input_names), len(self.inputs), len(self.output_names))
        if sizes != want or not self.input_names or not self.output_names:
            raise ShapeError(self.name, "inputs (N, n_x), outputs (N, n_y), one name per column", sizes,
                             "Align the two arrays in time, and name every column.")  # fmt: skip
        if len(self.inputs) < FEWEST_SAMPLES:
            raise ParameterError(
                self.name, f"at least {FEWEST_SAMPLES} samples", len(self.inputs), "Record longer."
            )
        for values, names in ((self.inputs, self.input_names), (self.outputs, self.output_names)):
            for column, name in zip(values.T, names, strict=True):
                _check_column(self.name, name, column)

    @property
    def samples(self) -> int:
        """The number N of samples."""
        return len(self.inputs)


def load_recording(
    name: str | Path,
    *,
    inputs: Sequence[str] | None = None,
    outputs: Sequence[str] | None = None,
    rate: float | None = None,
) -> Recording:
    """A recording by name ("er-fmri", "daphnet"), or read from a CSV or NPZ file, never from a pickle.

    For a file: inputs and outputs are column names; an NPZ array (N, k) offers its columns as NAME[0] …
    NAME[k−1], or all of them as NAME. Left out, outputs is the NPZ array `outputs`, inputs all other columns.
    Units: rate in Hz, for a file only.
    Errors: ParameterError for an unknown name, a missing or constant column, NaN, or too few samples.
    """
    if str(name) in RECORDINGS:
        if inputs is not None or outputs is not None or rate is not None:
            hint = "Name columns and a rate only for your own file."
            raise ParameterError("load_recording", f"only the name for {name}", "more arguments", hint)
        return RECORDINGS[str(name)]()
    path = Path(name)
    if not path.is_file():
        hint = "Check the path, or name a built-in recording."
        raise ParameterError("load_recording", f"a file, or one of {', '.join(RECORDINGS)}", str(name), hint)
    x, y, input_names, output_names = read_columns(path, inputs, outputs)
    note = "the user's own file"
    return Recording(path.name, x, y, input_names, output_names, rate, note, "unknown", "unknown")


def _er_fmri() -> Recording:
    """Six event types → BOLD; no resampling."""
    data = _vendored("er_fmri.npz")
    events = (data["events"][:, None] == np.arange(1, 7)).astype(float)  # (N, 6)
    bold = data["bold"].astype(float)[:, None]
    return Recording(
        "er-fmri", events, bold, tuple(f"event {k}" for k in range(1, 7)), ("BOLD",), 0.5,
        "event-related fMRI: six stimulus types to one BOLD series, repetition time 2 s",
        "BSD-3-Clause, NIPY developers (LICENSE-nitime)",
        "Nitime 0.12.1, data file event_related_fmri.csv, https://nipy.org/nitime",
    )  # fmt: skip


def _daphnet() -> Recording:
    """Ankle and thigh → trunk acceleration in g, low-passed and decimated from 64 to 32 Hz."""
    data = _vendored("daphnet_s06r02.npz")
    if np.any(data["is_anomaly"]):
        raise ParameterError("daphnet", "no sample marked as an anomaly", "some", "Use the file as vendored.")
    acceleration = decimate(data["acc_mg"] / 1000.0, 2, ftype="fir", axis=0, zero_phase=True)
    axes = ("horizontal forward", "vertical", "horizontal lateral")
    names = tuple(f"{place} {axis}" for place in ("ankle", "thigh", "trunk") for axis in axes)
    return Recording(
        "daphnet", acceleration[:, :6], acceleration[:, 6:], names[:6], names[6:], 32.0,
        "Daphnet freezing of gait, subject 6 run 2: ankle and thigh to trunk acceleration (g)",
        "BSD-3-Clause, aeon developers (LICENSE-aeon)",
        "M. Bächlin et al., Wearable assistant for Parkinson's disease patients with the freezing of gait "
        "symptom, IEEE Trans. Inf. Technol. Biomed. 14(2), 436-446, 2010; as in aeon 1.6.0, S06R02E0.csv",
    )  # fmt: skip


RECORDINGS: dict[str, Callable[[], Recording]] = {"er-fmri": _er_fmri, "daphnet": _daphnet}
"""The recordings that travel with the package, by name."""


def _vendored(name: str) -> dict[str, np.ndarray]:
    with as_file(files("numeric.recordings") / name) as path, np.load(path, allow_pickle=False) as data:
        return dict(data)


def _check_column(where: str, name: str, column: Host) -> None:
    bad = ~np.isfinite(column)
    if bad.any():
        got = f"{column[bad][0]} at row {int(np.argmax(bad))} ({int(bad.sum())} in all)"
        raise ParameterError(
            where, f"finite numbers in column {name!r}", got, "Fill or cut the missing samples."
        )
    if np.ptp(column) == 0:
        hint = "A constant predicts nothing and has no R²: leave the column out."
        raise ParameterError(where, f"column {name!r} to vary", f"the constant {column[0]:g}", hint)
