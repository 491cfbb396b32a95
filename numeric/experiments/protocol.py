"""The data side of § 5.2: contiguous parts, training statistics, and nothing of the test part in either."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from derive.errors import ParameterError
from numeric.arrays import Host
from numeric.data import Quadratic, quadratic
from numeric.recordings import Recording

LIMITED, FULL = "limited", "full"


@dataclass(frozen=True)
class Protocol:
    """Every choice of the comparison; none of them is the paper's, whose values are lost.

    The lags are causal, with zeros before each part. `width` is chosen to fit the time. The limited training
    part is the last `limited` fraction of the full one. Every model takes train's default step, the inverse
    of its Hessian's largest eigenvalue at its start (the squared largest singular value of the data operator
    seen through the model), and as many of `steps` steps as do best on validation.
    Units: lags in samples; fractions of the recording in time order.  Source: emami2021implicit §5.2.
    """

    lags: int = 24
    width: int = 200
    nu_W: float = 0.3
    nu_F: float = 1.0
    nu_C: float = 1.0
    training: float = 0.6
    validation: float = 0.2
    limited: float = 0.1
    steps: int = 1000
    seeds: tuple[int, ...] = (1, 2, 3)
    replicates: int = 1000

    def __post_init__(self) -> None:
        fractions = (self.training, self.validation, 1.0 - self.training - self.validation, self.limited)
        if min(fractions) <= 0 or self.limited > 1:
            hint = "Leave some of the recording to each part."
            raise ParameterError("Protocol", "training, validation, test, limited > 0", fractions, hint)
        if min(self.lags, self.width, self.steps, self.replicates - 1) < 1 or not self.seeds:
            got = (self.lags, self.width, self.steps, self.replicates, self.seeds)
            want = "lags, width, steps ≥ 1, replicates ≥ 2, a seed"
            raise ParameterError("Protocol", want, got, "Raise the number that is too small.")


@dataclass(frozen=True, eq=False)
class Parts:
    """One training regime, standardised by its own training part.

    Shapes: x_test (N_test, n_x), y_test (N_test, n_y).  Units: training standard deviations.
    """

    regime: str
    samples: int
    training: Quadratic
    validation: Quadratic
    x_test: Host
    y_test: Host


def prepare(recording: Recording, protocol: Protocol, regime: str) -> Parts:
    """Cut, standardise and sum up one regime; validation and test parts are the same samples in both.

    Errors: ParameterError where a part is shorter than twice the lags, or a training column is constant.
    """
    first = int(protocol.training * recording.samples)
    last = int((protocol.training + protocol.validation) * recording.samples)
    start = first - int(first * protocol.limited) if regime == LIMITED else 0
    shortest = min(first - start, last - first, recording.samples - last)
    if shortest < 2 * protocol.lags:
        got = f"{shortest} samples in the shortest of {regime} training, validation and test"
        hint = "Use fewer lags, a larger limited fraction, or a longer recording."
        raise ParameterError(recording.name, f"parts of at least 2 × {protocol.lags} samples", got, hint)
    x = _standardise(recording, recording.inputs, recording.input_names, slice(start, first))
    y = _standardise(recording, recording.outputs, recording.output_names, slice(start, first))
    return Parts(
        regime, first - start,
        quadratic(x[start:first], y[start:first], protocol.lags),
        quadratic(x[first:last], y[first:last], protocol.lags),
        x[last:], y[last:],
    )  # fmt: skip


def _standardise(recording: Recording, values: Host, names: tuple[str, ...], part: slice) -> Host:
    mean, deviation = values[part].mean(axis=0), values[part].std(axis=0)
    if np.any(deviation == 0):
        name = names[int(np.argmin(deviation))]
        hint = "Leave it out, or train on more data."
        raise ParameterError(recording.name, f"column {name!r} to vary in training", "a constant", hint)
    return np.asarray((values - mean) / deviation)
