"""The choice of a sampler, with its reason."""

from __future__ import annotations

from dataclasses import dataclass

from derive.errors import ParameterError
from numeric.arrays import Stream
from numeric.sampling.dense import dense
from numeric.sampling.matrix_free import one_sided, two_sided
from numeric.sampling.setting import Draw, LinearSetting

METHODS = ("auto", "dense", "matrix-free")
# measured, T = 10 and 30, n_x = n_y = 1 and 2: matrix-free wins from n of about its dimension upwards


@dataclass(frozen=True)
class Choice:
    """A sampler's name and, in words, why it was taken."""

    name: str
    reason: str


def choose(setting: LinearSetting, grams: bool = False, method: str = "auto") -> Choice:
    """Choose the sampler that costs least for the setting, or the one the caller names.

    Shapes: none.  Units: none.  Error: ParameterError for an unknown method.
    Source: measured crossovers; all samplers draw from the same law.
    """
    if method not in METHODS:
        raise ParameterError("sampler", f"one of {', '.join(METHODS)}", method, "auto takes the cheapest.")
    free = "two-sided" if grams else "one-sided"
    if method != "auto":
        return Choice("dense" if method == "dense" else free, "asked for")
    sides = setting.n_x + setting.n_y if grams else min(setting.n_x, setting.n_y)
    size = setting.horizon * sides
    if setting.width > size:
        return Choice(free, f"n = {setting.width} > {size} dimensions, which carry the exact law")
    return Choice("dense", f"n = {setting.width} <= {size} dimensions: whole matrices are cheaper")


def draw(setting: LinearSetting, trials: int, stream: Stream, grams: bool = False, method: str = "auto") -> Draw:
    """Draw independent trials of the impulse response, with Gram matrices if asked, by one sampler.

    Shapes: as `Draw`.  Units: as `Draw`.  Error: rounding; every method is exact in law at every n >= 1.
    Source: `dense`, `one_sided`, `two_sided`.
    """
    if trials < 1:
        raise ParameterError("trials", "at least 1", trials, "Each trial is one draw of W, F and C.")
    name = choose(setting, grams, method).name
    if name == "dense":
        return dense(setting, trials, stream, grams)
    return (two_sided if grams else one_sided)(setting, trials, stream)
