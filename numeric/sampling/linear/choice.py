"""The choice of a sampler, with its reason."""

from __future__ import annotations

from dataclasses import dataclass

from wideproof.derive.language.errors import ParameterError
from wideproof.numeric.core.arrays import Stream
from wideproof.numeric.core.inputs import whole
from wideproof.numeric.sampling.linear.dense import dense
from wideproof.numeric.sampling.linear.matrix_free import one_sided, two_sided
from wideproof.numeric.sampling.linear.setting import Draw, LinearSetting

METHODS = ("auto", "dense", "matrix-free")
# measured, T = 10 and 30, n_x = n_y = 1 and 2: matrix-free wins from n of about its dimension upwards


@dataclass(frozen=True)
class Choice:
    """A sampler's name and, in words, why it was taken."""

    name: str
    reason: str


DTYPES = ("float64", "float32")


def choose(setting: LinearSetting, grams: bool = False, method: str = "auto", dtype: str = "float64") -> Choice:
    """Choose the sampler that costs least for the setting, or the one the caller names.

    Error: ParameterError for an unknown method, or float32 without whole matrices.
    Source: measured crossovers; all samplers draw from the same law.
    """
    if method not in METHODS:
        raise ParameterError("sampler", f"one of {', '.join(METHODS)}", method, "auto takes the cheapest.")
    if dtype not in DTYPES:
        raise ParameterError("dtype", f"one of {', '.join(DTYPES)}", dtype, "float64 is the default.")
    if dtype != "float64" and method != "dense":
        hint = "Matrix-free samplers move small arrays and gain nothing by it: leave dtype out, or ask for dense."
        raise ParameterError("dtype", "float64, or the sampler dense", f"{dtype} with {method}", hint)
    free = "two-sided" if grams else "one-sided"
    if method != "auto":
        return Choice("dense" if method == "dense" else free, "asked for")
    sides = setting.n_x + setting.n_y if grams else min(setting.n_x, setting.n_y)
    size = setting.horizon * sides
    if setting.width > size:
        return Choice(free, f"n = {setting.width} > {size} dimensions, which carry the exact law")
    return Choice("dense", f"n = {setting.width} <= {size} dimensions: whole matrices are cheaper")


def draw(
    setting: LinearSetting,
    trials: int,
    stream: Stream,
    grams: bool = False,
    method: str = "auto",
    dtype: str = "float64",
) -> Draw:
    """Draw independent trials of the impulse response, with Gram matrices if asked, by one sampler.

    Shapes: as `Draw`.  Units: as `Draw`.  Error: rounding, of dtype; every method is exact in law at every n >= 1.
    Source: `dense`, `one_sided`, `two_sided`.
    """
    whole("trials", trials, 1, hint="Each trial is one draw of W, F and C.")
    name = choose(setting, grams, method, dtype).name
    if name == "dense":
        return dense(setting, trials, stream, grams, dtype)
    return (two_sided if grams else one_sided)(setting, trials, stream)
