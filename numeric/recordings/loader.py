"""The recordings that travel with the package, and a user's own file."""

from __future__ import annotations

import stat
from collections.abc import Callable, Sequence
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

import numpy as np

from wideproof.derive.language.errors import ParameterError
from wideproof.derive.language.shown import visible
from wideproof.numeric.core.inputs import names as names_of, real
from wideproof.numeric.recordings.files import refusal
from wideproof.numeric.recordings.recording import Recording
from wideproof.numeric.recordings.s1 import read_s1
from wideproof.numeric.recordings.tables import read_columns


def load_recording(
    name: str | Path,
    *,
    inputs: str | Sequence[str] | None = None,
    outputs: str | Sequence[str] | None = None,
    rate: float | None = None,
    columns: Sequence[str] | None = None,
    allow_pickle: bool = False,
) -> Recording:
    """A recording by name ("er-fmri", "daphnet"), or read from a file: a table, NPZ, MATLAB or pickle.

    A table is text with commas (.csv), tabs (.tsv) or blanks (.dat, .txt) between columns, also packed (.csv.gz). A
    first row of words names its columns; a first row of numbers is a sample, and then columns go by their numbers from
    1, or by the names given as `columns`, one for each. An array (N, k) offers its columns as NAME[0] … NAME[k−1], or
    all of them as NAME. Left out, outputs is the array `outputs`, inputs all other columns; of a MATLAB file the
    variable `inputs`, for no variable is read unless it is named. A file with the variables of the paper's S1 recording
    needs no names: `read_s1` bins it. Pickles are read only with allow_pickle=True, and then by a reader that knows
    arrays alone; MATLAB 7.3 needs h5py. `understood` of what comes says how the file was read.
    Units: rate in Hz, for a file only.
    Errors: ParameterError for an unknown name, a missing or constant column, NaN, or too few samples.
    """
    given = {"inputs": _words("inputs", inputs), "outputs": _words("outputs", outputs)}
    names = _words("columns", columns)
    hertz = None if rate is None else real("rate", rate, 0.0, above=True, hint="A sampling rate in Hz.")
    if str(name) in RECORDINGS:
        if any(value is not None for value in (*given.values(), names, rate)):
            hint = "Name columns and a rate only for your own file."
            raise ParameterError("load_recording", f"only the name for {name}", "more arguments", hint)
        return RECORDINGS[str(name)]()
    path = _present(name)
    if all(value is None for value in (*given.values(), names, hertz)):
        found = read_s1(path, allow_pickle)
        if found is not None:
            return found
    read = read_columns(path, given["inputs"], given["outputs"], names, allow_pickle)
    note = f"the user's own file: {read.how}"
    title = visible(path.name, 100)
    return Recording(title, read.inputs, read.outputs, read.input_names, read.output_names, hertz, note, "unknown",
                     "unknown")  # fmt: skip


def _words(argument: str, value: Any) -> tuple[str, ...] | None:
    """Names of columns as text; numbers of columns are names too.  Errors: ParameterError."""
    if isinstance(value, Sequence) and not isinstance(value, str):
        value = [str(part) if isinstance(part, int) and not isinstance(part, bool) else part for part in value]
    return names_of(argument, value)


def _present(name: str | Path) -> Path:
    """The path of a file that is there.  Errors: ParameterError."""
    hint = "Check the path, or name a built-in recording."
    want = f"a file, or one of {', '.join(RECORDINGS)}"
    if not isinstance(name, str | Path):
        raise ParameterError("load_recording", want, type(name).__name__, hint)
    path = Path(name)
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError):  # a name that no file can have
        raise refusal("load_recording", want, f"{visible(name, 100)}, which is not there", hint) from None
    if stat.S_ISDIR(mode):
        raise refusal("load_recording", want, f"{visible(name, 100)}, a folder", hint)
    return path


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
