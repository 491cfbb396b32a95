"""Where the experiments get their scale factors: from the derivation, never from a formula of their own."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from wideproof.derive.language.errors import ShapeError
from wideproof.numeric.core.arrays import Array, Host

Scale = Callable[..., Array]
"""An emitted function: scale(j=…, nu_W=…, nu_F=…, nu_C=…) -> ρ_j, of the shape of j."""


def emitted_scale() -> Scale:
    """The scale factors of the linear RNN as `derive` emits them for NumPy."""
    from wideproof.derive import models, scale_factors

    emitted: Scale = scale_factors(models.linear_rnn()).formula.compile("numpy")
    return emitted


def scale_of_lags(lags: int, *, nu_W: float, nu_F: float, nu_C: float, scale: Scale | None = None) -> Host:
    """ρ_0 … ρ_{T-1} from the given scale, or else from the emitted one.  Shapes: -> (T,)."""
    scale = emitted_scale() if scale is None else scale
    rho = np.asarray(scale(j=np.arange(lags), nu_W=nu_W, nu_F=nu_F, nu_C=nu_C), dtype=float)
    if rho.shape != (lags,):
        raise ShapeError("scale_of_lags", f"one weight for each of {lags} lags", rho.shape, "Vectorise in j.")
    return rho
