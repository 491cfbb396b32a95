"""The recordings that travel with the package, and a user's own file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.resources import as_file, files
from pathlib import Path

import numpy as np

from wideproof.derive.language.errors import ParameterError
from wideproof.numeric.recordings.recording import Recording
from wideproof.numeric.recordings.s1 import read_s1
from wideproof.numeric.recordings.tables import read_columns


def load_recording(
    name: str | Path,
    *,
    inputs: Sequence[str] | None = None,
    outputs: Sequence[str] | None = None,
    rate: float | None = None,
) -> Recording:
    """A recording by name ("er-fmri", "daphnet"), or read from a CSV, NPZ, MATLAB or pickle file.

    For a file: inputs and outputs are column names; an array (N, k) offers its columns as NAME[0] … NAME[k−1],
    or all of them as NAME. Left out, outputs is the array `outputs`, inputs all other columns; of a MATLAB file
    the variable `inputs`, for no variable is read unless it is named. A file with the variables of the paper's S1
    recording needs no names: `read_s1` bins it. Pickles are read by an unpickler that knows only arrays.
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
        got = f"{name}, a folder" if path.is_dir() else f"{name}, which is not there"
        raise ParameterError("load_recording", f"a file, or one of {', '.join(RECORDINGS)}", got, hint)
    try:
        path.open("rb").close()
    except OSError as error:
        raise ParameterError(str(path), "a file that can be read", error.strerror, "Check who may read it.") from error
    if inputs is None and outputs is None and rate is None and (found := read_s1(path)) is not None:
        return found
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
    from scipy.signal import decimate

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
    with as_file(files("wideproof.numeric.recordings") / name) as path, np.load(path, allow_pickle=False) as data:
        return dict(data)
