"""Spike counts and mean velocities in bins of equal length, by the published protocol of the S1 recording."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from wideproof.derive.language.errors import ParameterError
from wideproof.numeric.core.arrays import Host


def bin_edges(start: float, end: float, width: float) -> Host:
    """The edges start, start + width, … below `end`: a last bin that is not full is left out.

    Shapes: -> (bins + 1,).  Units: seconds.  Errors: ParameterError for a window shorter than a bin.
    Source: glaser2020machine, bin_spikes.
    """
    if not (0.0 < width < end - start < np.inf):
        got = f"{start:g} to {end:g} s in bins of {width:g} s"
        raise ParameterError("bin_edges", "a window longer than one bin", got, "Times are in seconds.")
    return np.arange(start, end, width)


def count_spikes(spike_times: Sequence[Host], edges: Host) -> Host:
    """The number of spikes of every neuron in every bin [edge, next edge), the last bin closed.

    Shapes: one array of times per neuron, edges (bins + 1,) -> (bins, neurons).  Units: counts.
    Source: glaser2020machine, bin_spikes.
    """
    return np.stack([np.histogram(times, edges)[0] for times in spike_times], axis=1).astype(float)


def mean_per_bin(values: Host, times: Host, edges: Host) -> Host:
    """The mean of the samples strictly inside every bin: a sample on an edge belongs to no bin.

    Shapes: values (N, k), times (N,), edges (bins + 1,) -> (bins, k).  Units: of values.
    Errors: ParameterError where a bin holds no sample.  Source: glaser2020machine, bin_output.
    """
    index = np.searchsorted(edges, times, side="right") - 1
    own = np.clip(index, 0, len(edges) - 2)
    inside = (times > edges[own]) & (times < edges[own + 1])
    counts = np.bincount(own[inside], minlength=len(edges) - 1)  # (bins,)
    if not counts.all():
        empty = int(np.argmin(counts))
        got = f"none from {edges[empty]:g} to {edges[empty + 1]:g} s"
        raise ParameterError("mean_per_bin", "a sample inside every bin", got, "Use wider bins, or cut the gap.")
    sums = [np.bincount(own[inside], column[inside], len(edges) - 1) for column in values.T]
    return np.stack(sums, axis=1) / counts[:, None]
