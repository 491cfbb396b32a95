"""The paper's S1 recording from the user's own file: binned as published, and held against published facts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from wideproof.derive.language.shown import visible
from wideproof.numeric.core.arrays import Host
from wideproof.numeric.recordings.binning import bin_edges, count_spikes, mean_per_bin
from wideproof.numeric.recordings.files import foreign, refusal
from wideproof.numeric.recordings.recording import Fact, Recording
from wideproof.numeric.recordings.variables import PAIR, READERS, Variables, permitted, read_variables

BIN = 0.05  # seconds
RAW = ("spike_times", "vels", "vel_times")
UNITS = "spike_units"  # an NPZ file has all spikes in one row, and beside it the neuron of each
NEURONS, SPIKES, RATE, DURATION, BINS = 52, 1_480_032, 100.0, 3066.99, 61339
CITATION = (
    "A. S. Benjamin et al., Modern machine learning as a benchmark for fitting neural responses, Front. Comput. "
    "Neurosci. 12:56, 2018; binned as in J. I. Glaser et al., Machine learning for neural decoding, eNeuro 7(4), 2020"
)


def read_s1(path: Path, allow_pickle: bool = False) -> Recording | None:
    """The recording, raw or binned, if the file has the published names of its variables; otherwise None.

    Spike counts are the inputs and velocities the outputs, in bins of 50 ms; `facts` and the description say
    whether this is the published recording.  Errors: ParameterError for variables of another form.
    """
    if path.suffix.lower() not in READERS:
        return None
    permitted(path, allow_pickle)
    found = read_variables(path, (*RAW, UNITS, *PAIR))
    if all(name in found for name in RAW):
        return _from_raw(path, found)
    if all(name in found for name in PAIR):
        counts, velocity = (_matrix(path, name, found[name]) for name in PAIR)
        return _recording(path, counts, velocity, ())
    return None


def _from_raw(path: Path, found: Variables) -> Recording:
    spikes = _spike_trains(path, found["spike_times"], found.get(UNITS))
    velocity = _matrix(path, "vels", found["vels"])
    times = _numbers(path, "vel_times", found["vel_times"])
    if len(times) != len(velocity) or len(times) < 2 or not np.all(np.diff(times) > 0):
        got = f"{len(times)} times for {len(velocity)} velocities"
        raise refusal(path, "one increasing time per velocity", got, "Give vel_times in seconds.")
    edges = bin_edges(times[0], times[-1], BIN)
    clock = (
        _fact("spikes", SPIKES, sum(map(len, spikes))),
        _fact("velocity samples per second", RATE, 1.0 / float(np.median(np.diff(times))), 0.01),
        _fact("seconds of velocity", DURATION, float(times[-1] - times[0]), 0.005),
    )
    return _recording(path, count_spikes(spikes, edges), mean_per_bin(velocity, times, edges), clock)


def _recording(path: Path, counts: Host, velocity: Host, clock: tuple[Fact, ...]) -> Recording:
    total = () if clock else (_fact("spikes in all bins", SPIKES, float(counts.sum()), 0.001 * SPIKES),)
    facts = (
        _fact("neurons", NEURONS, counts.shape[1]),
        *clock, *total,
        _fact("shape of the spike counts", (BINS, NEURONS), counts.shape),
        _fact("shape of the velocities", (BINS, 2), velocity.shape),
    )  # fmt: skip
    axes = ("x velocity", "y velocity") if velocity.shape[1] == 2 else tuple(
        f"velocity {k}" for k in range(velocity.shape[1])
    )  # fmt: skip
    return Recording(
        visible(path.name, 100), counts, velocity, tuple(f"neuron {k}" for k in range(counts.shape[1])), axes,
        1.0 / BIN, _told(facts), "unknown: the user's own file", CITATION, facts,
    )  # fmt: skip


def _told(facts: Sequence[Fact]) -> str:
    what = "spike counts of single neurons to hand velocity, in bins of 50 ms"
    wrong = [f"{fact.name} {fact.found} (published: {fact.published})" for fact in facts if not fact.agrees]
    if not wrong:
        return f"macaque primary somatosensory cortex: {what}; the file agrees with all published facts"
    return (
        f"{what}; NOT the published S1 recording: {'; '.join(wrong)}. "
        "What follows holds for this file, and replicates nothing of the paper's section 5.2"
    )


def _fact(name: str, published: Any, found: Any, tolerance: float = 0.0) -> Fact:
    if isinstance(published, tuple):
        return Fact(name, str(published), str(tuple(found)), tuple(found) == published)
    return Fact(name, f"{published:,}", f"{found:,.10g}", abs(found - published) <= tolerance)


def _matrix(path: Path, name: str, value: Any) -> Host:
    array = _array(path, name, value)
    if array.ndim != 2 or array.dtype.kind not in "biuf":
        got = f"{array.dtype} of shape {array.shape}"
        raise refusal(path, f"{name!r}: numbers of shape (samples, columns)", got, "Transpose or cut it.")
    return array.astype(float)


def _spike_trains(path: Path, value: Any, units: Any) -> list[Host]:
    """One array of times per neuron, from a list, a MATLAB cell, or one row with the neuron of each spike."""
    if units is not None:
        times, owner = _numbers(path, "spike_times", value), _numbers(path, UNITS, units)
        if len(times) != len(owner):
            got = f"{len(owner)} for {len(times)} spikes"
            raise refusal(path, f"one entry of {UNITS!r} per spike", got, "Save both from one table.")
        return [times[owner == unit] for unit in np.unique(owner)]
    is_cell = isinstance(value, np.ndarray) and value.dtype.kind == "O"
    trains = list(value.ravel()) if is_cell else value
    if not isinstance(trains, list | tuple) or not trains:
        hint = f"Give a cell or list with one array per neuron, or one row of times with {UNITS!r} beside it."
        raise refusal(path, "spike times of every neuron", type(value).__name__, hint)
    return [_train(path, k, train) for k, train in enumerate(trains)]


def _train(path: Path, neuron: int, train: Any) -> Host:
    return _numbers(path, f"spike times of neuron {neuron}", train)


def _numbers(path: Path, name: str, value: Any) -> Host:
    """Finite numbers in one row.  Errors: ParameterError naming the variable."""
    array = _array(path, name, value)
    if array.dtype.kind not in "biuf" or not np.all(np.isfinite(array)):
        raise refusal(path, f"{name}: finite numbers", f"{array.dtype}, or nan or infinity", "Remove what is no time.")
    return array.astype(float).ravel()


def _array(path: Path, name: str, value: Any) -> Host:
    with foreign(path, f"{name}: one array of numbers", "Save arrays of numbers."):
        return np.asarray(value)
