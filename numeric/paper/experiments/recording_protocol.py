"""The data side of § 5.2: contiguous parts, training statistics, and nothing of the test part in either."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from wideproof.derive.language.errors import ParameterError
from wideproof.numeric.core.arrays import Host
from wideproof.numeric.linear_rnn.quadratic_loss import Quadratic, apply_filter, quadratic
from wideproof.numeric.paper.experiments.assumptions import MOST, check_width, choice
from wideproof.numeric.recordings import Recording

LIMITED, FULL = "limited", "full"
MORE_DATA = "Leave the column out, or raise the limited fraction of the training part."


@dataclass(frozen=True)
class Protocol:
    """Every choice of the comparison; none of them is the paper's, whose values are lost.

    The lags are causal, with zeros before each part. One rule serves every model: its variance nu_W and its step
    size are those of least mean validation error over all runs of a regime, and each run takes the number of steps
    that does best on validation: for a convolution of all steps to convergence, in closed form, and for the RNN of at
    most `steps`, fewer where it has settled. Step sizes are fractions of the inverse of the model's largest curvature
    at its start. Limited data are `segments` parts of the training part, disjoint and evenly spread over it, each with
    networks of its own; standard errors are over them.
    Units: lags in samples; fractions of the recording in time order.  Source: emami2021implicit §5.2.
    """

    lags: int = choice(24, "lags of every model, in samples")
    width: int = choice(200, "width n of the RNN, chosen to fit the time", most=10**15)
    nu_W: tuple[float, ...] = choice((0.1, 0.3, 0.5, 0.7, 0.9), "variances of W to choose from on validation data")
    nu_F: float = choice(1.0, "variance of the entries of F")
    nu_C: float = choice(1.0, "variance of the entries of C")
    step_fractions: tuple[float, ...] = choice(
        (0.1, 0.3, 1.0), "step sizes to choose from, over the inverse of the largest curvature"
    )
    steps: int = choice(2000, "most steps of the RNN, which ends where it has settled; convolutions are solved for")
    most_samples: int = choice(MOST, "most samples of a recording; of a longer one the first are taken", most=MOST)
    most_inputs: int = choice(MOST, "most inputs of a recording; of more, those that tell most about the outputs")
    training: float = choice(0.6, "first part of the recording, for training")
    validation: float = choice(0.2, "next part, for validation; the rest tests")
    limited: float = choice(0.1, "limited data, as a part of the training part")
    segments: int = choice(8, "limited training parts, with a network each")
    seeds: tuple[int, ...] = choice(
        (1, 2, 3, 4, 5),
        "seeds of the networks on full data; the first also numbers those of the segments",
        least=0,
        most=2**63,
    )
    replicates: int = choice(1000, "resamples of the test part in blocks")

    def __post_init__(self) -> None:
        fractions = (self.training, self.validation, 1.0 - self.training - self.validation, self.limited)
        if min(fractions) <= 0 or self.limited * self.segments > 1:
            hint = "Leave some of the recording to each part, and room for all limited segments."
            want = "training, validation, test, limited > 0, limited × segments ≤ 1"
            raise ParameterError("Protocol", want, (*fractions, self.segments), hint)
        numbers = (self.lags, self.width, self.steps, self.replicates - 1, self.most_samples, self.most_inputs)
        if min(numbers) < 1 or min(self.segments, len(self.seeds)) < 2:
            got = (self.lags, self.width, self.steps, self.replicates, self.segments, self.seeds)
            want = "lags, width, steps, most_samples, most_inputs ≥ 1, replicates, segments and seeds ≥ 2"
            raise ParameterError("Protocol", want, got, "Raise the number that is too small.")
        check_width("Protocol", self.width)
        if not self.nu_W or not self.step_fractions or min(self.nu_W) < 0 or not 0 < min(self.step_fractions) < 2:
            grids = (self.nu_W, self.step_fractions)
            raise ParameterError("Protocol", "some nu_W ≥ 0 and step fractions in (0, 2)", grids, "Give at least one.")


QUICK = Protocol(
    nu_W=(0.3, 0.7, 0.9), step_fractions=(0.3, 1.0), steps=300, segments=4, seeds=(1, 2), replicates=500,
    most_samples=40_000, most_inputs=32,
)  # fmt: skip
"""The same comparison at a size that ends in half a minute, whatever the recording."""


def cut(recording: Recording, protocol: Protocol) -> tuple[Recording, tuple[str, ...]]:
    """The recording within the protocol's most samples and inputs, and what was left out, in words.

    The inputs kept are those with the largest squared correlations to the outputs in the training part, summed over
    outputs and lags, in their own order.  Error: ParameterError where a column is constant in what is left.
    """
    told, samples = [], min(recording.samples, protocol.most_samples)
    if samples < recording.samples:
        told.append(f"the first {samples:,} of {recording.samples:,} samples")
    x, y = recording.inputs[:samples], recording.outputs[:samples]
    names, count = recording.input_names, len(recording.input_names)
    if protocol.most_inputs < count:
        kept = np.sort(_telling(x, y, protocol)[: protocol.most_inputs])
        told.append(f"{len(kept)} of {count} inputs, those that correlate most with the outputs in training")
        x, names = x[:, kept], tuple(names[k] for k in kept)
    return (replace(recording, inputs=x, outputs=y, input_names=names) if told else recording), tuple(told)


def _telling(x: Host, y: Host, protocol: Protocol) -> np.ndarray[Any, np.dtype[np.intp]]:
    """The inputs in falling order of their squared correlations with outputs in the training part, over all lags."""
    first = int(protocol.training * len(x))
    x, y = (values[:first] - values[:first].mean(axis=0) for values in (x, y))
    y = y / np.where(y.any(axis=0), y.std(axis=0), 1.0)
    x = x / np.where(x.any(axis=0), x.std(axis=0), 1.0)
    lags = range(min(protocol.lags, first - 1))
    shared = np.sum([(((x[: first - j].T @ y[j:]) / first) ** 2).sum(axis=1) for j in lags], axis=0)
    return np.argsort(-shared, kind="stable")


@dataclass(frozen=True, eq=False)
class Parts:
    """One training part with the common validation and test parts, standardised by that training part alone.

    Shapes: x_test (N_test, n_x), y_test (N_test, n_y), mean and deviation (n_y,).
    Units: training standard deviations; of y_test, mean and deviation those of the recording.
    """

    regime: str
    samples: int
    training: Quadratic
    validation: Quadratic
    spread: float
    x_test: Host
    y_test: Host
    mean: Host
    deviation: Host

    def predict(self, impulse: Host) -> Host:
        """The outputs of the test part by a filter.  Shapes: (T, n_y, n_x) -> (N_test, n_y).  Units: of y_test."""
        return np.asarray(apply_filter(impulse, self.x_test) * self.deviation + self.mean)

    def predict_all(self, impulses: Host) -> Host:
        """The same by several filters in one pass.  Shapes: (k, T, n_y, n_x) -> (N_test, k, n_y).  Units: of y_test."""
        count, lags, n_y, n_x = impulses.shape
        found = apply_filter(impulses.transpose(1, 0, 2, 3).reshape(lags, count * n_y, n_x), self.x_test)
        return np.asarray(found.reshape(-1, count, n_y) * self.deviation + self.mean)

    def validation_r2(self, error: float) -> float:
        """R² of all outputs together on the validation part, from the mean square error there."""
        return 1.0 - error / self.spread


def prepare(recording: Recording, protocol: Protocol, regime: str) -> tuple[Parts, ...]:
    """Cut, standardise and sum up one regime: one training part, or all limited segments of it.

    Validation and test parts are the same samples in all of them.
    Errors: ParameterError where a part is shorter than twice the lags, a training column is constant or an output is
    where it is predicted.
    """
    count = protocol.segments if regime == LIMITED else 1
    return tuple(prepare_part(recording, protocol, regime, part) for part in range(count))


def prepare_part(recording: Recording, protocol: Protocol, regime: str, part: int) -> Parts:
    """Cut, standardise and sum up one training part of a regime.  Errors: as `prepare`."""
    first = int(protocol.training * recording.samples)
    last = int((protocol.training + protocol.validation) * recording.samples)
    starts, size = [0], first
    if regime == LIMITED:
        size = int(first * protocol.limited)
        starts = [int(k) for k in np.linspace(0, first - size, protocol.segments)]
    shortest = min(size, last - first, recording.samples - last)
    if shortest < 2 * protocol.lags:
        got = f"{shortest} samples in the shortest of {regime} training, validation and test"
        hint = f"Set lags to at most {max(shortest // 2, 1)}, raise the limited fraction, or record longer."
        raise ParameterError(recording.name, f"parts of at least 2 × {protocol.lags} samples", got, hint)
    return _parts(recording, protocol, regime, slice(starts[part], starts[part] + size), first, last)


def _parts(recording: Recording, protocol: Protocol, regime: str, own: slice, first: int, last: int) -> Parts:
    x, _, _ = _standardise(recording, recording.inputs, recording.input_names, own, slice(0, first))
    if not x[own].any():
        got = f"all constant in samples {own.start} to {own.stop}"
        raise ParameterError(recording.name, f"some input that varies in {regime} training", got, MORE_DATA)
    y, mean, deviation = _standardise(recording, recording.outputs, recording.output_names, own, own)
    for part in (slice(first, last), slice(last, recording.samples)):
        _check_scored(recording, part)
    return Parts(
        regime, len(x[own]),
        quadratic(x[own], y[own], protocol.lags),
        quadratic(x[first:last], y[first:last], protocol.lags),
        float(y[first:last].var(axis=0).mean()),
        x[last:], recording.outputs[last:], mean, deviation,
    )  # fmt: skip


def _check_scored(recording: Recording, part: slice) -> None:
    """An output that is constant in a part that is predicted has no R² there."""
    for name, column in zip(recording.output_names, recording.outputs[part].T, strict=True):
        if np.ptp(column) == 0:
            got = f"a constant in samples {part.start} to {part.stop}, which are predicted"
            hint = "Leave the column out, or move the ends of the parts by --set training and validation."
            raise ParameterError(recording.name, f"output {name!r} to vary where it is predicted", got, hint)


def _standardise(
    recording: Recording, values: Host, names: tuple[str, ...], part: slice, spare: slice
) -> tuple[Host, Host, Host]:
    """The values in standard deviations of one part, and its mean and deviation.

    A column that is still in the part, as an event that does not occur, takes its deviation from the spare part.
    """
    mean, deviation = values[part].mean(axis=0), values[part].std(axis=0)
    deviation = np.where(deviation == 0, values[spare].std(axis=0), deviation)
    if np.any(deviation == 0):
        name = names[int(np.argmin(deviation))]
        got = f"a constant in samples {spare.start} to {spare.stop}"
        raise ParameterError(recording.name, f"column {name!r} to vary in training", got, MORE_DATA)
    return np.asarray((values - mean) / deviation), mean, deviation
